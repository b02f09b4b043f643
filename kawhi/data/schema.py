"""The parquet schema that training and evaluation read."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from kawhi.pictures.rgb import picture

PREPARATION = b"kawhi_preparation"
"""Key of the parquet metadata that ``kawhi prepare`` adds."""

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
                    ("id", pa.string()),
                    ("choices", pa.list_(pa.string())),
                ]
            ),
        ),
    ]
)


def _with_readings() -> pa.Schema:
    at = SCHEMA.get_field_index("extra_info")
    fields = [*SCHEMA.field(at).type, pa.field("readings", pa.list_(pa.int64()))]
    return SCHEMA.set(at, pa.field("extra_info", pa.struct(fields)))


WITH_READINGS = _with_readings()
"""The schema of data that says which numbers have to be read off its images (``extra_info.readings``)."""


def example(
    *,
    source: str,
    split: str,
    index: int,
    images: Sequence[bytes],
    prompt: str,
    question: str,
    answer: str,
    task: str,
    id: str | None = None,
    choices: Sequence[str] = (),
    readings: Sequence[int] | None = None,
) -> dict[str, Any]:
    """One row: encoded images as they are, and a prompt with one ``<image>`` for each of them.

    Args:
        readings: the numbers that have to be read, in the order in which they are asked for, where they are known.
    """
    return {
        "data_source": source,
        "prompt": [{"role": "user", "content": prompt}],
        "images": [{"bytes": image} for image in images],
        "ability": "visual_reasoning",
        "reward_model": {"style": "rule", "ground_truth": answer},
        "extra_info": {
            "split": split,
            "index": index,
            "question": question,
            "answer": answer,
            "task": task,
            "id": id,
            "choices": list(choices),
            **({} if readings is None else {"readings": list(readings)}),
        },
    }


def row(
    *,
    source: str,
    split: str,
    index: int,
    image: Image.Image,
    question: str,
    answer: str,
    task: str,
    readings: Sequence[int] | None = None,
) -> dict[str, Any]:
    """One example with one image, which stands before the question."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return example(
        source=source,
        split=split,
        index=index,
        images=[buffer.getvalue()],
        prompt=f"<image>{question}",
        question=question,
        answer=answer,
        task=task,
        readings=readings,
    )


def write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Examples as parquet, in this schema; with readings where a row has some."""
    examples = list(rows)
    known = any("readings" in row["extra_info"] for row in examples)
    write_table(path, pa.Table.from_pylist(examples, schema=WITH_READINGS if known else SCHEMA))


def write_table(path: Path, table: pa.Table) -> None:
    """Writes atomically: a killed writer leaves no file under this name."""
    with atomically(path) as temporary:
        pq.write_table(table, temporary)


@contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """A name to write under; the file gets its own name when the block ends well and vanishes when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def preparation(path: Path) -> dict[str, Any] | None:
    """What ``kawhi prepare`` wrote into a file it made, and checked row by row; ``None`` for any other file."""
    metadata = pq.read_schema(path).metadata or {}
    return json.loads(metadata[PREPARATION]) if PREPARATION in metadata else None


def has_readings(path: Path) -> bool:
    """Whether a parquet file says of its rows what has to be read."""
    schema = pq.read_schema(path)
    at = schema.get_field_index("extra_info")
    return at >= 0 and any(field.name == "readings" for field in schema.field(at).type)


def decoded_size(content: bytes) -> tuple[int, int]:
    """Width and height of the picture that an encoded image is, which decodes to its last pixel.

    Raises:
        Exception: one of the many kinds that PIL raises on broken files.
    """
    return picture(content).size
