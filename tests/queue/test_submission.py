"""Which cells are in the queue, from the comments of its jobs."""

from __future__ import annotations

import json
import multiprocessing
import os
import time

import pytest

from kawhi.base.errors import CellError
from kawhi.queue import submission
from tests.cluster.made import task

ARRAYS = {
    "train": {"part": "train", "cells": ["sweep/a", "sweep/b"], "evaluations": [[], []]},
    "evaluate": {"part": "evaluate", "cells": ["sweep/a", "sweep/b"], "evaluations": [["t-1", "u-1"], ["t-1"]]},
    "evaluate-more": {"part": "evaluate", "cells": ["sweep/a"], "evaluations": [["t-2"]]},
    "table": {"part": "table", "cells": ["sweep/a", "sweep/b", "sweep/c"]},
}


@pytest.fixture
def made(tmp_path):
    return submission.new(tmp_path, folder="sweep", command=["run.py"], snapshot=tmp_path / "code", arrays=ARRAYS)


def test_a_submission_says_who_submitted_what(made):
    content = json.loads((made.path / "submission.json").read_text())
    assert content["folder"] == "sweep"
    assert content["arrays"] == ARRAYS
    assert content["command"] == ["run.py"]
    assert content["user"]
    assert time.time() - content["time"] < 60


def test_the_queue_is_read_by_its_comments(tmp_path, made):
    queue = [
        task("7_1", made.comment("train")),
        task("8", made.comment("table")),
        task("9_0", "kawhi:another:train"),  # of other runs
        task("10", "my own job"),
        task("11", made.comment("gone")),
        task("12", "kawhi::"),
    ]
    assert submission.at_work(tmp_path, queue) == {(tmp_path / "sweep" / "b", "train"): queue[0]}
    ((job, cells),) = submission.tables_at_work(tmp_path, queue)
    assert job is queue[1]
    assert cells == {tmp_path / "sweep" / name for name in "abc"}


def test_an_evaluation_is_known_by_its_own_folder_too(tmp_path, made):
    queue = [task("8_0", made.comment("evaluate")), task("8_1", made.comment("evaluate"))]
    a, b = tmp_path / "sweep" / "a", tmp_path / "sweep" / "b"
    assert submission.at_work(tmp_path, queue) == {
        **{(folder, "evaluate"): queue[0] for folder in (a, a / "eval" / "t-1", a / "eval" / "u-1")},
        **{(folder, "evaluate"): queue[1] for folder in (b, b / "eval" / "t-1")},
    }


def test_of_evaluations_one_after_the_other_the_last_is_told(tmp_path, made):
    """Squeue has its own order."""
    first, last = task("9_0", made.comment("evaluate")), task("10", made.comment("evaluate-more"))
    a = tmp_path / "sweep" / "a"
    for queue in ([first, last], [last, first]):
        found = submission.at_work(tmp_path, queue)
        assert found[a, "evaluate"] == found[a / "eval" / "t-2", "evaluate"] == last
        assert found[a / "eval" / "t-1", "evaluate"] == first


def _count(runs, counter):
    for _ in range(20):
        with submission.alone(runs):
            number = int(counter.read_text())
            time.sleep(0.001)
            counter.write_text(str(number + 1))


def test_two_launchers_take_turns(tmp_path):
    counter = tmp_path / "counter"
    counter.write_text("0")
    others = [multiprocessing.get_context("fork").Process(target=_count, args=(tmp_path, counter)) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join(30)
    assert counter.read_text() == "60"


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / ".slurm").write_text("a file")
    sentence = r"cannot be locked .*: set paths.runs to a folder that you may write to"
    with pytest.raises(CellError, match=sentence), submission.alone(tmp_path):
        pytest.fail("was let in")


def test_what_goes_wrong_inside_is_not_taken_for_the_lock(tmp_path):
    with pytest.raises(FileNotFoundError), submission.alone(tmp_path):
        os.stat(tmp_path / "nothing")
