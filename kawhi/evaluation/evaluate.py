"""Stage ``evaluate``: a model on benchmarks, through lmms-eval, and the judge's verdicts.

    python -m kawhi.evaluation.evaluate RUN_DIRECTORY EVALUATION ...

First all benchmarks are generated, each in a process of its own (:mod:`kawhi.evaluation.generate`), then all that need
a judge are judged, so that policy and judge never share the devices.  What another judge was asked about already is not
generated again.  ``score.json`` exists only when what came back was found to be complete and consistent.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.processes import die_with_parent, last_error
from kawhi.base.published import fetched_model
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import trains
from kawhi.evaluation.benchmark import load
from kawhi.evaluation.judge import Judge
from kawhi.evaluation.judge_server import judging
from kawhi.evaluation.responses_again import take_responses
from kawhi.evaluation.results import GENERATION, SCORE
from kawhi.evaluation.scoring import score
from kawhi.evaluation.serving import gpus_free, parallel_options, served


def evaluate(cell: DictConfig, run_directory: RunDirectory, evaluations: Sequence[RunDirectory]) -> None:
    """Does what is missing.

    Args:
        cell: what all of them were asked for with, but for their benchmarks.
        evaluations: of this run directory.

    Raises:
        CellError: a benchmark has no score; what was computed is kept, and the next call does the rest.
    """
    open_ones = [each for each in evaluations if not (each.path / SCORE).exists()]
    for each in open_ones:
        if not _generated(each):
            take_responses(each)
    failures = generate_all(cell, run_directory, [each for each in open_ones if not _generated(each)])
    failures += score_all(cell, run_directory, [each for each in open_ones if _generated(each)])
    if failures:
        raise CellError("; ".join(failures))


def generate_all(cell: DictConfig, run_directory: RunDirectory, evaluations: Sequence[RunDirectory]) -> list[str]:
    """Generates benchmarks; returns one sentence for each that failed."""
    if not evaluations:
        return []
    if trains(cell) and not run_directory.merged.is_dir():
        raise CellError(
            f"{run_directory.merged} is gone (keep.merged=false), so the trained model cannot be asked any more: move "
            f"{run_directory.path} away to train it again"
        )
    untrained = cell.model.path, cell.model.get("revision")
    model = str(run_directory.merged) if trains(cell) else fetched_model(*untrained)
    failures = []
    with _policy(cell, run_directory, model) as url:
        for number, each in enumerate(evaluations, 1):
            print(f"benchmark {number}/{len(evaluations)}: {each.task}", flush=True)
            log, start = run_directory.log(f"generate-{each.task}"), time.monotonic()
            command = [sys.executable, "-m", "kawhi.evaluation.generate", str(each.path), model]
            with log.open("wb") as output:
                done = subprocess.run(
                    [*command, *([url] if url else [])],
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    preexec_fn=die_with_parent,
                )
            if done.returncode:
                failures.append(_reason(each.task, done.returncode, log))
            elif not _generated(each):
                failures.append(f"generating {each.task} ended without a result (log: {log})")
            else:
                _note_seconds(each, "generate", start)
    return failures


def score_all(cell: DictConfig, run_directory: RunDirectory, evaluations: Sequence[RunDirectory]) -> list[str]:
    """Judges and scores generated benchmarks; returns one sentence for each that failed."""
    judged = [each for each in evaluations if load(each.task).judged]
    failures = _score([each for each in evaluations if each not in judged], None)
    if judged:
        block: Any = OmegaConf.to_container(cell.judge, resolve=True) if cell.judge else None
        environment = dict(cell.environment_variables)
        with judging(block, log=run_directory.log("judge_server"), environment=environment) as judge:
            failures += _score(judged, judge)
    return failures


def _score(evaluations: Sequence[RunDirectory], judge: Judge | None) -> list[str]:
    failures = []
    for each in evaluations:
        print(f"scoring {each.task}", flush=True)
        start = time.monotonic()
        try:
            score(each.path, load(each.task), judge)
            _note_seconds(each, "score", start)
        except CellError as error:
            failures.append(str(error))
    return failures


def _note_seconds(evaluation: RunDirectory, stage: str, start: float) -> None:
    write_json(evaluation.stage(stage), {"seconds": round(time.monotonic() - start, 3), "memory_gib": None})


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
        limit_key="evaluation.server.start",
        environment={"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else None,
    ) as url:
        yield url


def _generated(evaluation: RunDirectory) -> bool:
    return (evaluation.path / GENERATION).exists()


def _reason(task: str, code: int, log: Path) -> str:
    if code < 0:
        return f"generating {task} was ended by signal {-code} (log: {log})"
    return f"{task}: {last_error(log.read_text(errors='replace')).removeprefix('CellError: ')} (log: {log})"


def main(run: str, *names: str) -> None:
    run_directory = RunDirectory(Path(run))
    evaluations = [run_directory.evaluation(name) for name in names]
    try:
        evaluate(evaluations[0].load_config(), run_directory, evaluations)
    except CellError as error:
        print(f"CellError: {error}", file=sys.stderr)
        sys.exit(getattr(error, "code", 1))


if __name__ == "__main__":
    main(*sys.argv[1:])
