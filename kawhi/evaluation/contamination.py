"""Which items of a benchmark a training set has seen: pairs of rows with one picture or one question."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image
from rapidfuzz import fuzz, process
from tqdm import tqdm

from kawhi.base.errors import CellError
from kawhi.evaluation.benchmark import load
from kawhi.pictures.likeness import Look, Looks, look
from kawhi.pictures.rgb import picture

SIMILAR = 92.0
"""Percent: the least similarity (Levenshtein's, by RapidFuzz) of two questions that are one."""
WORDS = 12
"""A question of fewer, such as "Find x.", says nothing by itself: it counts where the picture is the same, too."""
_CHUNK = 256
_CHOICES = re.compile(r"\n\s*(?:choices|options)\s*:", re.IGNORECASE)

Row = tuple[str, str, Sequence[Image.Image]]
"""Id, question and pictures."""


@dataclass(frozen=True)
class Pair:
    """A row of the training set and an item of a benchmark.

    Attributes:
        image: 1 where a picture is the same to the pixel, else the correlation; ``None`` where none is the same.
        question: 100 where the normalised questions are equal, else their similarity; ``None`` where they are two.
    """

    benchmark: str
    item: str
    train: str
    image: float | None
    question: float | None
    asked: str
    trained: str


@dataclass
class Rows:
    """A data set as it is compared; a picture that several rows show is kept once."""

    ids: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    pictures: list[list[int]] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Rows:
        found, known = cls(), dict[str, int]()
        for name, question, images in rows:
            own = [look(image) for image in images]
            for each in own:
                if known.setdefault(each.pixels, len(found.looks)) == len(found.looks):
                    found.looks.append(each)
            found.ids.append(name)
            found.questions.append(question)
            found.pictures.append([known[each.pixels] for each in own])
        return found

    def showing(self) -> list[list[int]]:
        """Rows by picture."""
        rows: list[list[int]] = [[] for _ in self.looks]
        for row, pictures in enumerate(self.pictures):
            for number in pictures:
                rows[number].append(row)
        return rows


def training_rows(file: Path) -> Iterator[Row]:
    """The rows of a data file that training reads.

    Raises:
        CellError: there is none, or it has no pictures in it.
    """
    if not file.is_file():
        raise CellError(f"there is no {file}: kawhi prepare makes the data files, or name a parquet file")
    parquet = pq.ParquetFile(file)
    if missing := {"prompt", "images"} - {*parquet.schema_arrow.names}:
        raise CellError(f"{file} has no column {' and '.join(sorted(missing))}: it is no file to train on")
    columns = [name for name in ("prompt", "images", "extra_info") if name in parquet.schema_arrow.names]
    number = 0
    with tqdm(total=parquet.metadata.num_rows, desc=str(file), mininterval=5) as progress:
        for batch in parquet.iter_batches(64, columns=columns):
            for row in batch.to_pylist():
                more = row.get("extra_info") or {}
                question = more.get("question") or row["prompt"][-1]["content"]
                images = [picture(image["bytes"]) for image in row["images"] or []]
                yield str(more.get("id") or more.get("index", number)), question, images
                number += 1
                progress.update()


def benchmark_rows(entry: Mapping[str, Any], files: Sequence[Path] = ()) -> Iterator[Row]:
    """Every item of an entry of ``conf/benchmarks``, once whatever the number of passes.

    Args:
        files: parquet files that take the place of the hub's data set.

    Raises:
        CellError: its data cannot be had.
    """
    benchmark = load(entry["task"])
    for doc in benchmark_docs(entry, files):
        facts = benchmark.facts(doc)
        yield facts["id"], facts["question"], benchmark.images(doc)


def benchmark_docs(entry: Mapping[str, Any], files: Sequence[Path] = ()) -> Iterator[Mapping[str, Any]]:
    """The same as rows of the data set, of which a benchmark's functions know what is in them."""
    benchmark = load(entry["task"])
    options = {key: value for key, value in entry.items() if key not in ("task", "title")}
    places = [{}] if files else [dict(run.task) for run in benchmark.runs(options)]
    for place in [each for number, each in enumerate(places) if each not in places[:number]]:
        docs = _data({**benchmark.data, **place}, benchmark.name, files)
        docs = benchmark.process_docs(docs) if benchmark.process_docs else docs
        yield from tqdm(docs, desc=benchmark.name, mininterval=5)


def _data(place: Mapping[str, Any], task: str, files: Sequence[Path]) -> Any:
    from datasets import load_dataset

    try:
        if files:
            return load_dataset("parquet", data_files={"test": [*map(str, files)]}, split="test")
        return load_dataset(place["dataset_path"], place.get("dataset_name"), split=place["test_split"])
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise CellError(
            f"the data of {task} cannot be had ({first}); check the network, or name a file: {task}=FILE"
        ) from error


def pairs(task: str, benchmark: Rows, train: Rows, known: Looks) -> list[Pair]:
    """The pairs of a benchmark and a training set whose pictures are ``known``, in the order of both."""
    images = _by_image(task, benchmark, train, known)
    asked, trained = ([*map(words, own.questions)] for own in (benchmark, train))
    return [
        Pair(
            benchmark=task,
            item=benchmark.ids[item],
            train=train.ids[row],
            image=images.get((item, row)),
            question=_similarity(asked[item], trained[row]),
            asked=benchmark.questions[item],
            trained=train.questions[row],
        )
        for item, row in sorted(images.keys() | _by_question(asked, trained))
    ]


def _by_image(task: str, benchmark: Rows, train: Rows, known: Looks) -> dict[tuple[int, int], float]:
    found: dict[tuple[int, int], float] = {}
    items, rows = benchmark.showing(), train.showing()
    for number, each in enumerate(tqdm(benchmark.looks, desc=f"{task}, pictures", mininterval=5)):
        for other, alike in known.same_as(each).items():
            for pair in ((item, row) for item in items[number] for row in rows[other]):
                found[pair] = max(alike, found.get(pair, 0.0))
    return found


def words(question: str) -> str:
    """A question without its choices, letter case, punctuation and placeholders of pictures."""
    text = unicodedata.normalize("NFKC", _CHOICES.split(question)[0]).casefold()
    return " ".join(re.findall(r"\w+", text.replace("<image>", " ")))


def _by_question(asked: Sequence[str], trained: Sequence[str]) -> set[tuple[int, int]]:
    """Number of the item and of the row whose questions are one and long enough to tell; each text is compared once."""
    items, rows = _telling(asked), _telling(trained)
    ours, theirs = [*items], [*rows]
    found = set()
    for start in range(0, len(ours), _CHUNK):
        some = ours[start : start + _CHUNK]
        similar = process.cdist(some, theirs, scorer=fuzz.ratio, score_cutoff=SIMILAR, dtype=np.float32)
        for i, j in np.argwhere(similar >= SIMILAR).tolist():
            if _similarity(some[i], theirs[j]):
                found |= {(item, row) for item in items[some[i]] for row in rows[theirs[j]]}
    return found


def _telling(texts: Sequence[str]) -> dict[str, list[int]]:
    """Where each text stands that says something by itself."""
    found: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        if len(text.split()) >= WORDS:
            found.setdefault(text, []).append(number)
    return found


def _similarity(one: str, other: str) -> float | None:
    """Of two questions that are one; problems of one template, which differ in their numbers, are two."""
    same = fuzz.ratio(one, other)
    numbers = (re.findall(r"\d+", text) for text in (one, other))
    return round(same, 2) if same >= SIMILAR and len({*map(tuple, numbers)}) == 1 else None
