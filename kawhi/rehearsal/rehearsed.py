"""The cells of a rehearsal: composed as at full scale, then with the substitutions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.base.checkout import configuration_folder
from kawhi.base.devices import visible_gpus
from kawhi.base.errors import CellError
from kawhi.base.stage import trains
from kawhi.rehearsal.benchmark_rows import replies, write_rows
from kawhi.rehearsal.model_stand_in import PUBLISHED, sizes
from kawhi.rehearsal.real_model import REAL
from kawhi.rehearsal.substitutions import (
    CACHE_BLOCKS,
    Substituted,
    Substitution,
    of_a_cpu,
    of_gpus,
    of_size,
    substitute,
)
from kawhi.runs.composing import compose_cell, compose_cells, untrained
from kawhi.runs.gate import gated

DEFAULTS = ("experiment=main_table", "scale=h200x8")
NO_TABLE = "experiment=null"
"""One cell by itself; Hydra does not take the word."""
JUDGE = "Qwen/Qwen3-VL-4B-Instruct"
"""What the judge's stand-in is like: no mixture of experts, which would not be small."""


@dataclass
class Rehearsed:
    """A cell and the untrained model of its gate.

    Attributes:
        overrides: what both are composed with.
        published: ``model.path`` at full scale.
        substituted: what was changed in ``cell``; in ``baseline`` it is the same.
        real: whether model and data are the published ones.
    """

    cell: DictConfig
    baseline: DictConfig
    overrides: list[str]
    published: str
    pixels: tuple[int, int]
    substituted: list[Substituted]
    real: bool = False


def compose(words: Sequence[str], real: str = "") -> tuple[list[DictConfig], list[list[str]]]:
    """The trainings that the words ask for, as they are at full scale, and the overrides of each.

    Args:
        real: a key of :data:`REAL`: all of them train that model.

    Raises:
        CellError: there is none among them, or one whose model nobody can stand in for.
    """
    names = {word.partition("=")[0].replace("ablation", "experiment") for word in words}
    asked = [*(default for default in DEFAULTS if default.partition("=")[0] not in names), *words]
    asked = [word for word in asked if word != NO_TABLE]
    cells, rows = compose_cells(configuration_folder(), asked)
    if real:
        others = ([word for word in row if not word.startswith("model=")] for row in rows)
        rows = [[*each, f"model={REAL[real]}"] for each in dict.fromkeys(map(tuple, others))]
        cells = [compose_cell(configuration_folder(), row) for row in rows]
    found = [(cell, row) for cell, row in zip(cells, rows, strict=True) if trains(cell)]
    if not found:
        raise CellError(f"{' '.join(asked)} trains nothing that could be rehearsed")
    for cell, _ in found:
        if cell.model.path not in PUBLISHED:
            raise CellError(f"nobody stands in for {cell.model.path}: choose a model of {', '.join(PUBLISHED)}")
    return [cell for cell, _ in found], [row for _, row in found]


def first_of(cells: Sequence[DictConfig]) -> int:
    """The cell to rehearse where one is enough: the first with KAWHI's weights, or else the first."""
    return next((number for number, cell in enumerate(cells) if cell.kawhi.method == "kawhi"), 0)


def prepared(cell: DictConfig, overrides: list[str], folder: Path, *, real: bool = False) -> Rehearsed:
    """A cell with the substitutions of this machine, and its untrained model; benchmark rows are written.

    Args:
        real: leave the published model in its place.
    """
    conf = configuration_folder()
    baseline, cpu = compose_cell(conf, untrained(overrides)), compose_cell(conf, ["scale=cpu"])
    gpus = len(visible_gpus())
    size = of_size(gpus, cell.verl.actor_rollout_ref.rollout.n)
    wanted = [*_here(cell, folder, on_cpu=not gpus), *size, *(of_gpus(gpus) if gpus else of_a_cpu(cell, cpu))]
    if not real:
        wanted += _stand_in(cell, folder)
    published, pixels = cell.model.path, (cell.evaluation.min_pixels, cell.evaluation.max_pixels)
    found = substitute(cell, wanted)
    substitute(baseline, wanted)
    return Rehearsed(cell, baseline, overrides, published, pixels, found, real)


def judge_says(cell: DictConfig) -> list[str]:
    """What a judge of this cell's benchmarks may reply."""
    return sorted({reply for benchmark in cell.benchmarks for reply in replies(benchmark.task)})


def _stand_in(cell: DictConfig, folder: Path) -> Iterator[Substitution]:
    """The policy's."""
    published = cell.model.path
    yield Substitution("model.path", str(folder / "models" / "policy"), "random, with its heads and vocabulary")
    yield Substitution("model.sizes", sizes(published), "the stand-in's, which fits where the published model does not")


def _here(cell: DictConfig, folder: Path, *, on_cpu: bool) -> list[Substitution]:
    """What stands in this rehearsal's folder."""
    found = [
        Substitution(f"paths.{name}", str(folder / name), "a folder of its own") for name in ("runs", "records", "data")
    ]
    for number, benchmark in enumerate(cell.benchmarks):
        file = folder / "benchmarks" / f"{benchmark.task}.parquet"
        key, why = f"benchmarks.{number}", "example rows in the data set's own schema"
        found.append(Substitution(f"{key}.data_file", str(file), why))
        found.append(Substitution(f"{key}.problems", write_rows(benchmark.task, file), why))
    if gated(cell):
        known = {cell.model.name: {benchmark.task: 50 for benchmark in cell.benchmarks}}
        found.append(Substitution("gate.scores", known, "a handful of rows pass the gate at any score"))
    found.append(Substitution("validity.duplicated", 1.0, "example rows share pictures and questions"))
    if on_cpu:
        options = [*cell.evaluation.server.options, *_ON_A_CPU]
        found.append(
            Substitution(
                "evaluation.server.options", options, "nothing is compiled, no largest picture tried, and memory"
            )
        )
    return [*found, *(_judge(cell, folder, on_cpu=on_cpu) if cell.judge else ())]


_ON_A_CPU = ("--enforce-eager", "--skip-mm-profiling", "--num-gpu-blocks-override", str(CACHE_BLOCKS))
"""What `vllm serve` needs to start on a CPU within a minute, and to take little memory."""


def _judge(cell: DictConfig, folder: Path, *, on_cpu: bool) -> Iterator[Substitution]:
    """The judge's stand-in, which is started here, also in the place of a server that is running elsewhere."""
    own = (
        cell.judge.get("serve")
        or OmegaConf.load(configuration_folder() / "judge" / "qwen3_vl_30b_a3b.yaml").judge.serve
    )
    serve: Any = OmegaConf.to_container(own, resolve=True)
    if on_cpu:
        serve |= {"device": "cpu", "options": [*serve["options"], *_ON_A_CPU]}
    why = "the judge's stand-in is started here" + ", without a GPU" * on_cpu
    yield Substitution("judge.base_url", None, why)
    yield Substitution("judge.serve", serve, why)
    yield Substitution("judge.model", str(folder / "models" / "judge"), "random, but for a few replies")
    yield Substitution("judge.attempts", 25, "the judge's stand-in picks one of its replies at random")
    yield Substitution("judge.concurrency", 1, "as often as the stand-in is asked, it says the same to all at once")
