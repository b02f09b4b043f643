"""The cells that a command asks for: composed, and called by what tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from kawhi.runs.own_methods import make_known
from kawhi.runs.table_rows import rows_of
from kawhi.runs.verl_command import leaves


def compose_cells(conf: Path, overrides: Sequence[str]) -> tuple[list[DictConfig], list[list[str]]]:
    """The cells of ``experiments/run.py -m OVERRIDES`` and the overrides of each.

    Raises:
        hydra.errors.HydraException, TableError: an override that does not exist.
    """
    make_known()
    with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
        given = OverridesParser.create().parse_overrides(list(overrides))
        fixed = [str(o.input_line) for o in given if not o.is_sweep_override()]
        master = compose("run", overrides=fixed, return_hydra_config=True)
        rows = rows_of(master, given)
        return [compose("run", overrides=row) for row in rows], rows


def compose_cell(conf: Path, overrides: Sequence[str]) -> DictConfig:
    """The one cell of these overrides, as they are beside each cell of :func:`compose_cells`."""
    make_known()
    with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
        return compose("run", overrides=list(overrides))


def composed(loader, sweep: DictConfig, overrides: list[str]) -> DictConfig:
    """One cell of a sweep."""
    cell = loader.load_sweep_config(sweep, overrides)
    with open_dict(cell):
        cell.pop("hydra")  # its interpolations need a running job, and no number depends on it
    return cell


def untrained(overrides: Sequence[str]) -> list[str]:
    """The overrides of the cell that evaluates the model which a cell starts from."""
    return [*(each for each in overrides if not each.startswith("study=")), "study=baseline"]


def labels(cells: Sequence[DictConfig]) -> list[str]:
    """What tells the cells of a sweep apart: their credit method, and whatever else differs among them."""
    parts = [_parts(cell, cells) for cell in cells]
    differ = [len(set(column)) > 1 for column in zip(*parts, strict=True)]
    if not any(differ):
        differ[2] = True
    return [", ".join(text for text, shown in zip(part, differ, strict=True) if shown and text) for part in parts]


def _parts(cell: DictConfig, cells: Sequence[DictConfig]) -> tuple[str, ...]:
    """Model, algorithm, credit method, image, options, data and seed; those that say something of this study."""
    options, seed = _options_beside(cell, cells), f"seed {cell.seeds.rollout}"
    if cell.study.name == "baseline":
        return cell.model.name, "", "Base", "", options, "", seed
    image = cell.study.get("image", "")
    return cell.model.name, _algorithm(cell), cell.credit.label, image, options, cell.data.name, seed


def _algorithm(cell: DictConfig) -> str:
    equations = " (paper's equations)" if cell.algorithm.equations == "paper" else ""
    recipe = f" ({cell.algorithm.recipe})" if cell.algorithm.recipe else ""
    return f"{cell.algorithm.name}{equations}{recipe}"


def _options_beside(cell: DictConfig, cells: Sequence[DictConfig]) -> str:
    """The method's settings in which a cell differs from another one of the same label and model."""
    same = [other for other in cells if (other.credit.label, other.model.name) == (cell.credit.label, cell.model.name)]
    own, *others = (dict(leaves(OmegaConf.to_container(each.kawhi, resolve=True))) for each in (cell, *same))  # type: ignore[arg-type]
    differ = [key for key, value in own.items() if any(other.get(key) != value for other in others)]
    return ", ".join(f"{key.rpartition('.')[2]} {own[key]}" for key in differ)
