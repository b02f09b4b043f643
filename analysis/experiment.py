"""The tables of ``conf/experiment`` and ``conf/ablation``, and which records stand in which of their rows."""

from __future__ import annotations

import json
from collections.abc import Container
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.records import SEED_COPIES, canonical, refuse_doubles
from analysis.rows import Row, file_of, plain_name, rows_of, scale_parts
from analysis.table import told_apart
from kawhi.base.included import configuration_file, configuration_files
from kawhi.base.table_blocks import products
from kawhi.records.schema import Benchmark

OURS = "kawhi"
_OF_THE_MODEL = ("evaluation.min_pixels", "evaluation.max_pixels")


@dataclass(frozen=True)
class Experiment:
    """A file of ``conf/experiment`` or ``conf/ablation``, which is the ``group``."""

    group: str
    name: str
    caption: str
    rows: list[Row]
    recipe: str | None
    benchmarks: str

    @property
    def command(self) -> str:
        return f"python experiments/run.py -m {self.group}={self.name}"

    def reference(self, number: int) -> int | None:
        """The row that a row is compared with.

        A credit method's is its own base algorithm without it, in the same setting, a base algorithm's is the untrained
        model, and where the table has neither the method with its defaults; ``None`` for the rows that others are
        compared with.
        """
        row = self.rows[number]
        if row.base:
            return None
        if (
            row.credit != "uniform"
            and (plain := self.first(row, credit="uniform", algorithm=row.algorithm, setting=row.setting)) is not None
        ):
            return plain
        if (untrained := self.first(row, study="baseline")) is not None:
            return untrained
        return self.first(row, method=OURS) if row.method not in (OURS, "uniform") else None

    def first(self, row: Row, **wanted: Any) -> int | None:
        """The first row with the same model that has the attributes ``wanted``."""
        for i, other in enumerate(self.rows):
            if other.model == row.model and all(getattr(other, name) == value for name, value in wanted.items()):
                return i
        return None

    def tasks(self, scale: str) -> list[str]:
        """The benchmarks of the table at a scale, in order."""
        file = file_of("benchmarks", scale_parts(scale)["benchmarks"][self.benchmarks])
        return [benchmark["task"] for benchmark in file["benchmarks"]]

    def row_of(self, config: dict[str, Any], scored: Container[str]) -> int | None:
        """The first row that a record fits: in the tiny world one model stands for several."""
        scale = config["scale.name"]
        if configuration_file("scale", scale) is None or any(task not in scored for task in self.tasks(scale)):
            return None
        return next((i for i, row in enumerate(self.rows) if row.fits(config, self.recipe)), None)


def experiments() -> dict[str, Experiment]:
    """Every table of ``conf/experiment`` whose cells have scores, somebody's own that were included among them."""
    return _tables("experiment", tuple(configuration_files("experiment")))


def swept() -> dict[str, Experiment]:
    """Every table of ``conf/ablation`` whose cells have scores, as :func:`experiments`."""
    return _tables("ablation", tuple(configuration_files("ablation")))


def known_as(config: dict[str, Any]) -> str:
    """What the tables know the credit method of a configuration by, whatever its algorithm.

    The method's own name where no table has it with these options.
    """
    rows = (row for row in _methods() if row.credits_so(config))
    return next((row.known_by for row in rows), config["credit.name"])


@cache
def _methods() -> list[Row]:
    """A row of each credit method with its options: that of the first table that has it."""
    found: dict[str, Row] = {}
    for table in [*swept().values(), *experiments().values()]:
        for row in table.rows:
            if not row.base:
                found.setdefault(row.known_by, row)
    return [*found.values()]


@cache
def _tables(group: str, files: tuple[Path, ...]) -> dict[str, Experiment]:
    found = {}
    for file in files:
        content = file_of(group, file.stem)
        blocks = products(content["hydra"]["sweeper"]["blocks"])
        if any(block.get("study", "training") not in ("training", "baseline") for block in blocks):
            continue
        recipe = next((d["override /recipe"] for d in content.get("defaults", []) if "override /recipe" in d), None)
        caption = next(line[2:] for line in file.read_text().splitlines() if line.startswith("# ") and "@" not in line)
        found[file.stem] = Experiment(group, file.stem, caption, rows_of(blocks), recipe, blocks[0]["benchmarks"])
    return found


