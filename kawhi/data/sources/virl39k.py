"""ViRL39K: 38,870 verifiable questions; a parquet file that names images in a folder or a zip file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from kawhi.data.sources.base import Example, PrepareError, Source, text
from kawhi.data.sources.tables import Table
from kawhi.rewards.boxed import boxed_answer

_FILE = "39Krelease.parquet"
_COLUMNS = ("qid", "question", "answer", "image", "category")


class Reader(Source):
    """Only training rows; answers are wrapped in ``\\boxed{}``, images are paths such as ``images/name.jpg``."""

    repository = "TIGER-Lab/ViRL39K"
    revision = "812ec617dea4bc8a4e751663b88e4ebb7de4d00e"
    whole = 38870
    patterns = (_FILE, "images.zip")
    layout = f"{_FILE} beside images/ or images.zip"
    splits = ("train",)

    @classmethod
    def accepts(cls, place: Path) -> bool:
        folder = place.parent if place.is_file() else place
        return (place.is_file() or (place / _FILE).is_file()) and bool(_image_places(folder))

    @cached_property
    def _table(self) -> Table:
        return Table([self.place if self.place.is_file() else self.place / _FILE], _COLUMNS)

    @property
    def _folder(self) -> Path:
        return self._table.files[0].parent

    @property
    def files(self) -> list[Path]:
        return [*self._table.files, *_image_places(self._folder)]

    def entries(self, split: str) -> list[tuple[int, str]]:
        return [(number, text(row["qid"])) for number, row in enumerate(self._table.texts(["qid"]))]

    def examples(self, split: str, numbers: Sequence[int]) -> Iterator[Example]:
        for number, row in self._table.rows(numbers):
            answer = text(row["answer"])
            yield Example(
                id=text(row["qid"]),
                number=number,
                question=text(row["question"]),
                # A box that is not closed is no answer: nothing could ever be equal to it.
                answer=(boxed_answer(answer) or "") if "\\boxed" in answer else answer,
                images=tuple(partial(self._read, name) for name in row["image"] or ()),
                task=text(row["category"]),
            )

    def _read(self, name: str) -> bytes:
        """
        Raises:
            FileNotFoundError: no such image in the folder or the zip file, or a name that leads out of it.
        """
        path = (self._folder / name).resolve()
        if not path.is_relative_to(self._folder.resolve()):
            raise FileNotFoundError(f"{name} leads out of the folder")
        if path.is_file():
            return path.read_bytes()
        if self._zip is not None:
            try:
                return self._zip.read(name)
            except (KeyError, BadZipFile) as error:
                raise FileNotFoundError(f"{name} is not in images.zip or broken there") from error
        raise FileNotFoundError(f"there is no {name}")

    @cached_property
    def _zip(self) -> ZipFile | None:
        path = self._folder / "images.zip"
        try:
            return ZipFile(path) if path.is_file() else None
        except BadZipFile as error:
            raise PrepareError(f"{path} is no complete zip file; copy or download it again") from error


def _image_places(folder: Path) -> list[Path]:
    return [place for place in (folder / "images", folder / "images.zip") if place.exists()]
