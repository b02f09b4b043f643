"""A table of ``conf/experiment`` from its records: its rows in its order, our scores, no number of the paper."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from analysis.records import SEED_COPIES, Entry, RecordError
from analysis.statistics import wilson_interval
from analysis.table import CAUTION, EMPTY, Group, Table, differing, empty_group, told_apart

CONF = Path(__file__).resolve().parents[1] / "conf"
NOTES = (
    "Scores are means over seeds; intervals are Wilson's over the pooled answers and leave out the spread between "
    "training seeds. What the paper prints is not in this table."
)
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

    def holds(self, entry: Entry, recipe: str | None) -> bool:
        config, names = entry.config, _scale_names(entry.config["scale.name"])
        wanted = {"study.name": self.study, "model.name": names["model"][self.model]}
        if self.study == "training":
            wanted |= {"algorithm.name": self.algorithm, "credit.name": self.credit, **self.options}
            wanted |= {"data.name": names["data"][self.data], "algorithm.recipe": recipe}
        return all(_plain(config.get(key)) == _plain(value) for key, value in wanted.items())


@dataclass(frozen=True)
class Experiment:
    """A file of ``conf/experiment``."""

    name: str
    caption: str
    rows: list[Row]
    recipe: str | None
    benchmarks: str

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


def experiment_table(experiment: Experiment, entries: list[Entry]) -> Table:
    """One table; a group of columns for each scale and each setting that its cells were run in."""
    placed = [(row, entry) for entry in entries if (row := _row_of(experiment, entry)) is not None]
    trained = {_key(experiment, entry): None for row, entry in placed if entry.config["study.name"] == "training"}
    keys = list(trained) or list({_key(experiment, entry): None for _, entry in placed})
    rest = dict.fromkeys(_key(experiment, entry) for _, entry in placed)  # one group for the untrained of all models
    keys += [key for key in rest if key[0] not in {k[0] for k in keys}]
    names = [_name(key) for key in keys]
    heads = told_apart(names, [_as_setting(key) for key in keys])
    groups = []
    for key, (head, long) in zip(keys, heads, strict=True):
        own = [(row, e) for row, e in placed if _belongs(_key(experiment, e), key)]
        groups.append(_group(experiment, head, long, own))
    models = {row.model: None for row in experiment.rows}
    scales = {entry.config["scale.name"]: None for _, entry in placed}
    called = {m: ", ".join(f"{_scale_names(s)['model'][m]} ({s})" for s in scales) for m in models}
    parts = "; ".join(f"{model}: {names}" for model, names in called.items())
    return Table(
        name=experiment.name,
        caption=experiment.caption,
        rows=[row.label for row in experiment.rows],
        groups=groups or [empty_group(("Score", "95% interval"), len(experiment.rows))],
        command=f"python experiments/run.py -m experiment={experiment.name}",
        notes=(*[NOTES, f"Models: {parts}."] * bool(placed),),
    )


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


def _row_of(experiment: Experiment, entry: Entry) -> int | None:
    """The first row that a record fits: in the tiny world one model stands for several."""
    if not (CONF / "scale" / f"{entry.config['scale.name']}.yaml").is_file():
        return None
    if not set(experiment.tasks(entry.config["scale.name"])) <= set(entry.scores):
        return None
    return next((i for i, row in enumerate(experiment.rows) if row.holds(entry, experiment.recipe)), None)


def _key(experiment: Experiment, entry: Entry) -> tuple:
    """What is equal in a group: how it was evaluated, then how it was trained, which a baseline does not say."""
    config = entry.config
    tasks = experiment.tasks(config["scale.name"])
    evaluated = {key: value for key, value in config.items() if key.startswith(("evaluation.", "judge."))}
    for key in _OF_THE_MODEL:  # what each model's own file says is no setting of the table
        if evaluated.get(key) == _yaml("model", _plain(config["model.name"]))["evaluation"].get(key.split(".")[1]):
            evaluated.pop(key, None)
    evaluated |= {f"benchmarks.{task}.problems": entry.scores[task]["n"] for task in tasks}
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


def _group(experiment: Experiment, head: str, long: str, placed: list[tuple[int, Entry]]) -> Group:
    first = placed[0][1]
    tasks = experiment.tasks(first.config["scale.name"])
    columns: list[str] = []
    for task in tasks:
        score = first.scores[task]
        columns += [f"{score['title']} ({'%' if score['metric'] == 'accuracy' else score['metric']})", "95% interval"]
    lines = []
    for i, row in enumerate(experiment.rows):
        own = [entry for place, entry in placed if place == i]
        _refuse_doubles(row, own)
        texts = [text for task in tasks for text in _texts([entry.scores[task] for entry in own])]
        lines.append((*texts, str(len(own)) if own else EMPTY))
    counts = ", ".join(f"{first.scores[task]['title']} {first.scores[task]['n']}" for task in tasks)
    provenance = first.config["scale.provenance"]
    return Group(head, (*columns, "Seeds"), lines, f"{long}. n per cell and seed: {counts}.", CAUTION[provenance])


def _texts(scores: list[dict[str, Any]]) -> tuple[str, str]:
    if not scores:
        return EMPTY, EMPTY
    mean = f"{sum(score['score'] for score in scores) / len(scores):.2f}"
    if any(score["correct"] is None for score in scores):
        return mean, EMPTY
    low, high = wilson_interval(sum(score["correct"] for score in scores), sum(score["n"] for score in scores))
    return mean, f"[{100 * low:.2f}, {100 * high:.2f}]"


def _refuse_doubles(row: Row, entries: list[Entry]) -> None:
    """Raises:
    RecordError: two records of a row that are not one cell with several seeds.
    """
    for old, new in itertools.combinations(entries, 2):
        told = f"{old.file} and {new.file} are both {row.label}"
        if keys := differing([_without_seeds(old), _without_seeds(new)]):
            raise RecordError(f"{told} but differ in {', '.join(keys)}: remove one.")
        if _seeds(old) == _seeds(new):
            raise RecordError(f"{told} with equal seeds but different hashes: remove one.")


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
