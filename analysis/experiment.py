"""The rows of a table of ``conf/experiment``, and which records stand in which of them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Container
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd
import yaml

from analysis.records import SEED_COPIES, canonical, refuse_doubles
from analysis.table import told_apart
from kawhi.base.checkout import CONF
from kawhi.records.schema import Benchmark

OURS = "kawhi"
_OF_THE_MODEL = ("evaluation.min_pixels", "evaluation.max_pixels")


@dataclass(frozen=True)
class Row:
    """One line of a table: what a record's configuration must say to stand in it.

    Attributes:
        model, data: the part they have in the table; a scale says which files those are.
        study: ``baseline`` or ``training``.
        options: dotted keys of the configuration.
    """

    label: str
    model: str
    data: str
    study: str
    algorithm: str
    credit: str
    options: dict[str, Any]

    @property
    def base(self) -> bool:
        """Whether it is the untrained model's."""
        return self.study == "baseline"

    def wanted(self, scale: str, recipe: str | None) -> dict[str, Any]:
        """What the configuration of its records says, at a scale."""
        names = _scale_names(scale)
        wanted: dict[str, Any] = {"study.name": self.study, "model.name": names["model"][self.model]}
        if self.study == "training":
            wanted |= {"credit.name": self.credit, "algorithm.name": self.algorithm, **self.options}
            wanted |= {"data.name": names["data"][self.data], "algorithm.recipe": recipe}
        return {key: _plain(value) for key, value in wanted.items()}


@dataclass(frozen=True)
class Experiment:
    """A file of ``conf/experiment``."""

    name: str
    caption: str
    rows: list[Row]
    recipe: str | None
    benchmarks: str

    @property
    def command(self) -> str:
        return f"python experiments/run.py -m experiment={self.name}"

    def reference(self, number: int) -> int | None:
        """The row that a row is compared with.

        A credit method's is its own base algorithm without it, a base algorithm's is the untrained model, and where the
        table has neither the method with its defaults; ``None`` for the rows that others are compared with.
        """
        row = self.rows[number]
        if row.base:
            return None
        if (
            row.credit != "uniform"
            and (plain := self.first(row, credit="uniform", algorithm=row.algorithm)) is not None
        ):
            return plain
        if (untrained := self.first(row, study="baseline")) is not None:
            return untrained
        return self.first(row, credit=OURS) if row.credit not in (OURS, "uniform") else None

    def first(self, row: Row, **wanted: str) -> int | None:
        """The first row with the same model that has the attributes ``wanted``."""
        for i, other in enumerate(self.rows):
            if other.model == row.model and all(getattr(other, name) == value for name, value in wanted.items()):
                return i
        return None

    def tasks(self, scale: str) -> list[str]:
        """The benchmarks of the table at a scale, in order."""
        file = _yaml("benchmarks", _scale_names(scale)["benchmarks"][self.benchmarks])
        return [benchmark["task"] for benchmark in file["benchmarks"]]

    def row_of(self, config: dict[str, Any], scored: Container[str]) -> int | None:
        """The first row that a record fits: in the tiny world one model stands for several."""
        scale = config["scale.name"]
        if not (CONF / "scale" / f"{scale}.yaml").is_file() or any(task not in scored for task in self.tasks(scale)):
            return None
        for i, wanted in enumerate(_wanted(self.name, scale)):
            if all(_plain(config.get(key)) == value for key, value in wanted.items()):
                return i
        return None


@cache
def experiments() -> dict[str, Experiment]:
    """Every table whose cells have scores."""
    found = {}
    for file in sorted((CONF / "experiment").glob("*.yaml")):
        content = _yaml("experiment", file.stem)
        blocks = content["hydra"]["sweeper"]["blocks"]
        if any(block.get("study") == "timing" for block in blocks):
            continue
        recipe = next((d["override /recipe"] for d in content.get("defaults", []) if "override /recipe" in d), None)
        caption = next(line[2:] for line in file.read_text().splitlines() if line.startswith("# ") and "@" not in line)
        found[file.stem] = Experiment(file.stem, caption, _rows(blocks), recipe, blocks[0]["benchmarks"])
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


def _rows(blocks: list[dict[str, Any]]) -> list[Row]:
    several = [key for key in ("model", "data") if len({block[key] for block in blocks}) > 1]
    axes = ([its if isinstance(its, list) else [its] for its in block.values()] for block in blocks)
    cells = (zip(itertools.repeat(block), itertools.product(*own)) for block, own in zip(blocks, axes, strict=True))
    return [_row(dict(zip(block, values, strict=True)), several) for block, values in itertools.chain(*cells)]


def _row(own: dict[str, Any], several: list[str]) -> Row:
    options = {key: value for key, value in own.items() if "." in key}
    study, algorithm, credit = own.get("study", "training"), own.get("algorithm", ""), own.get("credit", "")
    words = [own[key] for key in several]
    words += [_method(algorithm, credit) if study == "training" else "Base"]
    words += [f"{key.rsplit('.', 1)[1].replace('_', ' ')} {value}" for key, value in options.items()]
    return Row(", ".join(words), own["model"], own["data"], study, algorithm, credit, options)


def _method(algorithm: str, credit: str) -> str:
    base = _yaml("algorithm", algorithm)["algorithm"]["label"]
    label = _yaml("credit", credit)["credit"]["label"].replace("${algorithm.label}", base)
    return label if base in label else f"{base} + {label}"


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
    of_the_model = _yaml("model", _plain(config["model.name"]))["evaluation"]
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
    return {"steps": config["steps"] if one_data else None, "exact": config.get("algorithm.exact", "verl")}


UNTRAINED = canonical({"steps": None, "exact": None})


def _run_name(steps: int | None, exact: str | None) -> str:
    return f"{f', {steps} steps' if steps else ''}{', exact' if exact == 'paper' else ''}"


def _without_seeds(config: dict[str, Any]) -> dict[str, Any]:
    copies = {*SEED_COPIES, "kawhi.regions.seed"}
    return {key: value for key, value in config.items() if key not in copies and not key.startswith("seeds.")}


@cache
def _wanted(name: str, scale: str) -> list[dict[str, Any]]:
    experiment = experiments()[name]
    return [row.wanted(scale, experiment.recipe) for row in experiment.rows]


@cache
def _yaml(group: str, name: str) -> dict[str, Any]:
    return yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8"))


def _scale_names(scale: str) -> dict[str, dict[str, str]]:
    return _yaml("scale", scale)["scale"]["names"]


def _plain(value: Any) -> Any:
    """Files are called as what they configure, but for dots and dashes."""
    return value.replace("-", "_").replace(".", "_") if isinstance(value, str) else value


def model_names(experiment: Experiment, scale: str) -> str:
    """Which model each part of a table is at a scale."""
    parts = dict.fromkeys(row.model for row in experiment.rows)
    return ", ".join(f"{part} is {_scale_names(scale)['model'][part]}" for part in parts)
