"""Own files with odd rows: refused before anything starts with the rows named, or trained on; a lost one is named."""

from __future__ import annotations

import io

import pytest
from PIL import ExifTags, Image

from kawhi.base.lost import lost_file
from kawhi.data import schema
from kawhi.tiny.world import problems

from .conftest import SMALL

pytestmark = pytest.mark.slow


def encoded(image: Image.Image, kind: str = "PNG", **options) -> dict:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return {"bytes": buffer.getvalue()}


def drawn() -> list[dict]:
    """Eight rows that can be trained on, one batch, each odd in its own way."""
    rows, pictures = [], []
    for number, problem in zip(range(8), problems("train", seed=0), strict=False):
        pictures.append(problem.drawing.render(168))
        about = {"question": problem.question, "answer": problem.answer, "task": problem.task}
        rows.append(schema.row(source="own", split="train", index=number, image=pictures[-1], **about))
        rows[-1]["extra_info"]["id"] = f"q{number}"
    rows[0]["images"] = [encoded(pictures[0].convert("RGBA"))]
    rows[1]["images"] = [encoded(pictures[1].convert("P"), "GIF")]
    rows[2]["images"] = [encoded(pictures[2].convert("CMYK"), "JPEG")]
    rows[3]["images"] = [encoded(pictures[3].convert("L").resize((2800, 28)))]
    rows[4]["prompt"].insert(0, {"role": "system", "content": "Look at it."})
    rows[5]["images"] *= 2
    rows[5]["prompt"][0]["content"] = "<image>为什么 <think> 🙂\r\n \n<image>?"
    rows[6]["images"], rows[6]["prompt"][0]["content"] = [], "What is 2 + 3?"
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    rows[7]["images"] = [encoded(pictures[7].resize((168, 112)), "JPEG", exif=turned)]
    rows[7]["extra_info"] |= {"id": None, "choices": ["3", "7"]}
    return rows


def cell(workspace, rows: list[dict], *more: str) -> list[str]:
    path = workspace.folder / "own.parquet"
    schema.write(path, rows)
    usual = [each for each in SMALL if not each.startswith(("data.", "benchmarks", "evaluation"))]
    files = [f"data.{name}_file={path}" for name in ("train", "validation")]
    lengths = ["verl.data.max_prompt_length=200", "verl.actor_rollout_ref.rollout.max_model_len=300"]
    return ["credit=kawhi", "study=timing", *lengths, *usual, *files, *more]


def test_rows_that_cannot_be_trained_on_are_named_before_anything_starts(workspace):
    rows = drawn()
    rows[1]["prompt"][0]["content"] += " <|video_pad|>"
    rows[3]["images"] = [encoded(Image.new("RGB", (1, 1)))]
    rows[7]["reward_model"]["ground_truth"] = None
    done = workspace.run(*cell(workspace, rows), code=1)
    assert done.stderr.count("\n") == 1
    for named in (
        "3 of 8 rows cannot be trained on: row 1 (id q1): the model takes <|video_pad|> in a message for a token",
        "row 3 (id q3): the image has 1 x 1 pixels; the least side is 28; row 7: no ground_truth in reward_model",
    ):
        assert named in done.stderr
    assert not list(workspace.run_directory().glob("train"))


# Fails on what a model says; the responses with which a reward is tried before anything starts are none or think.
BOOM = """
def compute_score(data_source, solution_str, ground_truth, extra_info=None, **_):
    if extra_info["id"] == "q5" and solution_str and "<think>" not in solution_str:
        raise ArithmeticError("this answer cannot be compared")
    return {"score": 0.5, "acc": 0.5}
"""


def test_odd_rows_train_and_one_that_is_lost_is_named_and_not_drawn_for_ever(workspace):
    workspace.run(*cell(workspace, drawn()))
    (workspace.folder / "boom.py").write_text(BOOM)
    reward = f"verl.reward.custom_reward_function.path={workspace.folder / 'boom.py'}"
    losing = cell(workspace, drawn(), reward, "seeds.data=2")
    for _ in range(2):
        done = workspace.run(*losing, code=1)
        lost = "responses of 1 prompts of this step were lost: row 5 (id q5, '为什么"
        assert lost in done.stderr, done.stderr[-3000:]
        assert "ArithmeticError: this answer cannot be compared" in done.stderr
    (file,) = filter(lambda path: path.exists(), map(lost_file, (workspace.folder / "runs").glob("*/*")))
    launched = len(list(file.parent.glob("metrics-*.jsonl")))
    done = workspace.run(*losing, code=1)
    assert "two launches of this training lost responses of the same data, row 5 (id q5" in done.stderr
    assert len(list(file.parent.glob("metrics-*.jsonl"))) == launched == 2