@dataclass
class Setting:
    """Records that may stand in one group of columns, by the number of their row.

    Attributes:
        head, long: what the group is called, and with the values that tell it from others of that name.
    """

    head: str
    long: str
    scale: str
    provenance: str
    tasks: list[str]
    rows: dict[int, pd.DataFrame]

    def results(self, row: int | None, task: str) -> list[Benchmark]:
        """Of each seed; none where it was not run."""
        return [scores[task] for scores in self.rows[row].scores] if row in self.rows else []

    @property
    def records(self) -> pd.DataFrame:
        """Of all rows."""
        return pd.concat(self.rows.values())


def settings(experiment: Experiment, every: pd.DataFrame) -> list[Setting]:
    """One for each scale and each setting that a table's cells were run in.

    Raises:
        TableError: two records of a row that are not one cell with several seeds.
    """
    placed = _placed(experiment, every)
    trained = placed[placed.study == "training"]
    alone = placed[~placed.how.isin(trained.how)]
    keys = [*pd.concat([trained, alone])[["how", "run"]].drop_duplicates().itertuples(index=False, name=None)]
    told = [(json.loads(how), json.loads(run)) for how, run in keys]
    names = [f"{how['provenance']}: {how['scale']}{_run_name(**run)}" for how, run in told]
    heads = told_apart(names, [how["evaluated"] | run for how, run in told])
    found = []
    for (how, run), (said, _), head in zip(keys, told, heads, strict=True):
        own = placed[(placed.how == how) & placed.run.isin([run, UNTRAINED])]
        rows = dict(iter(own.groupby("row", sort=False)))
        for row, same in rows.items():
            refuse_doubles(same, f"are both {experiment.rows[row].label}", "cell")
        found.append(Setting(*head, said["scale"], said["provenance"], experiment.tasks(said["scale"]), rows))
    return found


def _placed(experiment: Experiment, every: pd.DataFrame) -> pd.DataFrame:
    """The records of the table: their row, how they were evaluated, their run as far as groups differ in it, the cell.

    A baseline does not say how anything was trained: it stands in all groups of its evaluation.
    """
    records = every[every.study.isin(["training", "baseline"])].drop_duplicates("file")
    numbers = [experiment.row_of(*each) for each in zip(records.config, records.scores, strict=True)]
    own = records.assign(row=pd.Series(numbers, index=records.index, dtype=object)).dropna(subset="row")
    one_data = len({row.data for row in experiment.rows}) == 1
    return own.assign(
        how=[canonical(_how(experiment, *each)) for each in zip(own.config, own.scores, strict=True)],
        run=[UNTRAINED if c["study.name"] == "baseline" else canonical(_run(c, one_data)) for c in own.config],
        cell=[_without_seeds(config) for config in own.config],
    )


def _how(experiment: Experiment, config: dict[str, Any], scores: dict[str, Benchmark]) -> dict[str, Any]:
    """How a record was evaluated; what each model's own file says is no setting of the table."""
    of_the_model = file_of("model", plain_name(config["model.name"]))["evaluation"]
    evaluated = {key: value for key, value in config.items() if key.startswith(("evaluation.", "judge."))}
    for key in _OF_THE_MODEL:
        if evaluated.get(key) == of_the_model.get(key.split(".")[1]):
            evaluated.pop(key, None)
    tasks = experiment.tasks(config["scale.name"])
    evaluated |= {f"benchmarks.{task}.problems": scores[task].n for task in tasks}
    for own in config.get("benchmarks", []):
        if own["task"] in tasks:
            evaluated |= {f"benchmarks.{own['task']}.{key}": value for key, value in own.items() if key != "title"}
    return {"provenance": config["scale.provenance"], "scale": config["scale.name"], "evaluated": evaluated}


def _run(config: dict[str, Any], one_data: bool) -> dict[str, Any]:
    return {"steps": config["steps"] if one_data else None, "equations": config.get("algorithm.equations", "verl")}


UNTRAINED = canonical({"steps": None, "equations": None})


def _run_name(steps: int | None, equations: str | None) -> str:
    words = [f"{steps} steps"] * bool(steps) + ["the paper's equations"] * (equations == "paper")
    return "".join(f", {each}" for each in words)


def _without_seeds(config: dict[str, Any]) -> dict[str, Any]:
    copies = {*SEED_COPIES, "kawhi.regions.seed"}
    return {key: value for key, value in config.items() if key not in copies and not key.startswith("seeds.")}


def model_names(experiment: Experiment, scale: str) -> str:
    """Which model each part of a table is at a scale."""
    parts = dict.fromkeys(row.model for row in experiment.rows)
    return ", ".join(f"{part} is {scale_parts(scale)['model'][part]}" for part in parts)
