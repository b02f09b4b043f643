"""Stage ``evaluate``: the trained model on every benchmark of the cell, through lmms-eval, and the judge's verdicts.

First all benchmarks are generated, each in a process of its own (:mod:`kawhi.evaluation.generate`), then all that need
a judge are judged, so that policy and judge never share the devices.  ``eval/<task>/score.json`` exists only when what
came back was found to be complete and consistent.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.base.checkout import resolve_package_paths
from kawhi.base.errors import CellError
from kawhi.base.processes import die_with_parent, last_error
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import stage_main, trains
from kawhi.evaluation.benchmark import load
from kawhi.evaluation.judge import Judge
from kawhi.evaluation.judge_server import judging
from kawhi.evaluation.scoring import score
from kawhi.evaluation.serving import gpus_free, parallel_options, served


def evaluate(cell: DictConfig, run_directory: RunDirectory) -> None:
    """Does what is missing.

    Raises:
        CellError: a benchmark has no score; what was computed is kept, and the next call does the rest.
    """
    open_ones = [b.task for b in cell.benchmarks if not (run_directory.evaluation(b.task) / "score.json").exists()]
    failures = generate_all(cell, run_directory, [t for t in open_ones if not _generated(run_directory, t)])
    failures += score_all(cell, run_directory, [t for t in open_ones if _generated(run_directory, t)])
    if failures:
        raise CellError("; ".join(failures))


def generate_all(cell: DictConfig, run_directory: RunDirectory, tasks: list[str]) -> list[str]:
    """Generates benchmarks; returns one sentence for each that failed."""
    if not tasks:
        return []
    model = str(run_directory.merged if trains(cell) else resolve_package_paths(cell.model.path))
    failures = []
    with _policy(cell, run_directory, model) as url:
        for number, task in enumerate(tasks, 1):
            print(f"benchmark {number}/{len(tasks)}: {task}", flush=True)
            log = run_directory.log(f"generate-{task}")
            command = [sys.executable, "-m", "kawhi.evaluation.generate", str(run_directory.path), task, model]
            with log.open("wb") as output:
                done = subprocess.run(
                    [*command, *([url] if url else [])],
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    preexec_fn=die_with_parent,
                )
            if done.returncode:
                failures.append(_reason(task, done.returncode, log))
            elif not _generated(run_directory, task):
                failures.append(f"generating {task} ended without a result (log: {log})")
    return failures


def score_all(cell: DictConfig, run_directory: RunDirectory, tasks: list[str]) -> list[str]:
    """Judges and scores generated benchmarks; returns one sentence for each that failed."""
    judged = [task for task in tasks if load(task).judged]
    failures = _score(run_directory, [task for task in tasks if task not in judged], None)
    if judged:
        block: Any = OmegaConf.to_container(cell.judge, resolve=True) if cell.judge else None
        with judging(
            block, log=run_directory.log("judge_server"), environment=dict(cell.environment_variables)
        ) as judge:
            failures += _score(run_directory, judged, judge)
    return failures


def _score(run_directory: RunDirectory, tasks: list[str], judge: Judge | None) -> list[str]:
    failures = []
    for task in tasks:
        print(f"scoring {task}", flush=True)
        try:
            score(run_directory.evaluation(task), load(task), judge)
        except CellError as error:
            failures.append(str(error))
    return failures


@contextmanager
def _policy(cell: DictConfig, run_directory: RunDirectory, model: str) -> Iterator[str | None]:
    """Address of the policy's server; ``None`` for the Hugging Face backend."""
    options = cell.evaluation
    if options.backend == "hugging_face":
        yield None
        return
    if options.backend != "vllm":
        raise CellError(f"evaluation.backend={options.backend} is not one of hugging_face, vllm")
    gpus = gpus_free() if cell.scale.device == "cuda" else []
    pixels = {"min_pixels": options.min_pixels, "max_pixels": options.max_pixels}
    with served(
        model,
        name=cell.model.name,
        port=None,
        options=[
            *options.server.options,
            *("--dtype", options.dtype),
            *("--generation-config", "vllm"),  # else the checkpoint's own repetition penalty is added in silence
            *("--mm-processor-kwargs", json.dumps(pixels)),
            *parallel_options(len(gpus) if gpus else 1, options.server.tensor_parallel),
        ],
        log=run_directory.log("policy_server"),
        limit=options.server.start,
        environment={"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else None,
    ) as url:
        yield url


def _generated(run_directory: RunDirectory, task: str) -> bool:
    return (run_directory.evaluation(task) / "generation.json").exists()


def _reason(task: str, code: int, log: Path) -> str:
    if code < 0:
        return f"generating {task} was ended by signal {-code} (log: {log})"
    return f"{task}: {last_error(log.read_text(errors='replace')).removeprefix('CellError: ')} (log: {log})"


if __name__ == "__main__":
    stage_main(evaluate)
