"""Records as one tidy table: a row per record and benchmark, or image, with its provenance and what its column is."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.table import Source, differing, told_apart
from kawhi.evaluation.rules import changed_rules
from kawhi.records.contradictions import dotted
from kawhi.records.schema import BaselineRecord, GroundingRecord, Record, TimingRecord, TrainingRecord

ROW = ("credit.", "kawhi.", "seeds.", "study.")  # of a training cell's configuration: what its row and seeds say
AGENT_LOOP = "verl.actor_rollout_ref.rollout.agent.default_agent_loop"  # comes with the credit method
SEED_COPIES = {"verl.data.seed": "seeds.data", "verl.actor_rollout_ref.rollout.seed": "seeds.rollout"}
FIELDS = (
    *("file", "command", "study", "provenance", "model", "algorithm", "credit", "label", "steps"),
    "seeds",  # name -> number, those that the record has
    "config",  # dotted keys
    "scores",  # by task
    "accepted",  # why a training is trusted that failed a health check; empty where none failed
    "kawhi_share",  # time of KAWHI's parts over the time of the steps
    "task",  # a benchmark, or an image of the grounding study
    "result",  # what was found: a Benchmark, a Grounding, or the record of a timing
    "method",  # options of the credit method: what must be equal in all seeds of a row
    "setting",  # what must be equal in a whole column, as dotted keys
    "key",  # the setting as text
)


class TableError(Exception):
    """Sound records that cannot stand in one table; the sentence names their files."""


def frame(records: Mapping[Path, Record]) -> pd.DataFrame:
    """What tables are made of, with the columns of :data:`FIELDS`; studies that no table shows have no row."""
    found: dict[Any, dict[str, Any]] = {}
    for file, record in records.items():
        # What the records of a training share that was evaluated in several ways is one row.
        of = record.cell.hash if isinstance(record, TrainingRecord) else file
        for part in _parts(record):
            key = canonical(part["setting"])
            found.setdefault((of, part["task"], key), _whole(record, file) | part | {"key": key})
    return pd.DataFrame([*found.values()], columns=[*FIELDS], dtype=object)


def columns(rows: pd.DataFrame, by: list[str], name: str) -> list[tuple[str, str, pd.DataFrame]]:
    """Head, long head and rows of each group that may stand in one column, in the order of ``by``.

    Args:
        name: the head, a format of the fields.
    """
    groups = [own for _, own in rows.groupby([*by, "key"])]
    firsts = [own.iloc[0] for own in groups]
    heads = told_apart([name.format_map(first) for first in firsts], [first.setting for first in firsts])
    return [(*head, own) for head, own in zip(heads, groups, strict=True)]


def source(label: str, rows: pd.DataFrame, command: str, tasks: Iterable[str] | None = None) -> Source:
    """Where the numbers of some rows come from.

    Args:
        command: for a record that does not say its own.
        tasks: benchmarks whose numbers they are; without, each row's own.
    """
    records = rows.drop_duplicates("file")
    commands = dict.fromkeys(own or command for own in records.command)
    shown = [*(rows.task.unique() if tasks is None else tasks)]
    scored = [(task, scores[task]) for scores in records.scores for task in shown if task in scores]
    outdated = dict.fromkeys(result.title for task, result in scored if changed_rules(task, result.rules))
    told = [(its.title, its.judge.refused, its.n) for _, its in scored if its.judge and its.judge.refused]
    refused = tuple(f"{title} {number} of {n}" for title, number, n in told)
    accepted = dict.fromkeys(why for each in records.accepted for why in each)
    return Source(
        label,
        tuple(commands),
        tuple(records.file),
        outdated=tuple(outdated),
        refused=refused,
        accepted=tuple(accepted),
    )


def refuse_doubles(rows: pd.DataFrame, told: str, keys: str, hint: str = "") -> None:
    """Rows of one cell must differ in their seeds alone.

    Args:
        told: what two files are.
        keys: the field of what must be equal in all of them.

    Raises:
        TableError: two are not one cell with several seeds.
    """
    for (_, old), (_, new) in itertools.combinations(rows.iterrows(), 2):
        if found := ", ".join(differing([old[keys], new[keys]])):
            raise TableError(f"{old.file} and {new.file} {told} but differ in {found}: remove one{hint}.")
        if old.seeds == new.seeds:
            raise TableError(f"{old.file} and {new.file} {told} with equal seeds but different hashes: remove one.")


def one_each(rows: pd.DataFrame, by: str | list[str]) -> dict[Any, pd.DataFrame]:
    """The one row of each cell of a study in which nothing is pooled.

    Raises:
        TableError: two rows are of one cell.
    """
    found = dict(iter(rows.groupby(by)))
    for own in found.values():
        if len(own) > 1:
            one, other, *_ = own.file
            raise TableError(f"{one} and {other} are one row of one column but different hashes.")
    return found


def canonical(setting: Mapping[str, Any]) -> str:
    """Equal for equal settings."""
    return json.dumps(setting, sort_keys=True)


def method_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The credit method's own part of a configuration, without its seed."""
    return {key: value for key, value in config.items() if key.startswith("kawhi.") and key != "kawhi.regions.seed"}


