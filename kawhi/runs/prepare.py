"""Stage ``prepare``: the data files of a cell, made once and shared by all cells that need the same ones."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow.parquet as pq
from omegaconf import DictConfig
from PIL import Image

from kawhi.base.checkout import resolve_package_paths
from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import evaluates, stage_main, trains
from kawhi.data import schema
from kawhi.evaluation.benchmark import load
from kawhi.runs.evaluation_settings import require_benchmarks
from kawhi.runs.identity import no_data_file
from kawhi.tiny.fingerprint import generator_fingerprint
from kawhi.tiny.world import Split


def prepare(cell: DictConfig, run_directory: RunDirectory) -> None:
    """Writes ``data.json``: path of the training, validation and benchmark files.

    Raises:
        CellError: a file that is missing or that training cannot use; the message names the row.
    """
    if evaluates(cell):
        require_benchmarks(cell)
    if cell.study.name == "grounding":
        files = {"problems": tiny_file(cell, "heldout", cell.study.problems, cell.study.seed)}
    else:
        files = (training_files(cell) if trains(cell) else {}) | (benchmark_files(cell) if evaluates(cell) else {})
    for path in files.values():
        print(f"{path}: {_checked(Path(path), cell)} rows")
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
    """The file of each benchmark that is drawn; lmms-eval fetches the data of the others."""
    drawn = [each for each in cell.benchmarks if not load(each.task).data and not each.get("data_file")]
    return {each.task: tiny_file(cell, "heldout", each.problems, each.seed) for each in drawn}


def tiny_file(cell: DictConfig, split: Split, count: int, seed: int, *, make: bool = True) -> Path:
    """A split of the tiny world at the model's image size, drawn if asked; the file name tells what is in it."""
    from kawhi.tiny.dataset import write_split

    name = f"{split}-{count}x{cell.model.image_size}px-s{seed}-{generator_fingerprint()}.parquet"
    path = Path(cell.paths.data) / "tiny" / name
    if make and not path.exists():
        write_split(path, split, count, cell.model.image_size, seed)
    return path


def _checked(path: Path, cell: DictConfig) -> int:
    """Number of rows of a file that this cell can train on."""
    if not path.is_file():
        raise no_data_file(path, cell.data.name)
    made, limit = schema.preparation(path), cell.verl.data.max_prompt_length
    if made is None:
        try:
            rows = schema.check(path)
        except ValueError as error:
            raise CellError(f"{error}; mend or drop that row") from error
        if path.resolve().parent != (Path(cell.paths.data) / "tiny").resolve():  # drawn images have the model's size
            _fit(path, cell, "drop them, shrink their images, or raise verl.data.max_prompt_length")
        return rows
    # `kawhi prepare` has decoded every image; only the prompt's length depends on the model and the limit of this cell.
    request = made["request"]
    if request["model"] != cell.model.path or request["max_prompt_length"] > limit:
        again = f"kawhi prepare {request['name']} --model {cell.model.path} --max-prompt-length {limit} --out FOLDER"
        _fit(path, cell, f"run `{again}` and set data.train_file and data.validation_file to its files")
    return pq.read_metadata(path).num_rows


def _fit(path: Path, cell: DictConfig, mend: str) -> None:
    """
    Raises:
        CellError: prompts with their images are too long for this cell; verl would lose their responses.
    """
    from kawhi.data.prompt_length import PromptLength

    measure, limit = PromptLength.of(resolve_package_paths(cell.model.path)), cell.verl.data.max_prompt_length
    long, number = [], 0
    for batch in pq.ParquetFile(path).iter_batches(64, columns=["prompt", "images", "extra_info"]):
        for row in batch.to_pylist():
            sizes = [Image.open(io.BytesIO(image["bytes"])).size for image in row["images"] or []]
            if measure(row["prompt"][0]["content"], sizes).total > limit:
                long.append((row["extra_info"] or {}).get("id") or f"row {number}")
            number += 1
    if long:
        raise CellError(
            f"{len(long)} prompts of {path} are over {limit} tokens for {cell.model.path}, the first is {long[0]}: "
            f"{mend}"
        )


if __name__ == "__main__":
    stage_main(prepare)
