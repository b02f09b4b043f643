"""20,000 of ChartQA's 28,299 training questions: the paper's subset is not released, so this one is drawn.

A seeded sample with the source's own proportion of questions by people (7,398) and by machine (20,901), drawn until as
many pass the checks.  ``kawhi prepare chartqa_20k`` on the whole data, with its own model and limit, makes the file of
its ids: it writes ``chartqa_20k.ids.txt`` beside the data, to be committed as ``kawhi/data/ids/chartqa_20k.txt``.  With
that file the same rows are prepared as without, and no others whatever the model.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kawhi.data.sampling import stratified
from kawhi.data.sources.base import Example, PrepareError, Source, text
from kawhi.data.sources.tables import Table, embedded, split_files
from kawhi.pictures.rgb import picture

SIZE = 20_000
SEED = 0
IDS = Path(__file__).parents[1] / "ids" / "chartqa_20k.txt"

_PREFIXES = {"train": "train", "validation": "val", "test": "test"}
_COLUMNS = ("image", "query", "label", "human_or_machine")
_STRATA = {0: "human", 1: "augmented", "human": "human", "machine": "augmented"}


@dataclass(frozen=True)
class _Row:
    stratum: str
    query: str
    label: str
    image: Callable[[], bytes] | None = None


class Reader(Source):
    """The hub's parquet files, or the authors' zip file unpacked."""

    repository = "HuggingFaceM4/ChartQA"
    revision = "b605b6e08b57faf4359aeb2fe6a3ca595f99b6c5"
    patterns = ("data/*.parquet",)
    layout = (
        "data/train-*.parquet and data/val-*.parquet, or one parquet file, "
        "or 'ChartQA Dataset'/{train,val}/ with png/, *_human.json and *_augmented.json"
    )

    @classmethod
    def accepts(cls, place: Path) -> bool:
        if place.is_file():
            return True
        return {"train", "validation"} <= (set(split_files(place, _PREFIXES)) or set(_json_splits(place)))

    @cached_property
    def _splits(self) -> dict[str, _Parquet | _Json]:
        found = split_files(self.place, _PREFIXES)
        if found:
            return {split: _Parquet(files) for split, files in found.items() if split != "test"}
        return {split: _Json(folder) for split, folder in _json_splits(self.place).items()}

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self._splits)

    @property
    def files(self) -> list[Path]:
        return [file for rows in self._splits.values() for file in rows.files]

    @cached_property
    def _ids(self) -> dict[str, list[str]]:
        return {split: _identify(rows) for split, rows in self._splits.items()}

    @classmethod
    def selection(cls) -> str:
        if not IDS.is_file():
            return f"{SIZE} drawn with seed {SEED}"
        return f"the committed ids {hashlib.sha256(IDS.read_bytes()).hexdigest()[:8]}"

    @cached_property
    def committed(self) -> set[str] | None:
        """Ids of the training rows as they were committed.

        Raises:
            PrepareError: one that this copy of ChartQA does not have.
        """
        if not IDS.is_file():
            return None
        chosen = set(IDS.read_text().split())
        missing = sorted(chosen - set(self._ids["train"]))
        if missing:
            raise PrepareError(
                f"{len(missing)} of the {len(chosen)} ids in {IDS.name} are not in {self.place}, the first is "
                f"{missing[0]}; give a complete copy of ChartQA"
            )
        return chosen

    def drawn(self, dropped: Collection[str] = ()) -> set[str]:
        """Ids of the training rows that are drawn, with one more for each that was dropped, of its kind."""
        strata: dict[str, list[str]] = {}
        for name in self._ids["train"]:
            strata.setdefault(_stratum(name), []).append(name)
        return stratified(strata, SIZE, SEED, more=Counter(map(_stratum, dropped)))

    def entries(self, split: str) -> list[tuple[int, str]]:
        rows = list(enumerate(self._ids[split]))
        if split != "train":
            return rows
        chosen = self.drawn() if self.committed is None else self.committed
        return [row for row in rows if row[1] in chosen]

    def instead(self, split: str, dropped: Collection[str]) -> list[tuple[int, str]]:
        if split != "train" or self.committed is not None:
            return []
        chosen, first = self.drawn(dropped), dict[str, int]()
        for number, name in enumerate(self._ids[split]):
            first.setdefault(name, number)
        return [(number, name) for name, number in first.items() if name in chosen]

    def examples(self, split: str, numbers: Sequence[int]) -> Iterator[Example]:
        for number, row in self._splits[split].rows(numbers):
            assert row.image is not None
            yield Example(
                id=self._ids[split][number],
                number=number,
                question=row.query,
                answer=row.label,
                images=(row.image,),
                task=row.stratum,
            )

    def finish(self, out: Path, kept: Collection[str] | None) -> list[str]:
        if kept is None or self.committed is not None:
            return []
        path = out / "chartqa_20k.ids.txt"
        path.write_text("".join(f"{name}\n" for name in sorted(kept)))
        different = len(set(self._ids["train"]))
        if different < SIZE:
            return [
                f"this copy of ChartQA is not complete: it has {different} different training questions, not {SIZE}"
            ]
        if len(kept) < SIZE:
            return [f"{len(kept)} of this copy's {different} different training questions pass the checks, not {SIZE}"]
        return [f"the sample was drawn here; commit {path} as kawhi/data/ids/{IDS.name}, so that all use the same one"]


class _Parquet:
    def __init__(self, files: Sequence[Path]) -> None:
        self._table = Table(files, _COLUMNS)
        self.files = self._table.files

    def texts(self) -> Iterator[_Row]:
        for row in self._table.texts(_COLUMNS[1:]):
            yield self._row(row)

    def rows(self, numbers: Sequence[int]) -> Iterator[tuple[int, _Row]]:
        for number, row in self._table.rows(numbers):
            yield number, self._row(row)

    def _row(self, row: dict[str, Any]) -> _Row:
        stratum = _STRATA.get(row["human_or_machine"])
        if stratum is None:
            raise PrepareError(f"{self.files[0]}: human_or_machine is {row['human_or_machine']!r}, neither 0 nor 1")
        label = ", ".join(text(one) for one in row["label"] or ())
        return _Row(stratum, text(row["query"]), label, embedded(row["image"]) if "image" in row else None)


class _Json:
    """One split of the authors' layout: people's questions first, then the machine's."""

    def __init__(self, folder: Path) -> None:
        self._png = folder / "png"
        self._files = {stratum: folder / f"{folder.name}_{stratum}.json" for stratum in ("human", "augmented")}
        self.files = [*self._files.values(), self._png]

    @cached_property
    def _all(self) -> list[_Row]:
        return [self._row(stratum, row) for stratum, file in self._files.items() for row in _read_json(file)]

    def _row(self, stratum: str, row: dict[str, Any]) -> _Row:
        image = self._png / Path(text(row.get("imgname"))).name
        return _Row(stratum, text(row.get("query")), text(row.get("label")), image.read_bytes)

    def texts(self) -> Iterator[_Row]:
        return iter(self._all)

    def rows(self, numbers: Sequence[int]) -> Iterator[tuple[int, _Row]]:
        for number in numbers:
            yield number, self._all[number]


