"""A handful of rows in the layout of each real data set, drawn: how many squares does the picture show?"""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

ANSWERS = ("1", "2", "3", "4")
QUESTION = "How many squares are there?"
TRAIN, VALIDATION = 24, 4
_SIZE, _SQUARE, _ROOM = (168, 140), 20, 28  # few visual tokens: the logits of 150,000 words are what takes memory
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


class Row(NamedTuple):
    """One question with its picture, a PNG file."""

    number: int
    answer: str
    image: bytes


def drawn_rows(first: int, count: int) -> Iterator[Row]:
    """No two of them have one picture."""
    for number in range(first, first + count):
        answer = ANSWERS[number % len(ANSWERS)]
        yield Row(number, answer, _picture(number, int(answer)))


def _picture(seed: int, squares: int) -> bytes:
    draw_at = random.Random(seed)
    page = Image.new("RGB", _SIZE, "white")
    cells = [(x, y) for x in range(0, _SIZE[0], _ROOM) for y in range(0, _SIZE[1], _ROOM)]
    for x, y in draw_at.sample(cells, squares):
        x, y = x + draw_at.randrange(_ROOM - _SQUARE), y + draw_at.randrange(_ROOM - _SQUARE)
        ImageDraw.Draw(page).rectangle((x, y, x + _SQUARE, y + _SQUARE), outline="black", width=2)
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()


def geo3k(folder: Path) -> None:
    """``hiyouga/geometry3k``: parquet files with embedded images."""
    schema = {"images": pa.list_(_IMAGE), "problem": pa.string(), "answer": pa.string()}
    for split, (first, count) in _SPLITS.items():
        found = [
            {"images": [{"bytes": row.image, "path": None}], "problem": f"<image>{QUESTION}", "answer": row.answer}
            for row in drawn_rows(first, count)
        ]
        _write(folder / "data" / f"{split}-00000-of-00001.parquet", found, schema)


def chartqa_20k(folder: Path) -> None:
    """``HuggingFaceM4/ChartQA``: parquet files with embedded images, questions by people and by machine."""
    schema = {"image": _IMAGE, "query": pa.string(), "label": pa.list_(pa.string()), "human_or_machine": pa.int64()}
    for split, (first, count) in _SPLITS.items():
        found = [
            {
                "image": {"bytes": row.image, "path": None},
                "query": f"{QUESTION[:-1]} in chart {row.number}?",
                "label": [row.answer],
                "human_or_machine": row.number % 2,
            }
            for row in drawn_rows(first, count)
        ]
        _write(folder / "data" / f"{split.replace('validation', 'val')}-00000-of-00001.parquet", found, schema)


def virl39k(folder: Path) -> None:
    """``TIGER-Lab/ViRL39K``: one parquet file, and the pictures that it names in a zip file."""
    found, files = [], {}
    for row in drawn_rows(0, 2 * TRAIN):
        name = f"images/Processed-{row.number}-0.png"
        files[name] = row.image
        found.append(
            {
                "question": f"<image>\n{QUESTION}",
                "answer": f"\\boxed{{{row.answer}}}",
                "category": "(GradeSchool) Geometric",
                "source": "Processed",
                "qid": f"Processed-{row.number}",
                "PassRate_32BTrained": 0.5,
                "PassRate_7BBase": -1.0,
                "image": [name],
            }
        )
    texts = dict.fromkeys(("question", "answer", "category", "source", "qid"), pa.string())
    rates = dict.fromkeys(("PassRate_32BTrained", "PassRate_7BBase"), pa.float64())
    _write(folder / "39Krelease.parquet", found, {**texts, **rates, "image": pa.list_(pa.string())})
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


_SPLITS = {"train": (0, TRAIN), "validation": (TRAIN, VALIDATION), "test": (TRAIN + VALIDATION, VALIDATION)}
LAYOUTS: dict[str, Callable[[Path], None]] = {"geo3k": geo3k, "chartqa_20k": chartqa_20k, "virl39k": virl39k}
"""By the name that ``kawhi prepare`` has for a data set."""


def _write(file: Path, found: list[dict[str, Any]], schema: dict[str, pa.DataType]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(found, schema=pa.schema(schema)), file)
