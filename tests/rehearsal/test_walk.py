"""What a walk checks beside the exit codes of its stages, and how it says where it stopped."""

from __future__ import annotations

import sys

import pytest

from kawhi.base.errors import CellError
from kawhi.base.rundir import RunDirectory
from kawhi.rehearsal import walk as module
from kawhi.rehearsal.rehearse import show_substituted
from kawhi.rehearsal.substitutions import Substituted
from kawhi.rehearsal.walk import Walk, require_same_reference
from kawhi.runs.stages import StageFailed


@pytest.mark.parametrize("found", [0.0, 2e-6, -2e-6])
def test_a_reference_that_sees_what_the_actor_sees_is_fine(found):
    require_same_reference([{"step": 1, "actor/kl_loss": found}, {"step": 2, "actor/kl_loss": 0.3}])


@pytest.mark.parametrize("found", [8e-4, -8e-4, float("nan")])
def test_a_reference_without_its_images_is_found(found):
    with pytest.raises(CellError, match=r"actor/kl_loss is .* at step 1, .* e\.g\. no images"):
        require_same_reference([{"step": 1, "actor/kl_loss": found}])


@pytest.mark.parametrize("code", [1, 75])
def test_the_stage_that_failed_is_named_and_its_exit_code_passed_on(tmp_path, monkeypatch, code):
    """In the place of a cell's process one that fails as it does."""
    monkeypatch.setattr(module, "_PYTHON", str(tmp_path / "python"))
    (tmp_path / "python").write_text(f"#!{sys.executable}\nprint('noise'); print('error: x'); raise SystemExit({code})")
    (tmp_path / "python").chmod(0o755)
    walk = Walk(None, tmp_path)
    with (
        pytest.raises(StageFailed, match=r"^the rehearsal stopped at the stage gate: x$") as failed,
        walk._stage("gate"),
    ):
        walk._execute(RunDirectory(tmp_path / "run"), "evaluate")
    assert failed.value.code == code
    assert list(walk.seconds) == ["gate"]


def test_the_list_of_substitutions_cuts_nothing_off(capsys):
    key, after = "verl_added.actor_rollout_ref.rollout.engine_kwargs.vllm.num_gpu_blocks_override", "x" * 90
    show_substituted([Substituted(key, None, after, "why " * 30)])
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert printed.count("x") == len(after)
