"""Small folders in the layouts that the real data sets have."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

TINY = "pkg://kawhi.tiny/checkpoints/qwen2_5_vl"


def picture(seed: int, size: tuple[int, int] = (60, 40), kind: str = "PNG") -> bytes:
    """An encoded image that no other seed has."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def _parquet(path: Path, rows: Sequence[dict[str, Any]], schema: dict[str, pa.DataType]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(list(rows), schema=pa.schema(schema))
    pq.write_table(table, path, row_group_size=5)


def geo3k_row(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "images": [{"bytes": picture(number), "path": None}],
        "problem": f"<image>Find x{number}.",
        "answer": str(number),
    } | changed


def geo3k(folder: Path, train: Sequence[dict[str, Any]] | int = 23, validation: int = 3, test: int = 2) -> Path:
    """``hiyouga/geometry3k``: parquet files with embedded images."""
    rows = {
        "train": [geo3k_row(number) for number in range(train)] if isinstance(train, int) else train,
        "validation": [geo3k_row(100 + number) for number in range(validation)],
        "test": [geo3k_row(200 + number) for number in range(test)],
    }
    columns = {"images": pa.list_(_IMAGE), "problem": pa.string(), "answer": pa.string()}
    for split, of_split in rows.items():
        if any("id" in row for row in of_split):
            columns = columns | {"id": pa.int64(), "choices": pa.list_(pa.string())}
        halves = of_split[: len(of_split) // 2], of_split[len(of_split) // 2 :]
        for number, half in enumerate(halves):
            _parquet(folder / "data" / f"{split}-{number:05d}-of-00002.parquet", half, columns)
    return folder


Question = tuple[str, int, str, str]
"""Stratum, image, query and label."""


def questions(human: int, augmented: int, start: int = 0) -> list[Question]:
    found = [("human", start + n, f"Why {start + n}?", str(n)) for n in range(human)]
    return found + [("augmented", start + n, f"What is {start + n}?", f"{n}%") for n in range(augmented)]


def chartqa_hub(folder: Path, train: Sequence[Question], validation: Sequence[Question]) -> Path:
    """``HuggingFaceM4/ChartQA``: parquet files with embedded images and no image names."""
    columns = {
        "image": _IMAGE,
        "query": pa.string(),
        "label": pa.list_(pa.string()),
        "human_or_machine": pa.int64(),
    }
    for prefix, rows in (("train", train), ("val", validation), ("test", validation)):
        of_split = [
            {
                "image": {"bytes": picture(image, kind="BMP"), "path": None},  # encoded in another way than the zip's
                "query": query,
                "label": [label],
                "human_or_machine": int(stratum == "augmented"),
            }
            for stratum, image, query, label in rows
        ]
        _parquet(folder / "data" / f"{prefix}-00000-of-00001-0123456789abcdef.parquet", of_split, columns)
    return folder


def chartqa_zip(folder: Path, train: Sequence[Question], validation: Sequence[Question]) -> Path:
    """The authors' zip file, unpacked."""
    for split, rows in (("train", train), ("val", validation)):
        root = folder / "ChartQA Dataset" / split
        (root / "png").mkdir(parents=True)
        for stratum in ("human", "augmented"):
            items = [
                {"imgname": f"{image}.png", "query": query, "label": label}
                for of, image, query, label in rows
                if of == stratum
            ]
            (root / f"{split}_{stratum}.json").write_text(json.dumps(items))
        for _, image, _, _ in rows:
            (root / "png" / f"{image}.png").write_bytes(picture(image))
    return folder


def virl_row(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "question": f"<image>\nHow many are {number}?",
        "answer": f"\\boxed{{{number}}}",
        "PassRate_32BTrained": 0.5,
        "PassRate_7BBase": -1.0,
        "category": "(GradeSchool) Geometric",
        "source": "Processed",
        "qid": f"Processed-{number}",
        "image": [f"images/Processed-{number}-0.jpg"],
    } | changed


def virl39k(folder: Path, rows: Sequence[dict[str, Any]], zipped: bool = False) -> Path:
    """``TIGER-Lab/ViRL39K``: one parquet file that names images in a folder, or in the zip file it comes from."""
    columns = {name: pa.string() for name in ("question", "answer", "category", "source", "qid")}
    columns |= {name: pa.float64() for name in ("PassRate_32BTrained", "PassRate_7BBase")}
    _parquet(folder / "39Krelease.parquet", rows, columns | {"image": pa.list_(pa.string())})
    names = sorted({name for row in rows for name in row["image"]})
    contents = {name: picture(number, kind="JPEG") for number, name in enumerate(names)}
    if zipped:
        with zipfile.ZipFile(folder / "images.zip", "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        return folder
    (folder / "images").mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder
