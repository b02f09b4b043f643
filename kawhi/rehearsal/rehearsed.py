"""The cells of a rehearsal: composed as at full scale, then with the substitutions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from kawhi.base.checkout import configuration_folder
from kawhi.base.devices import visible_gpus
from kawhi.base.errors import CellError
from kawhi.base.stage import trains
from kawhi.rehearsal.benchmark_rows import replies, write_rows
from kawhi.rehearsal.model_stand_in import PUBLISHED
from kawhi.rehearsal.substitutions import OF_SIZE, Substituted, Substitution, of_a_cpu, of_gpus, substitute
from kawhi.runs.composing import compose_cell, compose_cells, untrained
from kawhi.runs.gate import gated

DEFAULTS = ("experiment=main_table", "scale=h200x8")
JUDGE = "Qwen/Qwen3-VL-4B-Instruct"
"""What the judge's stand-in is like: no mixture of experts, which would not be small."""


@dataclass
class Rehearsed:
    """A cell and the untrained model of its gate.

    Attributes:
        overrides: what both are composed with.
        published: ``model.path`` at full scale.
        substituted: what was changed in ``cell``; in ``baseline`` it is the same.
    """

    cell: DictConfig
    baseline: DictConfig
    overrides: list[str]
    published: str
    pixels: tuple[int, int]
    substituted: list[Substituted]


def compose(words: Sequence[str]) -> tuple[list[DictConfig], list[list[str]]]:
    """The trainings that the words ask for, as they are at full scale, and the overrides of each.

    Raises:
        CellError: there is none among them, or one whose model nobody can stand in for.
    """
    names = {word.partition("=")[0].replace("ablation", "experiment") for word in words}
    asked = [*(default for default in DEFAULTS if default.partition("=")[0] not in names), *words]
    cells, rows = compose_cells(configuration_folder(), asked)
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


def prepared(cell: DictConfig, overrides: list[str], folder: Path) -> Rehearsed:
    """A cell with the substitutions of this machine, and its untrained model; benchmark rows are written."""
    conf = configuration_folder()
    baseline, cpu = compose_cell(conf, untrained(overrides)), compose_cell(conf, ["scale=cpu"])
    gpus = len(visible_gpus())
    wanted = [*_here(cell, folder, on_cpu=not gpus), *OF_SIZE, *(of_gpus(gpus) if gpus else of_a_cpu(cpu))]
    published, pixels = cell.model.path, (cell.evaluation.min_pixels, cell.evaluation.max_pixels)
    found = substitute(cell, wanted)
    substitute(baseline, wanted)
    return Rehearsed(cell, baseline, overrides, published, pixels, found)


def judge_says(cell: DictConfig) -> list[str]:
    """What a judge of this cell's benchmarks may reply."""
    return sorted({reply for benchmark in cell.benchmarks for reply in replies(benchmark.task)})


def _here(cell: DictConfig, folder: Path, *, on_cpu: bool) -> list[Substitution]:
    """What stands in this rehearsal's folder."""
    found = [
        Substitution(f"paths.{name}", str(folder / name), "a folder of its own") for name in ("runs", "records", "data")
    ]
    found.append(Substitution("model.path", str(folder / "models" / "policy"), "random, with its heads and vocabulary"))
    for number, benchmark in enumerate(cell.benchmarks):
        file = folder / "benchmarks" / f"{benchmark.task}.parquet"
        key, why = f"benchmarks.{number}", "example rows in the data set's own schema"
        found.append(Substitution(f"{key}.data_file", str(file), why))
        found.append(Substitution(f"{key}.problems", write_rows(benchmark.task, file), why))
    if gated(cell):
        known = {cell.model.name: {benchmark.task: 50 for benchmark in cell.benchmarks}}
        found.append(Substitution("gate.scores", known, "a handful of rows pass the gate at any score"))
    found.append(Substitution("validity.duplicated", 1.0, "example rows share pictures and questions"))
    if cell.judge:
        found.append(Substitution("judge.model", str(folder / "models" / "judge"), "random, but for a few replies"))
        found.append(Substitution("judge.attempts", 25, "the judge's stand-in picks one of its replies at random"))
    return [*found, *(_served_on_a_cpu(cell) if on_cpu else ())]


def _served_on_a_cpu(cell: DictConfig) -> Iterator[Substitution]:
    """What `vllm serve` needs to start on a CPU within a minute."""
    why = "nothing is compiled on a CPU, nor the largest picture tried before vLLM starts"
    more = ["--enforce-eager", "--skip-mm-profiling"]
    yield Substitution("evaluation.server.options", [*cell.evaluation.server.options, *more], why)
    if cell.judge:
        yield Substitution("judge.serve.options", [*cell.judge.serve.options, *more], why)
        yield Substitution("judge.serve.device", "cpu", "there is no GPU")
