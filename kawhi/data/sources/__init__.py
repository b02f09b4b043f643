"""Where examples come from: one short file per data set, found by its name."""

from __future__ import annotations

from importlib import import_module

from kawhi.data.sources.base import PrepareError, Source

NAMES = ("geo3k", "chartqa_20k", "virl39k")


def source_class(name: str) -> type[Source]:
    """The class that reads a data set.

    Raises:
        PrepareError: there is no such data set.
    """
    if name not in NAMES:
        raise PrepareError(
            f"there is no data set {name!r}; kawhi prepares {', '.join(NAMES)}, and data of your own under any other "
            "name with --from FILE_OR_FOLDER"
        )
    return import_module(f"kawhi.data.sources.{name}").Reader