def _read_json(file: Path) -> list[dict[str, Any]]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PrepareError(f"{file} cannot be read as JSON; copy or unpack it again") from error


def _json_splits(place: Path) -> dict[str, Path]:
    for root in (place, place / "ChartQA Dataset"):
        folders = {split: root / _PREFIXES[split] for split in ("train", "validation")}
        if all((folder / f"{folder.name}_human.json").is_file() for folder in folders.values()):
            return folders
    return {}


def _identify(rows: _Parquet | _Json) -> list[str]:
    """Ids that both layouts share: from the question and its answer, since the hub's copy has no names of images.

    Where several charts have the same question and answer, their pixels tell them apart; file bytes would not do, as a
    copy may be compressed anew.
    """
    ids = [_id(row) for row in rows.texts()]
    counts = Counter(ids)
    shared = [number for number, name in enumerate(ids) if counts[name] > 1]
    for number, row in rows.rows(shared):
        assert row.image is not None
        ids[number] += f"-{_pixels(row.image)}"
    return ids


def _stratum(name: str) -> str:
    """Whose question an id is of: the part that :func:`_id` puts in front."""
    return name.partition("-")[0]


def _id(row: _Row) -> str:
    content = "\0".join((row.query, row.label)).encode()
    return f"{row.stratum}-{hashlib.sha256(content).hexdigest()[:16]}"


def _pixels(read: Callable[[], bytes]) -> str:
    try:
        content = read()
    except FileNotFoundError:
        return "missing"
    with suppress(Exception):  # an image that is broken is its bytes; the checks report it
        content = picture(content).tobytes()
    return hashlib.sha256(content).hexdigest()[:8]
