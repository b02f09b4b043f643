"""Numbers for the rows of a data set that names none of them."""

from __future__ import annotations

from typing import Any


def numbered(dataset: Any) -> Any:
    """A ``datasets.Dataset`` with a column ``row``, its rows' numbers; one that has the column is returned as it is."""
    if "row" in dataset.column_names:
        return dataset
    return dataset.add_column("row", list(range(len(dataset))))
