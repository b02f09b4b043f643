"""docs/your_data.md: the page's commands, as they stand there, from a folder of somebody's pictures to a training."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from itertools import islice
from pathlib import Path

import pytest

from kawhi.tiny.world import problems
from tests.cells import ROOT

from .conftest import programs
from .test_plain import STARTED_PLAINLY

PAGE = (ROOT / "docs" / "your_data.md").read_text(encoding="utf-8")
ROW = json.loads(re.search(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1])
REWARD = re.search(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1]
FULL_SCALE, LAPTOP = re.findall(r"^```bash\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
PREPARE, PLAN, TRAIN = LAPTOP.splitlines()


@pytest.fixture
def folder(tmp_path) -> Path:
    """Somebody's folder: pictures, rows of the page's form, and the page's reward."""
    (tmp_path / "my_data" / "images").mkdir(parents=True)
    rows = []
    for number, problem in enumerate(islice(problems("train", seed=5), 40)):
        problem.drawing.render(168).save(tmp_path / "my_data" / "images" / f"{number:04}.png")
        told = dict(zip(ROW, (problem.question, problem.answer, f"images/{number:04}.png"), strict=True))
        rows.append(json.dumps(told) + "\n")
    (tmp_path / "my_data" / "train.jsonl").write_text("".join(rows))
    (tmp_path / "my_reward.py").write_text(REWARD)
    return tmp_path


def typed(folder: Path, line: str, code: int = 0) -> subprocess.CompletedProcess:
    shell = {key: value for key, value in os.environ.items() if not key.startswith("VERL_")}
    words = ["bash", "-c", programs() + line]
    done = subprocess.run(words, cwd=folder, env=shell, capture_output=True, text=True, timeout=900)
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-3000:]
    return done


def test_it_is_prepared_and_planned_with_its_reward(folder):
    assert "columns: question=prompt (guessed), answer=label (guessed), image=image (guessed)" in PAGE
    told = typed(folder, PREPARE).stdout
    assert "columns: question=prompt (guessed), answer=label (guessed), image=image (guessed)" in told
    assert "train: 36 of 36 rows, 0 dropped" in told
    assert "my_reward.py:score, on 10 rows: the answer in a box earns 1 on average, an empty response 0\n" in told
    assert "1 trainings, 0 done" in typed(folder, PLAN).stdout
    (folder / "my_reward.py").write_text(REWARD.replace('"acc"', "1 / 0"))
    for line in (PREPARE, PLAN):
        said = typed(folder, line, code=1).stderr
        assert re.search(r"my_reward.py:score fails on row 0 \(id train-0000\d\): ZeroDivisionError: division by", said)
        assert said.count("\n") == 1


def test_what_is_not_there_yet_is_told(folder):
    full_scale = FULL_SCALE.splitlines()[1].replace("kawhi-run", "kawhi plan --short")
    assert "missing: needs `kawhi prepare mine --from FILE_OR_FOLDER`" in typed(folder, full_scale).stdout
    said = typed(folder, TRAIN, code=1).stderr
    assert "train.parquet does not exist; run `kawhi prepare mine --from FILE_OR_FOLDER` first" in said
    odd = typed(folder, TRAIN.replace("my_reward.py:score", "maths"), code=1).stderr
    assert odd == "error: the reward 'maths' is neither boxed, chart, math nor of the form FILE.py:FUNCTION\n"


@pytest.mark.slow
def test_it_trains(folder):
    start = time.monotonic()
    for line in LAPTOP.splitlines():
        typed(folder, line)
    print(f"{(time.monotonic() - start) / 60:.1f} minutes from the first command to the trained cell")
    (record,) = (json.loads(file.read_text()) for file in (folder / "results" / "records").glob("*.json"))
    assert record["data"] == "mine"
    assert len(record["training"]["reward"]) == 2
    assert all(0 <= reward <= 1 for reward in record["training"]["reward"])
    for log in (folder / "results" / "runs").rglob("logs/*.log"):
        assert STARTED_PLAINLY not in log.read_text(errors="replace"), log
