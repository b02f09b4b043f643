"""Arrays of jobs through submitit 1.5.4, which writes the sbatch file and carries our objects to the node."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import submitit
from omegaconf import DictConfig, OmegaConf

from kawhi.base.errors import CellError
from kawhi.queue.site import gpus_option
from kawhi.queue.submission import Submission

_DEAF = """bash -c 'trap "" USR2; exec "$0" "$@"'"""
"""Until it is heeded, Slurm's notice must not end a job: one that fails while it is preempted is not queued again."""


def resources(cell: DictConfig, minutes: int, *, devices: bool = True) -> dict[str, Any]:
    """submitit's parameters for a job of this cell's scale."""
    wanted: Any = OmegaConf.to_container(cell.scale.slurm, resolve=True)
    parameters: dict[str, Any] = {
        "time": minutes,
        "nodes": cell.verl.trainer.nnodes if devices else 1,
        "ntasks_per_node": 1,
        "cpus_per_task": wanted["cpus"] if devices else 1,
        # A table saves nothing, and its limit may be shorter than the notice, which would then come at its start.
        "signal_delay_s": wanted["notice"] if devices else 1,
    }
    if devices:
        parameters["mem"] = f"{wanted['memory_gib']}G" if wanted["memory_gib"] else "0"
    if devices and cell.scale.device != "cpu":
        option, value = gpus_option(cell.verl.trainer.n_gpus_per_node)
        parameters[option.replace("-", "_")] = value
    return parameters


def submit_array(
    submission: Submission,
    name: str,
    work: Sequence[Callable[[], None]],
    parameters: dict[str, Any],
    dependency: str | None,
) -> str:
    """Submits one array, or one job where there is only one; returns its id.

    Raises:
        CellError: Slurm refuses it.
    """
    python = os.environ.get("KAWHI_JOB_PYTHON") or shlex.quote(sys.executable)
    executor = submitit.SlurmExecutor(submission.logs, python=f"{_DEAF} {python}")
    more = {"chdir": str(submission.snapshot), "requeue": True, "kill-on-invalid-dep": "yes"}
    setup = os.environ.get("KAWHI_SETUP")
    executor.update_parameters(
        comment=submission.comment(name),
        stderr_to_stdout=True,
        # srun does not hand the job's processors to its step by itself since Slurm 22.05.
        setup=[*([setup] if setup else []), 'export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"'],
        srun_args=shlex.split(os.environ.get("KAWHI_SRUN_ARGS", "")) or None,
        additional_parameters=more | ({"dependency": dependency} if dependency else {}),
        **parameters,
    )
    try:
        with _environment(submission.snapshot), executor.batch():
            jobs = [executor.submit(one) for one in work]
        first = str(jobs[0].job_id)
    except submitit.core.utils.FailedJobError as error:
        raise CellError(f"Slurm refused the jobs of {name}: {' '.join(str(error).split())[-400:]}") from error
    return first.split("_")[0]


@contextmanager
def _environment(snapshot: Path) -> Iterator[None]:
    """What the jobs inherit: the copied code first; nothing of a job that this launcher may itself run in."""
    before = dict(os.environ)
    for key in before:
        if key.startswith(("SLURM_", "SLURMD_", "SRUN_")) and key != "SLURM_CONF":
            del os.environ[key]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(snapshot), *filter(None, [before.get("PYTHONPATH")])])
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
