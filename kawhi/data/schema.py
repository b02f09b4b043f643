"""The parquet schema that training and evaluation read."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SCHEMA = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("images", pa.list_(pa.struct([("bytes", pa.binary())]))),
        ("ability", pa.string()),
        ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
        (
            "extra_info",
            pa.struct(
                [
                    ("split", pa.string()),
                    ("index", pa.int64()),
                    ("question", pa.string()),
                    ("answer", pa.string()),
                    ("task", pa.string()),
                ]
            ),
        ),
    ]
)


def row(
    *, source: str, split: str, index: int, image: Image.Image, question: str, answer: str, task: str
) -> dict[str, Any]:
    """One example with one image, which stands before the question."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return {
        "data_source": source,
        "prompt": [{"role": "user", "content": f"<image>{question}"}],
        "images": [{"bytes": buffer.getvalue()}],
        "ability": "visual_reasoning",
        "reward_model": {"style": "rule", "ground_truth": answer},
        "extra_info": {"split": split, "index": index, "question": question, "answer": answer, "task": task},
    }


def write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Examples as parquet, in this schema."""
    write_table(path, pa.Table.from_pylist(list(rows), schema=SCHEMA))


def write_table(path: Path, table: pa.Table) -> None:
    """Writes atomically: a killed writer leaves no file under this name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pq.write_table(table, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check(path: Path) -> int:
    """Number of rows of a data set that training can use.

    Raises:
        ValueError: a column is missing, a row's images do not match its ``<image>`` markers, an image does not decode,
            or an answer is empty; the message names the row.
    """
    table = pq.read_table(path)
    missing = {"prompt", "images", "reward_model"} - set(table.column_names)
    if missing:
        raise ValueError(f"{path} lacks the columns {', '.join(sorted(missing))}")
    for number, example in enumerate(table.select(["prompt", "images", "reward_model"]).to_pylist()):
        markers = sum(message["content"].count("<image>") for message in example["prompt"])
        images = example["images"] or []
        if len(images) != markers:
            raise ValueError(f"{path}, row {number}: {markers} <image> marker(s) but {len(images)} image(s)")
        for image in images:
            try:
                Image.open(io.BytesIO(image["bytes"] or b"")).load()  # verify() passes a JPEG that is cut off
            except Exception as error:
                raise ValueError(f"{path}, row {number}: the image cannot be decoded ({error})") from error
        if not ((example["reward_model"] or {}).get("ground_truth") or "").strip():
            raise ValueError(f"{path}, row {number}: no ground_truth in reward_model")
    return table.num_rows
