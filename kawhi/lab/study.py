"""Which cells a study compares: rows of a YAML file or names on a command line, as cells of ``conf/run.yaml``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict

from kawhi.base.checkout import configuration_folder
from kawhi.base.errors import CellError
from kawhi.base.included import configuration_file
from kawhi.lab.comparison import BEST, UNIFORM, WORST
from kawhi.lab.evaluation import Evaluation
from kawhi.runs.composing import compose_cell
from kawhi.runs.credit_settings import validate_credit
from kawhi.runs.own_methods import make_known

BLOCKS = ("options", "alignment", "regions", "signals")
"""Parts of a cell's ``kawhi`` block that a row may set."""


@dataclass(frozen=True)
class Row:
    """One method of a study.

    Attributes:
        credit: a file of ``conf/credit``, or a registered method without one.
        blocks: what is set in the ``kawhi`` block, by its parts.
        algorithm: a file of ``conf/algorithm``; ``None`` for the study's.
    """

    label: str
    credit: str
    blocks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    algorithm: str | None = None


@dataclass(frozen=True)
class Study:
    """What is compared, and how long each is trained.

    Attributes:
        models: family -> overrides that choose its checkpoint.
        shared: overrides of ``conf/run.yaml`` for all rows.
        every: steps between two measurements.
        pairs: labels of two rows of one algorithm whose difference was declared before anything was run.
        first_seed: of those that a command counts on from.
    """

    rows: tuple[Row, ...]
    models: Mapping[str, Sequence[str]]
    shared: Sequence[str]
    every: int
    evaluation: Evaluation
    algorithm: str
    pairs: Sequence[Sequence[str]] = ()
    first_seed: int = 0


def read_study(file: Path) -> Study:
    """Raises:
    CellError: a file that is not there, or says something else than a study does.
    """
    if not file.is_file():
        raise CellError(f"there is no study {file}")
    said = yaml.safe_load(file.read_text(encoding="utf-8"))
    try:
        rows = tuple(_row(each) for each in said.pop("rows"))
        evaluation = Evaluation(**said.pop("evaluation"))
        return Study(rows=rows, evaluation=evaluation, **said)
    except (AttributeError, KeyError, TypeError) as error:
        raise CellError(f"{file} is no study of the lab: {error}") from error


def chosen(
    file: Path | None,
    methods: Sequence[str],
    *,
    algorithm: str | None = None,
    difficulty: str | None = None,
    overrides: Sequence[str] = (),
) -> Study:
    """A study as a command line changes it; what a bench is judged by is always among its rows.

    Args:
        file: by default ``conf/lab/bench.yaml``.
        methods: labels of its rows, or as :func:`row_of` reads them, several in one with commas between.

    Raises:
        CellError: as :func:`read_study` and :func:`row_of`.
    """
    study = read_study(file or configuration_folder() / "lab" / "bench.yaml")
    rows = study.rows
    if methods:
        own = [row for row in study.rows if row.algorithm is None]
        known = {row.credit: row for row in own if not row.blocks} | {row.label: row for row in own}
        named = [known.get(text) or row_of(text) for each in methods for text in words(each)]
        there = {row.credit for row in named}
        judges = [known.get(name) or row_of(name) for name in (UNIFORM, BEST, WORST) if name not in there]
        rows = (*judges, *named)
    shared = [*study.shared, *([f"data.difficulty={difficulty}"] if difficulty else []), *overrides]
    pairs = [pair for pair in study.pairs if set(pair) <= {row.label for row in rows}]
    return replace(study, rows=rows, pairs=pairs, shared=shared, algorithm=algorithm or study.algorithm)


def words(text: str) -> list[str]:
    """Methods with commas between; what follows a comma and is ``OPTION=VALUE`` belongs to the method before it."""
    found: list[str] = []
    for part in text.split(","):
        if found and "=" in part and ":" not in part:
            found[-1] += f",{part}"
        else:
            found.append(part)
    return found


def _row(said: Mapping[str, Any]) -> Row:
    own = dict(said)
    label, credit, algorithm = own.pop("label"), own.pop("credit"), own.pop("algorithm", None)
    if odd := sorted(own.keys() - set(BLOCKS)):
        raise KeyError(f"the row {label} sets {odd[0]}, which is none of {', '.join(BLOCKS)}")
    return Row(label, credit, own, algorithm)


def row_of(text: str) -> Row:
    """A row as it is typed: ``kawhi``, ``kawhi:temperature=0.02,regions.strategy=all``; a key alone is an option.

    Raises:
        CellError: something else.
    """
    credit, _, given = text.partition(":")
    blocks: dict[str, dict[str, Any]] = {}
    for part in filter(None, given.split(",")):
        key, equals, value = part.partition("=")
        block, dot, name = key.rpartition(".")
        if not equals or (dot and block not in BLOCKS):
            raise CellError(f"{text}: {part} is not OPTION=VALUE, with one of {', '.join(BLOCKS)} and a dot before it")
        blocks.setdefault(block or "options", {})[name] = yaml.safe_load(value)
    return Row(text, credit, blocks)


def compose(study: Study, row: Row, family: str) -> DictConfig:
    """The cell of a row.

    Raises:
        CellError: a family, a method or an option that does not exist.
    """
    if family not in study.models:
        raise CellError(f"the study has no family {family}; it has {', '.join(study.models)}")
    shared = [*study.models[family], *study.shared, f"algorithm={row.algorithm or study.algorithm}"]
    if row.credit not in make_known() and configuration_file("credit", row.credit, configuration_folder()) is None:
        told = f"there is no method {row.credit}: no file of conf/credit, and nobody registered it"
        raise CellError(f"{told}; --include FILE brings one of your own")
    try:
        cell = _composed(*shared, f"credit={row.credit}")
    except HydraException as error:
        raise CellError(str(error)) from error
    with open_dict(cell):
        cell.credit.label = row.label
        for block, given in row.blocks.items():
            cell.kawhi[block] = OmegaConf.merge(cell.kawhi.get(block) or {}, dict(given))
    validate_credit(cell)
    return cell


def _composed(*overrides: str) -> DictConfig:
    """A cell of one's own; rows of one method share the time that composing takes."""
    return deepcopy(_composed_once(overrides))


@cache
def _composed_once(overrides: tuple[str, ...]) -> DictConfig:
    return compose_cell(configuration_folder(), overrides)
