"""What Slurm is asked for when jobs are submitted; the jobs themselves run in tests/slurm."""

from __future__ import annotations

import shlex
import sys

import pytest

from kawhi.base.errors import CellError
from kawhi.cluster import submit
from kawhi.doctor.needs import Needs
from kawhi.queue.submission import Submission
from tests.cells import CONF, cell


@pytest.mark.parametrize("container", ["apptainer exec --nv image.sif python", None])
def test_a_job_s_python_is_the_site_s_container_s_or_the_launcher_s(tmp_path, monkeypatch, container):
    asked = []

    class Executor:
        def __init__(self, folder, python):
            asked.append(shlex.split(python))
            raise submit.submitit.core.utils.FailedJobError("enough")

    monkeypatch.setattr(submit.submitit, "SlurmExecutor", Executor)
    if container:
        monkeypatch.setenv("KAWHI_JOB_PYTHON", container)
    else:
        monkeypatch.delenv("KAWHI_JOB_PYTHON", raising=False)
    with pytest.raises((CellError, submit.submitit.core.utils.FailedJobError)):
        submit.submit_array(Submission(tmp_path, tmp_path), "train", [], {}, None)
    assert asked[0][3:] == (shlex.split(container) if container else [sys.executable])


@pytest.mark.parametrize(
    ("gres", "option", "words"),
    [(None, "gpus_per_node", "8"), ("gpu", "gres", "gpu:8"), ("gpu:h200", "gres", "gpu:h200:8")],
)
def test_gpus_are_asked_for_as_the_site_says(tmp_path, monkeypatch, gres, option, words):
    if gres:
        monkeypatch.setenv("KAWHI_GRES", gres)
    else:
        monkeypatch.delenv("KAWHI_GRES", raising=False)
    asked = cell(tmp_path, "scale=h200x8", "model=qwen2_5_vl_7b", "data=geo3k", "benchmarks=math")
    parameters = submit.resources(asked, 60)
    assert {key: parameters.get(key) for key in ("gpus_per_node", "gres")} == {
        "gpus_per_node": None,
        "gres": None,
        option: words,
    }
    assert f"--{option.replace('_', '-')}={words}" in Needs.of(CONF, "h200x8").options()
    script = submit.submitit.slurm.slurm._make_sbatch_string(
        "true", tmp_path, **{key: value for key, value in parameters.items() if key != "signal_delay_s"}
    )
    assert f"#SBATCH --{option.replace('_', '-')}={words}\n" in script
