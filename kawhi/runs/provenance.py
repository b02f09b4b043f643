"""Whether a cell's numbers may stand beside a paper's: ``measured``, or ``tiny`` for the CPU world and rehearsals."""

from __future__ import annotations

from omegaconf import DictConfig

from kawhi.base.errors import CellError
from kawhi.base.stage import evaluates, trains
from kawhi.evaluation.benchmark import exists, load


def provenance(cell: DictConfig) -> str:
    """``tiny`` of a rehearsal, on a CPU, and where anything that the cell uses is drawn; else ``measured``."""
    return "tiny" if cell.scale.device == "cpu" or rehearsed(cell) or drawn(cell) else "measured"


def rehearsed(cell: DictConfig) -> bool:
    """Whether ``kawhi rehearse`` made the cell, which may then be drawn on a GPU."""
    return bool(cell.get("rehearsal"))


def drawn(cell: DictConfig) -> list[str]:
    """What of a cell's model, data and benchmarks is made for the tiny world, as far as its study uses them."""
    found = [f"model {cell.model.name}"] * bool(cell.model.get("drawn"))
    if trains(cell) or cell.study.name == "grounding":
        own_file = cell.data.get("train_file")  # stands in the place of drawn problems
        found += [f"data {cell.data.name}"] * bool(cell.data.get("drawn") and not own_file)
    if evaluates(cell):
        tasks = [benchmark.task for benchmark in cell.benchmarks]
        found += [f"benchmark {task}" for task in tasks if exists(task) and not load(task).data]
    return found


def validate_drawn(cell: DictConfig) -> None:
    """Raises:
    CellError: something drawn on a GPU, whose numbers would look like measured ones.
    """
    if cell.scale.device != "cpu" and not rehearsed(cell) and (found := drawn(cell)):
        raise CellError(
            f"{', '.join(found)}: drawn for the CPU world, and scale={cell.scale.name} is on {cell.scale.device}; "
            "choose others (as model=qwen2_5_vl_7b data=geo3k benchmarks=math), or scale=cpu"
        )
