"""A reward function of one's own, called as verl does on the first rows of a file."""

from __future__ import annotations

import pytest

from kawhi.base.errors import CellError
from kawhi.data import schema
from kawhi.data.reward_trial import ROWS, try_reward
from tests.data.layouts import picture


@pytest.fixture
def data(tmp_path):
    made = [
        schema.example(
            source="mine", split="train", index=n, images=[picture(n)], prompt="<image>?", question="?", answer=str(n),
            task="own", id=f"q{n}",
        )
        for n in range(ROWS + 5)
    ]  # fmt: skip
    schema.write(tmp_path / "train.parquet", made)
    return tmp_path / "train.parquet"


def tried(data, body: str, **options):
    file = data.parent / "mine.py"
    file.write_text(body)
    return try_reward(file, "score", options, data)


SCORE = """
seen = []
{keyword} score(data_source, solution_str, ground_truth, extra_info=None, bonus=0.0, **_):
    assert data_source == "mine" and extra_info["id"] == f"q{{ground_truth}}" and extra_info["num_turns"]
    right = f"boxed{{{{{{ground_truth}}}}}}" in solution_str
    return {result}
"""


@pytest.mark.parametrize("keyword", ["def", "async def"])
@pytest.mark.parametrize("result", ["right + bonus", '{"score": right + bonus, "acc": right}'])
def test_right_and_empty_responses(data, keyword, result):
    found = tried(data, SCORE.format(keyword=keyword, result=result), bonus=0.5)
    assert found == (ROWS, 1.5, 0.5)


FAILING = {
    "raises": (
        "def score(**row): return 1 / (int(row['ground_truth']) - 3)",
        "fails on row 3 (id q3): ZeroDivisionError",
    ),
    "takes other words": (
        "def score(answer): return 1",
        "fails on row 0 (id q0): TypeError: score() got an unexpected",
    ),
    "no score": ("def score(**_): return {'acc': 1}", "ValueError: it returns ['acc'] without a score"),
    "no number": ("def score(**_): return None", "fails on row 0 (id q0): TypeError"),
    "not finite": ("def score(**_): return float('nan')", "it returns nan"),
    "leaves": ("import sys\ndef score(**_): sys.exit('bye')", "SystemExit: bye"),
    "not Python": ("def score(:", "cannot be imported: SyntaxError"),
    "another name": ("def scored(**_): return 1", "has no function score"),
}


@pytest.mark.parametrize(("body", "said"), FAILING.values(), ids=FAILING)
def test_one_that_fails_is_one_sentence(data, body, said):
    with pytest.raises(CellError) as refused:
        tried(data, body)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there(data):
    with pytest.raises(CellError, match=r"none.py:score does not exist"):
        try_reward(data.parent / "none.py", "score", {}, data)
