"""Stage ``prepare``: the data files of a cell, made once and shared by all cells that need the same ones."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from omegaconf import DictConfig
from PIL import Image

from kawhi.data import schema
from kawhi.runs.identity import CellError, no_data_file
from kawhi.runs.rundir import RunDirectory, write_json
from kawhi.runs.stage import stage_main
from kawhi.runs.validation import validate_credit
from kawhi.runs.verl_command import resolve_package_paths
from kawhi.tiny.fingerprint import generator_fingerprint
from kawhi.tiny.world import Split


def prepare(cell: DictConfig, run_directory: RunDirectory) -> None:
    """Writes ``data.json``: path of the training, validation and benchmark files.

    Raises:
        CellError: a file that is missing or that training cannot use; the message names the row.
    """
    validate_credit(cell)
    if cell.study.name == "training":
        files = training_files(cell)
    else:
        files = {"problems": tiny_file(cell, "heldout", cell.study.problems, cell.study.seed)}
    for path in files.values():
        print(f"{path}: {_checked(Path(path), cell)} rows")
    write_json(run_directory.path / "data.json", {name: str(path) for name, path in files.items()})


def training_files(cell: DictConfig) -> dict[str, Path]:
    """Training, validation and benchmark files."""
    files = {
        "train": cell.data.train_file or tiny_file(cell, "train", cell.data.train_problems, cell.data.seed),
        "validation": cell.data.validation_file
        or tiny_file(cell, "validation", cell.data.validation_problems, cell.data.seed),
    }
    for benchmark in cell.benchmarks:
        files[benchmark.task] = tiny_file(cell, "heldout", benchmark.problems, benchmark.seed)
    return files


def tiny_file(cell: DictConfig, split: Split, count: int, seed: int) -> Path:
    """A split of the tiny world at the model's image size; the file name tells what is in it."""
    from kawhi.tiny.dataset import write_split

    name = f"{split}-{count}x{cell.model.image_size}px-s{seed}-{generator_fingerprint()}.parquet"
    path = Path(cell.paths.data) / "tiny" / name
    if not path.exists():
        write_split(path, split, count, cell.model.image_size, seed)
    return path


def _checked(path: Path, cell: DictConfig) -> int:
    """Number of rows of a file that this cell can train on."""
    if not path.is_file():
        raise no_data_file(path, cell.data.name)
    made = schema.preparation(path)
    if made is None:
        try:
            return schema.check(path)
        except ValueError as error:
            raise CellError(f"{error}; mend or drop that row") from error
    # `kawhi prepare` has decoded every image; only the prompt's length depends on the model and the limit of this cell.
    request, limit = made["request"], cell.verl.data.max_prompt_length
    if request["model"] != cell.model.path or request["max_prompt_length"] > limit:
        _fit(path, cell, request)
    return pq.read_metadata(path).num_rows


def _fit(path: Path, cell: DictConfig, request: dict[str, Any]) -> None:
    """
    Raises:
        CellError: prompts measured with another model's processor, or for a higher limit, are too long for this cell.
    """
    from kawhi.data.prompt_length import PromptLength

    measure, limit = PromptLength.of(resolve_package_paths(cell.model.path)), cell.verl.data.max_prompt_length
    long = []
    for batch in pq.ParquetFile(path).iter_batches(64, columns=["prompt", "images", "extra_info"]):
        for row in batch.to_pylist():
            sizes = [Image.open(io.BytesIO(image["bytes"])).size for image in row["images"]]
            if measure(row["prompt"][0]["content"], sizes).total > limit:
                long.append(row["extra_info"]["id"])
    if long:
        again = f"kawhi prepare {request['name']} --model {cell.model.path} --max-prompt-length {limit} --out FOLDER"
        raise CellError(
            f"{len(long)} prompts of {path} are over {limit} tokens for {cell.model.path}, the first is {long[0]}: "
            f"run `{again}` and set data.train_file and data.validation_file to its files"
        )


if __name__ == "__main__":
    stage_main(prepare)
