"""What several commands call by name: models, data files; and how they say how far they are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kawhi.base.errors import CellError

_TOLD_EVERY = 10
"""Seconds."""


def told(items: Iterator[Any], count: int, what: str) -> Iterator[Any]:
    """The same items; says every ten seconds how far they are."""
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        if time.monotonic() - last >= _TOLD_EVERY or done == count:
            last = time.monotonic()
            print(f"{done} of {count} {what}, {last - start:.0f} s", flush=True)


def named_model(name: str) -> tuple[str, list[int] | None]:
    """Path and critical heads of a model that ``conf/model`` has under this name or path; else itself and all."""
    import yaml

    from kawhi.base.checkout import CONF
    from kawhi.runs.composing import compose_cell

    for file in sorted((CONF / "model").glob("*.yaml")):
        if name in (file.stem, (yaml.safe_load(file.read_text(encoding="utf-8")).get("model") or {}).get("path")):
            cell = compose_cell(CONF, [f"model={file.stem}"])
            return str(cell.model.path), None if cell.model.critical_heads is None else [*cell.model.critical_heads]
    return name, None


def data_file(data: str) -> Path:
    """The held-out rows of a data set of ``kawhi prepare``, or a parquet file itself.

    Raises:
        CellError: there is none.
    """
    from kawhi.base.checkout import RESULTS
    from kawhi.data.sources import NAMES

    if data in NAMES:
        file, remedy = RESULTS / "data" / data / "validation.parquet", f"; run `kawhi prepare {data}` first"
    else:
        file, remedy = Path(data), f", and no data set of that name: there are {', '.join(NAMES)}"
    if not file.is_file():
        raise CellError(f"there is no file {file}{remedy}")
    return file
