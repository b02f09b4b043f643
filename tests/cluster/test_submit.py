"""What Slurm is asked for when jobs are submitted; the jobs themselves run in tests/slurm."""

from __future__ import annotations

import shlex
import sys

import pytest

from kawhi.base.errors import CellError
from kawhi.cluster import submit
from kawhi.queue.submission import Submission


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
