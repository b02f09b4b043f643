"""The cells of a table of the paper: a union of products, because the paper's tables have gaps.

``hydra.sweeper.blocks`` of a file in ``conf/experiment`` is a list of blocks; each maps configuration keys to a value
or a list of values and stands for their product.  Models, data sets and benchmarks are called by their part in the
table (``main``, ``geometry``, ``math``); ``scale.names`` says which file that is at this scale.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf


class TableError(ValueError):
    """A row that does not exist; the message lists those that do."""


def refuse_two_tables(given: Sequence[Override]) -> None:
    """
    Raises:
        TableError: more than one table or ablation is asked for; each has sweeps of its own.
    """
    tables = [o for o in given if o.get_key_element() in ("experiment", "ablation")]
    if len(tables) > 1 or any(o.is_sweep_override() for o in tables):
        words = " ".join(str(o.input_line) for o in tables)
        raise TableError(f"{words} are several tables: ask for one at a time")


def rows_of(sweep: DictConfig, given: Sequence[Override], parser: OverridesParser) -> list[list[str]]:
    """One list of overrides per cell of a sweep: those of its table, or the product of its parameters.

    Args:
        sweep: the sweep's own configuration, composed with ``given`` as far as that sweeps over nothing.
        given: the overrides of the command line.

    Raises:
        TableError: several tables, or a table of which nothing is left.
    """
    refuse_two_tables(given)
    sweeper = sweep.hydra.sweeper
    if sweeper.get("blocks"):
        blocks: Any = OmegaConf.to_container(sweeper.blocks, resolve=True)
        names: Any = OmegaConf.to_container(sweep.scale.names, resolve=True)
        return jobs(blocks, names, given)
    params = [f"{key}={value}" for key, value in (sweeper.params or {}).items()]
    return jobs([{}], {}, [*parser.parse_overrides(params), *given])


def jobs(
    blocks: Sequence[Mapping[str, Any]], names: Mapping[str, Mapping[str, str]], given: Sequence[Override]
) -> list[list[str]]:
    """One list of overrides per cell, in the order of the table, each cell once.

    A key on the command line that is also one of the table's restricts the table to the cells that have it with one of
    those values; any other one multiplies the table.

    Args:
        blocks: see above.
        names: ``scale.names``.
        given: the overrides of the command line.

    Raises:
        TableError: nothing is left.
    """
    values = {override.get_key_element(): _values(override) for override in given}
    table = [{key: _listed(entry, names.get(key, {})) for key, entry in block.items()} for block in blocks]
    restricted = values.keys() & {key for block in table for key in block}
    rows = [row for block in table if restricted <= block.keys() for row in _product(block, values)]
    if not rows:
        raise TableError(_no_cell({key: values[key] for key in sorted(restricted)}, table))
    return [list(row) for row in dict.fromkeys(rows)]


def _product(block: Mapping[str, list[str]], values: Mapping[str, list[str]]) -> Iterator[tuple[str, ...]]:
    """The cells of a block, restricted and multiplied by the ``values`` of the command line."""
    multiplied = {key: its for key, its in values.items() if key not in block}
    kept = {key: [each for each in its if each in values.get(key, its)] for key, its in block.items()}
    return itertools.product(*([f"{key}={value}" for value in its] for key, its in (multiplied | kept).items()))


def _values(override: Override) -> list[str]:
    if override.is_discrete_sweep():
        return list(override.sweep_string_iterator())
    return [override.get_value_element_as_str()]


def _listed(entry: Any, names: Mapping[str, str]) -> list[str]:
    """The values of an entry, each as the file that it is at this scale."""
    several = [entry] if isinstance(entry, str | int | float) else entry
    return [names.get(str(value), str(value)) for value in several]


def _no_cell(asked: Mapping[str, list[str]], table: Sequence[Mapping[str, list[str]]]) -> str:
    words = ", ".join(f"{key}={','.join(its)}" for key, its in asked.items())
    keys = dict.fromkeys(key for block in table for key in block)
    known = [f"{key} {sorted({each for block in table for each in block.get(key, [])})}" for key in keys]
    return f"the table has no cell with {words}; it has {'; '.join(known)}"