def shared_setting(config: Mapping[str, Any], apart: tuple[str, ...]) -> dict[str, Any]:
    """What trainings of one column have in common: nothing of the row and its seeds, nor the prefixes of ``apart``."""
    own = {key: value for key, value in config.items() if not key.startswith((*ROW, *apart)) and key != AGENT_LOOP}
    copies = [copy for copy, seed in SEED_COPIES.items() if own.get(copy) == config.get(seed)]
    return {key: value for key, value in own.items() if key not in copies}


def judge_of(config: Mapping[str, Any], task: str) -> dict[str, Any]:
    """The judge of one benchmark, with its own prompts; nothing where exact rules decide."""
    prompts = f"judge.prompts.{task}"
    if prompts not in config:
        return {}
    others = [key for key in config if key.startswith("judge.prompts.") and key != prompts]
    return {key: value for key, value in config.items() if key.startswith("judge.") and key not in others}


def _whole(record: Any, file: Path) -> dict[str, Any]:
    """The fields that all rows of a record share."""
    credit, seeds, health = (getattr(record, name, None) for name in ("credit", "seeds", "health"))
    said = {"study.name": record.study, "scale.provenance": record.provenance}
    return {
        "file": file,
        "command": record.command,
        "study": record.study,
        "provenance": record.provenance,
        "model": record.model.name,
        "algorithm": getattr(record, "algorithm", ""),
        "credit": credit.name if credit else "",
        "label": credit.label if credit else "",
        "steps": getattr(record, "steps", None),
        "seeds": seeds.model_dump(exclude_none=True) if seeds else {},
        "config": said | dotted(record.config),
        "scores": getattr(record, "benchmarks", {}),
        "accepted": tuple(each.why for each in health.accepted) if health else (),
        "kawhi_share": record.run.kawhi_share,
    }


def _parts(record: Record) -> Iterator[dict[str, Any]]:
    """The other fields, one row each."""
    config = dotted(record.config)
    nothing: dict[str, Any] = {"method": {}, "setting": {}}
    if isinstance(record, TrainingRecord):
        shared, method = shared_setting(config, ("benchmarks", "judge.")), method_of(config)
        for task, result in record.benchmarks.items():
            own = _benchmark(record.config, task) | judge_of(config, task)
            setting = shared | own | {"benchmarks.problems": result.n}
            yield {"task": task, "result": result, "method": method, "setting": setting}
    elif isinstance(record, BaselineRecord):
        yield from ({"task": task, "result": result} | nothing for task, result in record.benchmarks.items())
    elif isinstance(record, GroundingRecord):
        # Nothing is pooled here, so the credit method and the seeds are part of the setting.
        setting = {key: value for key, value in config.items() if key != "study.image"}
        yield nothing | {"task": record.grounding.image, "result": record.grounding, "setting": setting}
    elif isinstance(record, TimingRecord):  # what differs in its setting is the algorithm's and the method's own
        yield {"task": "", "result": record} | nothing


def _benchmark(config: dict[str, Any], task: str) -> dict[str, Any]:
    """One benchmark's own options, so that a benchmark beside it does not move it to another column."""
    own = next(entry for entry in config["benchmarks"] if entry["task"] == task)
    return {f"benchmarks.{key}": value for key, value in own.items() if key != "title"}
