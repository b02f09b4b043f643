"""The responses of one evaluation for another one that differs in its judge alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from kawhi.base.files import write_atomically, write_json
from kawhi.base.rundir import RunDirectory
from kawhi.evaluation.results import GENERATION, IMAGES, SAMPLES, open_evaluations, samples_of
from kawhi.evaluation.samples import Sample, write_samples

ORIGIN = "responses_from.json"
"""Which evaluation of the same model the responses are from."""


def with_own_responses(path: Path) -> list[RunDirectory]:
    """As :func:`kawhi.evaluation.results.open_evaluations`, of a run directory without those that were judged again."""
    every = open_evaluations(path)
    return [each for each in every if not (each.path / ORIGIN).exists()] or every


def take_responses(evaluation: RunDirectory) -> None:
    """Copies the responses of an evaluation that asked the same model the same, where there is one."""
    asked = _asked(evaluation)
    for other in evaluation.evaluated.evaluations():
        generated = (other.path / GENERATION).exists()
        if generated and other != evaluation and other.task == evaluation.task and _asked(other) == asked:
            copy_responses(other, evaluation)
            return


def copy_responses(source: RunDirectory, evaluation: RunDirectory) -> None:
    """Copies what was generated, without verdicts; the file that says that it is complete comes last."""
    write_json(evaluation.path / ORIGIN, {"from": source.path.name})
    for file in (*sorted(source.path.glob("responses*.jsonl")), source.path / IMAGES):
        if file.exists():
            shutil.copyfile(file, evaluation.path / file.name)
    write_samples(evaluation.path / SAMPLES, [without_verdict(sample) for sample in samples_of(source)])
    write_atomically(evaluation.path / GENERATION, (source.path / GENERATION).read_text())


def without_verdict(sample: Sample) -> Sample:
    """As before any judge saw it."""
    return replace(sample, score=None, extraction="", parts={}, replies=[])


def _asked(evaluation: RunDirectory) -> dict[str, Any]:
    """What responses depend on, beside the model; how long one waits for a server is no part of it."""
    config: Any = OmegaConf.to_container(evaluation.load_config(), resolve=True)
    asked = {"benchmark": config["benchmarks"][0], "evaluation": config["evaluation"]}
    asked["benchmark"].pop("title", None)
    for name in ("timeout", "attempts", "patience", "start"):
        asked["evaluation"]["server"].pop(name, None)
    return asked
