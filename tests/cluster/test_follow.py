"""What a launcher that stays waits for."""

from __future__ import annotations

import pytest

from kawhi.base.files import write_json
from kawhi.cluster import follow
from kawhi.queue import slurm, submission
from kawhi.runs.views import CellView
from tests.cluster.made import place, task


@pytest.fixture
def sweep(tmp_path):
    """Two cells of one training and the submission of their jobs."""
    views = [CellView(name, place(tmp_path / "sweep" / "a", evaluations=[name])) for name in ("t-1", "t-2")]
    cells = {str(folder.relative_to(tmp_path)) for view in views for folder in view.place.folders}
    arrays = {
        "evaluate": {"part": "evaluate", "cells": ["sweep/a"], "evaluations": [["t-1", "t-2"]]},
        "table": {"part": "table", "cells": sorted(cells), "evaluations": []},
        "other": {"part": "table", "cells": ["sweep/a"], "evaluations": []},
    }
    made = submission.new(tmp_path, folder="sweep", command=["run.py"], snapshot=tmp_path / "code", arrays=arrays)
    return views, made


def test_it_waits_for_the_cells_and_then_for_their_table(tmp_path, monkeypatch, sweep):
    views, made = sweep

    def waits(*names: str, table: bool = True) -> tuple[set, bool]:
        tasks = [task(str(7 + i), made.comment(name)) for i, name in enumerate(names)]
        monkeypatch.setattr(slurm, "queue", lambda: tasks)
        return follow._in_queue(views, tmp_path, table)

    run = views[0].path
    assert waits("evaluate", "table") == ({run}, True)
    assert waits("table") == (set(), True)
    assert waits("table", table=False) == (set(), False)
    assert waits("other") == (set(), False), "a table of other cells"
    assert waits() == (set(), False)


def test_a_cell_without_all_its_records_is_named(tmp_path, monkeypatch, sweep, capsys):
    views, _ = sweep
    monkeypatch.setattr(slurm, "queue", list)
    run = views[0].place.run
    for folder in (run, run.evaluation("t-1")):
        write_json(folder.record, {})
    write_json(run.status, {"stage": "failed", "steps": 3, "time": 1.0, "reason": "evaluate failed: no"})
    assert follow.until_ended(views, tmp_path, "sweep") == 1
    assert capsys.readouterr().err == "not done: t-2: evaluate failed: no\n"
    write_json(run.evaluation("t-2").record, {})
    assert follow.until_ended(views, tmp_path, "sweep") == 0
    stamp = tmp_path / "stamp"
    assert follow.until_ended(views, tmp_path, "sweep", stamp) == 1
    assert "the table was not made" in capsys.readouterr().err
    stamp.touch()
    assert follow.until_ended(views, tmp_path, "sweep", stamp) == 0
