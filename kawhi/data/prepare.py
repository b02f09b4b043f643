"""Stage ``prepare``: the data files of a cell, made once and shared by all cells that need the same ones."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from kawhi.data import schema
from kawhi.runs.identity import CellError
from kawhi.runs.rundir import RunDirectory, write_json
from kawhi.runs.stage import evaluates, stage_main, trains
from kawhi.runs.validation import validate_benchmarks, validate_credit
from kawhi.tiny.fingerprint import generator_fingerprint
from kawhi.tiny.world import Split


def prepare(cell: DictConfig, run_directory: RunDirectory) -> None:
    """Writes ``data.json``: path of the training, validation and benchmark files.

    Raises:
        CellError: a file that training cannot use; the message names the row.
    """
    validate_credit(cell)
    if evaluates(cell):
        validate_benchmarks(cell)
    if cell.study.name == "grounding":
        files = {"problems": tiny_file(cell, "heldout", cell.study.problems, cell.study.seed)}
    else:
        files = (training_files(cell) if trains(cell) else {}) | (benchmark_files(cell) if evaluates(cell) else {})
    for path in files.values():
        try:
            rows = schema.check(Path(path))
        except ValueError as error:
            raise CellError(f"{error}; mend or drop that row") from error
        print(f"{path}: {rows} rows")
    write_json(run_directory.path / "data.json", {name: str(path) for name, path in files.items()})


def training_files(cell: DictConfig, *, make: bool = True) -> dict[str, Path]:
    """Training and validation file; with ``make=False`` a drawn one may not be there yet."""
    data = cell.data
    return {
        "train": Path(data.train_file or tiny_file(cell, "train", data.train_problems, data.seed, make=make)),
        "validation": Path(
            data.validation_file or tiny_file(cell, "validation", data.validation_problems, data.seed, make=make)
        ),
    }


def benchmark_files(cell: DictConfig) -> dict[str, Path]:
    """The file of each drawn benchmark; lmms-eval fetches those of its own tasks."""
    return {b.task: tiny_file(cell, "heldout", b.problems, b.seed) for b in cell.benchmarks if "problems" in b}


def tiny_file(cell: DictConfig, split: Split, count: int, seed: int, *, make: bool = True) -> Path:
    """A split of the tiny world at the model's image size, drawn if asked; the file name tells what is in it."""
    from kawhi.tiny.dataset import write_split

    name = f"{split}-{count}x{cell.model.image_size}px-s{seed}-{generator_fingerprint()}.parquet"
    path = Path(cell.paths.data) / "tiny" / name
    if make and not path.exists():
        write_split(path, split, count, cell.model.image_size, seed)
    return path


if __name__ == "__main__":
    stage_main(prepare)
