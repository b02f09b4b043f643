"""What ``kawhi tokens`` asks, and whom: names on a command line become questions and models."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from kawhi.base.checkout import configuration_folder
from kawhi.base.errors import CellError
from kawhi.base.published import model_place
from kawhi.base.rundir import RunDirectory
from kawhi.commands.named import data_file, named_model
from kawhi.evaluation.benchmark import load
from kawhi.evaluation.results import SAMPLES, only_evaluation
from kawhi.explain.checkpoint import model_folder
from kawhi.lab.policy import Policy
from kawhi.lab.rollouts import Item, item_of
from kawhi.lab.token_run import Asked, boxed, reward_of
from kawhi.probes.questions import Question, of_benchmark, of_evaluation, of_file
from kawhi.tiny.fingerprint import generator_fingerprint
from kawhi.tiny.worlds import WORLDS, problems_of

SIDE = 16
"""Visual tokens along the side of a drawing for a model whose images have no size of their own."""


@dataclass(frozen=True)
class Source:
    """Where questions come from.

    Attributes:
        fingerprint: of what is asked.
        questions: for a policy and a seed.
        models: whose responses they come with.
    """

    name: str
    fingerprint: str
    questions: Callable[[Policy, int], Iterator[Asked]]
    models: tuple[str, ...] = ()


def questions_of(data: str | None, samples: Path | None) -> Source:
    """What ``--data`` or ``--samples`` names.

    Raises:
        CellError: both, neither, or nothing that there is.
    """
    if (data is None) == (samples is None):
        raise CellError("say --data or --samples: questions to be answered, or an evaluation with its responses")
    if samples is not None:
        return _of_samples(only_evaluation(samples))
    assert data is not None
    if data in WORLDS:
        return Source(data, generator_fingerprint(data), partial(_drawn, data))
    if entry := _entries().get(data):
        if not load(data).data:
            raise CellError(f"the rows of {data} are drawn: name the world itself, {', '.join(WORLDS)}")
        return Source(data, yaml.safe_dump(entry), _asked(partial(of_benchmark, entry)))
    file = data_file(data)
    return Source(Path(data).stem, _digest(file), _asked(partial(of_file, file, reward_of)))


def _of_samples(evaluation: RunDirectory) -> Source:
    digest = _digest(evaluation.path / SAMPLES)
    return Source(
        evaluation.path.name,
        digest,
        _asked(partial(of_evaluation, evaluation)),
        models=(str(evaluation.evaluated.path),),
    )


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _entries() -> dict[str, dict[str, Any]]:
    """Entries of ``conf/benchmarks`` by their task; of several, the first."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((configuration_folder() / "benchmarks").glob("*.yaml")):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["benchmarks"]:
            found.setdefault(entry["task"], entry)
    return found


def _asked(questions: Callable[[], Iterator[Question]]) -> Callable[[Policy, int], Iterator[Asked]]:
    def made(policy: Policy, seed: int) -> Iterator[Asked]:
        for each in questions():
            yield Asked(Item(each.index, each.image, each.text, "", each.readings), each.right, each.response)

    return made


def _drawn(world: str, policy: Policy, seed: int) -> Iterator[Asked]:
    images = policy.processor.image_processor
    pixels = images.patch_size * images.merge_size
    side = min(SIDE, math.isqrt(images.size["longest_edge"]) // pixels)
    for index, problem in enumerate(problems_of(world, "heldout", seed)):
        item = item_of(index, problem, side * pixels)
        yield Asked(item, partial(boxed, item.answer))


@dataclass(frozen=True)
class Model:
    """A checkpoint.

    Attributes:
        overrides: of ``conf/run.yaml``, for its critical heads.
    """

    folder: str
    overrides: tuple[str, ...]


def chosen_model(name: str) -> Model:
    """What ``--model`` names: a file of ``conf/model``, a training's folder, a checkpoint, or one of the hub's cache.

    Raises:
        ValueError: none of them.
    """
    run = RunDirectory(Path(name))
    if run.config.is_file():
        cell = run.load_config()
        place = str(run.merged) if run.merged.is_dir() else model_place(cell.model.path, cell.model.get("revision"))
        heads = cell.model.critical_heads
    else:
        place, heads = named_model(name)
    listed = "null" if heads is None else f"[{','.join(map(str, heads))}]"
    overrides = ("model=tiny_qwen2_5_vl", f"model.critical_heads={listed}", "data=reading")
    return Model(str(model_folder(place)), overrides)
