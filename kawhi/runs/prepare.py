"""Stage ``prepare``: the data files of a training, made once and shared by all that need the same ones."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import DictConfig

from kawhi.base.files import write_json
from kawhi.base.pixels import pixel_limits
from kawhi.base.published import model_place
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import evaluates, stage_main
from kawhi.data import schema
from kawhi.data.example_checks import RULES
from kawhi.data.file_checks import Tick, check_file
from kawhi.runs.evaluation_settings import require_benchmarks
from kawhi.runs.identity import no_data_file, prepare_command
from kawhi.tiny.drawn_files import tiny_file
from kawhi.tiny.worlds import named

_TOLD_EVERY = 10
"""Seconds."""


def prepare(cell: DictConfig, run_directory: RunDirectory) -> None:
    """Writes ``data.json``: path of the training and validation files, or of the problems of a study.

    Raises:
        CellError: a file that is missing or that training cannot use; the message names the rows.
    """
    if evaluates(cell):
        require_benchmarks(cell)
    if cell.study.name == "grounding":
        files = {"problems": tiny_file(cell, "heldout", cell.study.problems, cell.study.seed, named(cell.data))}
    else:
        files = training_files(cell)
    progress = _Progress(cell, run_directory)
    for path in files.values():
        print(f"{path}: {_checked(Path(path), cell, progress.tick)} rows")
    write_json(run_directory.path / "data.json", {name: str(path) for name, path in files.items()})


def training_files(cell: DictConfig, *, make: bool = True) -> dict[str, Path]:
    """Training and validation file; with ``make=False`` a drawn one may not be there yet."""
    data, world = cell.data, named(cell.data)
    return {
        "train": Path(data.train_file or tiny_file(cell, "train", data.train_problems, data.seed, world, make=make)),
        "validation": Path(
            data.validation_file or tiny_file(cell, "validation", data.validation_problems, data.seed, world, make=make)
        ),
    }


def _checked(path: Path, cell: DictConfig, tick: Tick) -> int:
    """Number of rows of a file that this cell can train on."""
    from kawhi.data.prompt_length import PromptLength

    if not path.is_file():
        raise no_data_file(path, cell.data.name)
    if path.resolve().parent == (Path(cell.paths.data) / "tiny").resolve():  # drawn in the model's size
        return check_file(path, tick=tick)
    limit, mend = cell.verl.data.max_prompt_length, "mend or drop them"
    pixels = pixel_limits(cell.verl_added.get("data"))
    if request := _request(path):
        same = request["rules"] == RULES and request["model"] == cell.model.path and not pixels
        if same and request["max_prompt_length"] <= limit:
            return pq.read_metadata(path).num_rows
        again = f"{prepare_command(request['name'])} --model {cell.model.path} --max-prompt-length {limit} --out FOLDER"
        mend = f"run `{again}` and set data.train_file and data.validation_file to its files"
    measure = PromptLength.of(model_place(cell.model.path, cell.model.get("revision")), pixels)
    return check_file(path, measure, limit, mend=mend, tick=tick)


def _request(path: Path) -> dict[str, Any] | None:
    """What `kawhi prepare`, which checks every row as this stage does, was asked for; ``None`` for another file."""
    try:
        return (schema.preparation(path) or {}).get("request")
    except pa.ArrowException:  # no parquet file, and so none of its files
        return None


class _Progress:
    """Says how far the checks are, in the log and in the cell's status, once they have taken ten seconds."""

    def __init__(self, cell: DictConfig, run_directory: RunDirectory):
        self._status, self._steps = run_directory.status, cell.steps
        self._told = time.monotonic()

    def tick(self, done: int, rows: int) -> None:
        if time.monotonic() - self._told < _TOLD_EVERY:
            return
        self._told = time.monotonic()
        print(f"{done} of {rows} rows checked", flush=True)
        write_json(
            self._status,
            {"stage": "prepare", "steps": self._steps, "time": time.time(), "checked": done, "rows": rows},
        )


if __name__ == "__main__":
    stage_main(prepare)
