"""The cells of a table of the paper: a union of products, because the paper's tables have gaps.

``hydra.sweeper.blocks`` of a file in ``conf/experiment`` is a list of blocks; each maps configuration keys to a value
or a list of values and stands for their product.  Models, data sets and benchmarks are called by their part in the
table (``main``, ``geometry``, ``math``); ``scale.names`` says which file that is at this scale.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
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
    values: dict[str, list[str]] = {}
    for override in given:
        key = override.get_key_element()
        several = override.is_discrete_sweep()
        values[key] = list(override.sweep_string_iterator()) if several else [override.get_value_element_as_str()]
    restricted = values.keys() & {key for block in blocks for key in block}
    rows: dict[tuple[str, ...], None] = {}
    for block in blocks:
        if not restricted <= block.keys():
            continue
        own = {key: [_named(names, key, value) for value in _listed(entry)] for key, entry in block.items()}
        kept = {
            key: [value for value in its if value in values[key]] if key in values else its for key, its in own.items()
        }
        rest = {key: its for key, its in values.items() if key not in own}
        axes = [[f"{key}={value}" for value in its] for key, its in (rest | kept).items()]
        rows |= dict.fromkeys(itertools.product(*axes))
    if not rows:
        asked = ", ".join(f"{key}={','.join(values[key])}" for key in sorted(restricted))
        known = {
            key: sorted({_named(names, key, v) for b in blocks for v in _listed(b.get(key, []))})
            for b in blocks
            for key in b
        }
        raise TableError(
            f"the table has no cell with {asked}; it has {'; '.join(f'{key} {its}' for key, its in known.items())}"
        )
    return [list(row) for row in rows]


def _listed(entry: Any) -> list[str]:
    return [str(entry)] if isinstance(entry, str | int | float) else [str(value) for value in entry]


def _named(names: Mapping[str, Mapping[str, str]], key: str, value: str) -> str:
    return names.get(key, {}).get(value, value)
