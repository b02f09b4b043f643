"""The rows of a table: a union of products, because the paper's tables have gaps.

``hydra.sweeper.blocks`` of a file in ``conf/ablation`` or ``conf/experiment`` is a list of blocks; each maps
configuration keys to a value or a list of values and stands for their product.  A block's key ``rows`` is a list of
mappings: each is a row, and its keys join the block's.  Models, data sets and benchmarks are called by their part in
the table (``main``, ``geometry``, ``math``); ``scale.parts`` says which file that is at this scale.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from kawhi.base.table_blocks import GROUPS, products
from kawhi.runs.verl_command import to_override

_ABSENT = object()


class TableError(ValueError):
    """A row that does not exist; the message lists those that do."""


def refuse_two_tables(given: Sequence[Override]) -> None:
    """
    Raises:
        TableError: more than one table is asked for; each has rows of its own.
    """
    tables = [o for o in given if o.get_key_element() in GROUPS]
    if len(tables) > 1 or any(o.is_sweep_override() for o in tables):
        words = " ".join(str(o.input_line) for o in tables)
        raise TableError(f"{words} are several tables: ask for one at a time")


def rows_of(sweep: DictConfig, given: Sequence[Override]) -> list[list[str]]:
    """One list of overrides per cell of a sweep: those of its table, or what the command line multiplies.

    Args:
        sweep: the sweep's own configuration, composed with ``given`` as far as that sweeps over nothing.
        given: the overrides of the command line.

    Raises:
        TableError: several tables, or a table of which nothing is left.
    """
    refuse_two_tables(given)
    blocks: Any = OmegaConf.to_container(sweep.hydra.sweeper.blocks)
    parts: Any = OmegaConf.to_container(sweep.scale.parts)
    rows = jobs(products(blocks) or [{}], parts, given)
    keys = [override.get_key_element() for override in given]
    names = [override.get_value_element_as_str() for override in given if override.get_key_element() in GROUPS]
    named = [f"table={name}" for name in names if "table" not in keys]
    return [[*row, *named] for row in rows]


def jobs(
    blocks: Sequence[Mapping[str, Any]], parts: Mapping[str, Mapping[str, str]], given: Sequence[Override]
) -> list[list[str]]:
    """One list of overrides per cell, in the order of the table, each cell once.

    What the command line says of a key that has one value throughout the table is set: it stands in the place of that
    value.  Of a key that the table varies, or that only some of its rows have, it selects the rows with that value.
    Any other key multiplies the table.

    Args:
        blocks: see above, without ``rows``.
        parts: ``scale.parts``.
        given: the overrides of the command line.

    Raises:
        TableError: nothing is left.
    """
    values = {override.get_key_element(): _values(override) for override in given}
    fixed = {key: its for key, its in values.items() if _once(key, blocks)}
    table = [_listed(block, parts) | fixed for block in blocks]
    selected = set().union(*table) & values.keys() - fixed.keys()
    own = (_product(block, values) for block in table if selected <= block.keys())
    rows = [*dict.fromkeys(itertools.chain(*own))]
    if not rows:
        raise TableError(_no_cell({key: values[key] for key in sorted(selected)}, table))
    return [*map(list, rows)]


def _once(key: str, blocks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether all blocks have one and the same value of a key."""
    first, *others = (block.get(key, _ABSENT) for block in blocks)
    return first is not _ABSENT and not isinstance(first, list) and all(other == first for other in others)


def _product(block: Mapping[str, list[str]], values: Mapping[str, list[str]]) -> Iterator[tuple[str, ...]]:
    """The cells of a block, restricted and multiplied by the ``values`` of the command line."""
    multiplied = {key: its for key, its in values.items() if key not in block}
    kept = {key: [each for each in its if _among(each, values.get(key, its))] for key, its in block.items()}
    return itertools.product(*([f"{key}={value}" for value in its] for key, its in (multiplied | kept).items()))


def _among(value: str, asked: Iterable[str]) -> bool:
    """Whether a value is one of those asked for, however each is quoted."""
    bare, *others = (re.sub(r"[\\'\"]", "", each) for each in (value, *asked))
    return bare in others


def _values(override: Override) -> list[str]:
    if override.is_discrete_sweep():
        return list(override.sweep_string_iterator())
    return [override.get_value_element_as_str()]


def _listed(block: Mapping[str, Any], parts: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    """A block's values as Hydra reads them, a part as the file that it is at this scale."""
    several = {key: entry if isinstance(entry, list) else [entry] for key, entry in block.items()}
    return {key: [to_override(_at_scale(each, parts.get(key, {}))) for each in its] for key, its in several.items()}


def _at_scale(value: Any, parts: Mapping[str, str]) -> Any:
    return parts.get(value, value) if isinstance(value, str) else value


def _no_cell(asked: Mapping[str, list[str]], table: Sequence[Mapping[str, list[str]]]) -> str:
    words = ", ".join(f"{key}={','.join(its)}" for key, its in asked.items())
    keys = dict.fromkeys(key for block in table for key in block)
    known = [f"{key} {sorted({each for block in table for each in block.get(key, [])})}" for key in keys]
    return f"the table has no cell with {words}; it has {'; '.join(known)}"
