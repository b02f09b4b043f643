"""Every judged benchmark against every fault of its judge: the right score or none.

The table is in docs/evaluation.md; ``KAWHI_UPDATE_TABLES=1`` writes it anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kawhi.base.errors import CellError
from kawhi.evaluation.samples import read_samples
from kawhi.evaluation.scoring import score
from tests.cells import ROOT
from tests.evaluation.judged import (
    TOY,
    good_judge,
    judge_of,
    judged,
    parts_of,
    right_replies,
    toy_prompts,  # noqa: F401  a fixture
    write_folder,
)
from tests.evaluation.stub_server import FAULTS, RECOVERS

PAGE = ROOT / "docs" / "evaluation.md"
MARKERS = ("<!-- fault table -->", "<!-- /fault table -->")
WORDS = {
    "always_500": "500 always",
    "429_then_fine": "429, then fine",
    "garbage_with_1": "garbage with a 1",
    "wrong_shape": "JSON of the wrong shape",
    "dies_mid_run": "dies mid-run",
}
FOUND: dict[tuple[str, str], str] = {}

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("toy_prompts")]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("task", judged())
def test_a_fault_of_the_judge_gives_the_right_score_or_none(tmp_path, task, fault):
    benchmark, rows = parts_of(task)
    questions = len(right_replies(task))
    folder = tmp_path / "eval"
    write_folder(folder, task)
    (folder / "score.json").write_text('{"score": 100}')  # of an older judge
    with good_judge(task, behaviour=fault, lives=questions // 2) as stub:
        if fault in RECOVERS:
            content = score(folder, benchmark, judge_of(stub, patience=4))
            FOUND[task, fault] = "right score"
        else:
            with pytest.raises(CellError) as refused:
                score(folder, benchmark, judge_of(stub, timeout=0.2 if fault == "hangs" else 60))
            assert not (folder / "score.json").exists()
            assert "\n" not in str(refused.value)
            answered = questions // 2 if fault == "dies_mid_run" else 0
            assert _good_replies(folder) == answered
            for sample, example in zip(read_samples(folder / "samples.parquet"), rows, strict=True):
                assert sample.score in (None, pytest.approx(example.score))
            FOUND[task, fault] = "refused"

            stub.become("ok")
            before = len(stub.requests)
            content = score(folder, benchmark, judge_of(stub, patience=4))
            sent = [json.dumps(body["messages"]) for body in stub.requests[before:]]
            assert len(sent) == len(set(sent)) == questions - answered
    scores = [sample.score for sample in read_samples(folder / "samples.parquet")]
    assert scores == pytest.approx([example.score for example in rows])
    assert json.loads((folder / "score.json").read_text()) == content
    assert content["judge"]["questions"] == sum(len(example.replies) for example in rows)


def _good_replies(folder: Path) -> int:
    lines = [line for file in folder.glob("judge/*.jsonl") for line in file.read_text().splitlines()]
    return sum(json.loads(line)["ok"] for line in lines)


def table() -> str:
    head = ["Benchmark", *(WORDS.get(fault, fault) for fault in FAULTS)]
    shown = [task for task in judged() if task != TOY] or [TOY]
    rows = [[f"`{task}`", *(FOUND[task, fault] for fault in FAULTS)] for task in shown]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows))


def test_the_table_of_the_documentation_is_what_was_seen():
    if set(FOUND) != {(task, fault) for task in judged() for fault in FAULTS}:
        pytest.skip("not all faults were tried in this process")
    page = PAGE.read_text()
    before, rest = page.split(MARKERS[0])
    block, after = rest.split(MARKERS[1])
    if os.environ.get("KAWHI_UPDATE_TABLES"):
        PAGE.write_text(f"{before}{MARKERS[0]}\n\n{table()}\n\n{MARKERS[1]}{after}")
    else:
        assert block.strip() == table(), "KAWHI_UPDATE_TABLES=1 writes the table anew"
