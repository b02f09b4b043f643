"""The rows of a table of ``conf/experiment``, and which records stand in which of them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from analysis.records import SEED_COPIES, Entry, TableError
from analysis.table import differing, told_apart
from kawhi.base.checkout import CONF

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
        same = [i for i, other in enumerate(self.rows) if other.model == row.model]
        plain = [i for i in same if self.rows[i].credit == "uniform" and self.rows[i].algorithm == row.algorithm]
        if row.credit != "uniform" and plain:
            return plain[0]
        if untrained := [i for i in same if self.rows[i].base]:
            return untrained[0]
        ours = [i for i in same if self.rows[i].credit == OURS]
        return ours[0] if ours and row.credit not in (OURS, "uniform") else None

    def tasks(self, scale: str) -> list[str]:
        """The benchmarks of the table at a scale, in order."""
        file = _yaml("benchmarks", _scale_names(scale)["benchmarks"][self.benchmarks])
        return [benchmark["task"] for benchmark in file["benchmarks"]]


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
        found[file.stem] = Experiment(file.stem, caption, list(_rows(blocks)), recipe, blocks[0]["benchmarks"])
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
    rows: dict[int, list[Entry]]


def settings(experiment: Experiment, every: list[Entry]) -> list[Setting]:
    """One for each scale and each setting that a table's cells were run in.

    Raises:
        TableError: two records of a row that are not one cell with several seeds.
    """
    placed = [(row, entry, _key(experiment, entry)) for row, entry in _placed(experiment, every)]
    rest = dict.fromkeys(key for _, _, key in placed)  # one group for the untrained of all models
    keys = list(dict.fromkeys(key for _, entry, key in placed if entry.study == "training")) or list(rest)
    keys += [key for key in rest if key[0] not in {k[0] for k in keys}]
    heads = told_apart([_name(key) for key in keys], [_as_setting(key) for key in keys])
    found = []
    for key, (head, long) in zip(keys, heads, strict=True):
        own: dict[int, list[Entry]] = {}
        for row, entry, its in placed:
            if _belongs(its, key):
                own.setdefault(row, []).append(entry)
        for row, same in own.items():
            _refuse_doubles(experiment.rows[row], same)
        provenance, scale, _ = key[0]
        found.append(Setting(head, long, scale, provenance, experiment.tasks(scale), own))
    return found


def _rows(blocks: list[dict[str, Any]]) -> Iterator[Row]:
    several = {key for key in ("model", "data") if len({block[key] for block in blocks}) > 1}
    for block in blocks:
        axes = [[(key, value) for value in (its if isinstance(its, list) else [its])] for key, its in block.items()]
        for values in itertools.product(*axes):
            own = dict(values)
            options = {key: value for key, value in own.items() if "." in key}
            study, algorithm, credit = own.get("study", "training"), own.get("algorithm", ""), own.get("credit", "")
            words = [own[key] for key in ("model", "data") if key in several]
            words += [_method(algorithm, credit) if study == "training" else "Base"]
            words += [f"{key.rsplit('.', 1)[1].replace('_', ' ')} {value}" for key, value in options.items()]
            yield Row(", ".join(words), own["model"], own["data"], study, algorithm, credit, options)


def _method(algorithm: str, credit: str) -> str:
    base = _yaml("algorithm", algorithm)["algorithm"]["label"]
    label = _yaml("credit", credit)["credit"]["label"].replace("${algorithm.label}", base)
    return label if base in label else f"{base} + {label}"


def _placed(experiment: Experiment, every: list[Entry]) -> Iterator[tuple[int, Entry]]:
    """Each record with the first row that it fits: in the tiny world one model stands for several."""
    wanted: dict[str, list[dict[str, Any]]] = {}
    for entry in every:
        scale = entry.config["scale.name"]
        if scale not in wanted:
            known = (CONF / "scale" / f"{scale}.yaml").is_file()
            wanted[scale] = [row.wanted(scale, experiment.recipe) for row in experiment.rows] if known else []
        if not wanted[scale] or not set(experiment.tasks(scale)) <= set(entry.scores):
            continue
        config = entry.config
        for i, own in enumerate(wanted[scale]):
            if all(_plain(config.get(key)) == value for key, value in own.items()):
                yield i, entry
                break


def _key(experiment: Experiment, entry: Entry) -> tuple:
    """What is equal in a group: how it was evaluated, then how it was trained, which a baseline does not say."""
    config = entry.config
    tasks = experiment.tasks(config["scale.name"])
    evaluated = {key: value for key, value in config.items() if key.startswith(("evaluation.", "judge."))}
    for key in _OF_THE_MODEL:  # what each model's own file says is no setting of the table
        if evaluated.get(key) == _yaml("model", _plain(config["model.name"]))["evaluation"].get(key.split(".")[1]):
            evaluated.pop(key, None)
    evaluated |= {f"benchmarks.{task}.problems": entry.scores[task].n for task in tasks}
    for own in config.get("benchmarks", []):
        evaluated |= {
            f"benchmarks.{own['task']}.{k}": v for k, v in own.items() if k != "title" and own["task"] in tasks
        }
    one_data = len({row.data for row in experiment.rows}) == 1
    how = (config["scale.provenance"], config["scale.name"], json.dumps(evaluated, sort_keys=True))
    if config["study.name"] == "baseline":
        return how, None, None
    return how, config["steps"] if one_data else None, config.get("algorithm.exact", "verl")


def _belongs(own: tuple, group: tuple) -> bool:
    return own == group or (own[0] == group[0] and own[1:] == (None, None))


def _name(key: tuple) -> str:
    (provenance, scale, _), steps, exact = key
    return f"{provenance}: {scale}{f', {steps} steps' if steps else ''}{', exact' if exact == 'paper' else ''}"


def _as_setting(key: tuple) -> dict[str, Any]:
    return json.loads(key[0][2]) | {"steps": key[1], "exact": key[2]}


def _refuse_doubles(row: Row, entries: list[Entry]) -> None:
    """Raises:
    TableError: two records of a row that are not one cell with several seeds.
    """
    for old, new in itertools.combinations(entries, 2):
        told = f"{old.file} and {new.file} are both {row.label}"
        if keys := differing([_without_seeds(old), _without_seeds(new)]):
            raise TableError(f"{told} but differ in {', '.join(keys)}: remove one.")
        if _seeds(old) == _seeds(new):
            raise TableError(f"{told} with equal seeds but different hashes: remove one.")


def _seeds(entry: Entry) -> dict[str, Any]:
    return {key: value for key, value in entry.config.items() if key.startswith("seeds.")}


def _without_seeds(entry: Entry) -> dict[str, Any]:
    copies = {*SEED_COPIES, "kawhi.regions.seed"}
    return {key: value for key, value in entry.config.items() if key not in copies and not key.startswith("seeds.")}


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
