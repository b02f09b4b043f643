"""What a source offers.  It knows neither prompts nor checks nor the files that are written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from kawhi.base.errors import CellError


class PrepareError(CellError):
    """Something the user can mend; its text is one sentence that says how."""


@dataclass(frozen=True)
class Example:
    """One question as the source has it.

    Images are read when they are asked for; one that is not there raises ``FileNotFoundError``.
    """

    id: str
    number: int
    """Row within the source's own split, so that it does not depend on what is dropped."""
    question: str
    answer: str
    images: tuple[Callable[[], bytes], ...]
    task: str
    choices: tuple[str, ...] = ()


class Source(ABC):
    """A data set in one place: a folder in its layout on the hub, in its own layout, or one parquet file."""

    repository: ClassVar[str]
    """Name on the Hugging Face hub."""
    revision: ClassVar[str]
    """Its commit there: the one that others name who publish theirs."""
    patterns: ClassVar[tuple[str, ...]]
    """The files of the hub that are needed."""
    layout: ClassVar[str]
    """The files a folder must have, for the sentence that misses them."""
    whole: ClassVar[int | None] = None
    """Training rows of the complete data set, where that is known."""

    def __init__(self, place: Path) -> None:
        self.place = place

    @classmethod
    @abstractmethod
    def accepts(cls, place: Path) -> bool:
        """Whether the files are there."""

    @property
    @abstractmethod
    def splits(self) -> tuple[str, ...]:
        """Among ``train``, ``validation`` and ``test``; without ``validation`` some training rows are held out."""

    @property
    @abstractmethod
    def files(self) -> list[Path]:
        """Files and folders of images that the examples depend on."""

    @abstractmethod
    def entries(self, split: str) -> list[tuple[int, str]]:
        """Number and id of every row that is wanted, in the source's order, without reading an image.

        Raises:
            PrepareError: a file that cannot be read, or lacks a column.
        """

    def instead(self, split: str, dropped: Collection[str]) -> list[tuple[int, str]]:
        """Rows, as :meth:`entries` and each id once, that are wanted when these ids were dropped; some may be known.

        None where all rows are wanted from the beginning.
        """
        return []

    @abstractmethod
    def examples(self, split: str, numbers: Sequence[int]) -> Iterator[Example]:
        """These rows, in this order (ascending), in memory one batch at a time."""

    @property
    def about(self) -> str:
        """What else than its files decides what local rows are."""
        return ""

    @classmethod
    def selection(cls) -> str:
        """Which rows are wanted: part of what makes two preparations the same, known before a file is there."""
        return "all"

    def finish(self, out: Path, kept: Collection[str] | None) -> list[str]:
        """Writes what belongs beside the data; returns sentences for the user.

        Args:
            kept: ids of the training split's rows that are in the files; ``None`` when only the first ones were asked
                for.
        """
        rows = len(self.entries("train"))
        if self.whole is None or rows >= self.whole:
            return []
        return [f"this copy is not complete: it has {rows} training rows of {self.whole}"]


def text(value: object) -> str:
    """A cell of a table as stripped text; empty for a null."""
    return "" if value is None else str(value).strip()
