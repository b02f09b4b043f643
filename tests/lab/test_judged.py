"""Judged responses as the probe reads them."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from kawhi.base.errors import CellError
from kawhi.lab.judged import judged_batches
from kawhi.lab.policy import Policy
from kawhi.tiny.warm_start import CHECKPOINTS


@pytest.fixture(scope="module")
def policy():
    return Policy(CHECKPOINTS / "qwen2_5_vl")


def response(text: str, reward: float, paragraphs: list[str], **more) -> dict:
    return {"text": text, "reward": reward, "paragraphs": paragraphs, **more}


def written(folder, *lines, image: bool = True):
    if image:
        Image.new("RGB", (168, 168), "white").save(folder / "a.png")
    file = folder / "judged.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


GOOD = {
    "image": "a.png",
    "question": "What is the sum?",
    "responses": [
        response("I read 3.\n\nSo \\boxed{3}.", 1.0, ["reading", "answer"], reading_right=False),
        response("So \\boxed{4}.", 0.0, ["answer"]),
    ],
}


def test_kinds_and_verdicts_become_the_signals_of_controls(tmp_path, policy):
    (batch,) = judged_batches(policy, written(tmp_path, GOOD, GOOD), per_step=8)
    rollouts, kinds = batch
    assert len(rollouts.items) == 2
    assert rollouts.group == 2
    assert rollouts.judged is not None
    first = int(rollouts.lengths[0])
    text = policy.tokenizer.decode(
        [t for t, kind in zip(rollouts.token_ids.tolist(), kinds, strict=True) if kind == "reading"][: first // 2 + 1]
    )
    assert text.startswith("I read 3.")
    assert rollouts.judged["reads"].tolist() == [float(kind == "reading") for kind in kinds]
    assert rollouts.judged["reading_right"].tolist() == [0.0] * len(kinds)
    assert rollouts.rewards.tolist() == [1.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"responses": GOOD["responses"][:1]}, "at least 2"),
        ({"image": "none.png"}, "none.png, which cannot be read"),
        ({"responses": [{"text": "x"}]}, "line 1: KeyError"),
        ({"responses": [response("a\n\nb", 1.0, ["x"]), response("a", 0.0, ["x"])]}, "2 paragraphs and kinds for 1"),
    ],
)
def test_a_mistake_in_the_file_is_a_sentence(tmp_path, policy, changed, said):
    file = written(tmp_path, GOOD | changed)
    with pytest.raises(CellError, match=said):
        list(judged_batches(policy, file, per_step=8))
