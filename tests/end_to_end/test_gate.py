"""The baseline gate in a real sweep: the untrained tiny model against a score that it has, and one that it has not."""

from __future__ import annotations

import pytest

from tests.end_to_end.conftest import SMALL, Workspace

pytestmark = pytest.mark.slow


def test_a_baseline_outside_its_interval_stops_the_sweep_before_any_training(tmp_path):
    workspace = Workspace(tmp_path)
    sweep = ("-m", "credit=uniform", *SMALL)
    done = workspace.run(*sweep, "+gate.scores={tiny-qwen2.5-vl: {kawhi_tiny: 99.9}}")
    assert done.returncode == 1
    assert "1 untrained models to evaluate before anything is trained" in done.stdout
    assert "error: the untrained model does not have the paper's score, so nothing is trained" in done.stderr
    assert "set gate.stop=false to go on" in done.stderr
    assert not list(workspace.folder.glob("runs/*/*/train"))
    (record,) = workspace.folder.glob("records/*.json")
    assert "baseline" in record.name
    # The same sweep with a score that the model has goes on to train; the baseline is not evaluated again.
    seen = record.stat().st_mtime_ns
    done = workspace.run(*sweep, "+gate.scores={tiny-qwen2.5-vl: {kawhi_tiny: 42}}")
    assert done.returncode == 0, done.stderr
    assert "is in [" in done.stdout
    assert record.stat().st_mtime_ns == seen
    assert len(list(workspace.folder.glob("records/*.json"))) == 2
