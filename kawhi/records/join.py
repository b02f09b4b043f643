"""Trainings and their evaluations together, as tables and figures want them.

What was evaluated in one way (decoding, judge) is one record, with all its benchmarks: a training that was evaluated in
two ways is two, one that was not evaluated has no benchmarks, and an untrained model's study is ``baseline``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kawhi.records.schema import BaselineRecord, EvaluationRecord, Record, TrainingRecord

Evaluations = dict[Path, EvaluationRecord]


def joined(records: Mapping[Path, Record]) -> dict[Path, Record]:
    """Records by file: that of the training, or of the first evaluation where the training's is taken or not there.

    The evaluations of a training whose record is missing are left out (:func:`orphans` names them).
    """
    groups = _groups(records)
    found: dict[Path, Record] = {}
    for file, record in records.items():
        if not isinstance(record, TrainingRecord):
            if not isinstance(record, EvaluationRecord):
                found[file] = record
            continue
        ways = groups.pop(record.cell.hash, [])
        if not ways:
            found[file] = record
        for number, own in enumerate(ways):
            found[next(iter(own)) if number else file] = _trained(record, own)
    for ways in groups.values():
        for own in ways:
            first, evaluation = next(iter(own.items()))
            if evaluation.config["of"]["study"] == "baseline":
                found[first] = _untrained(evaluation, own)
    return dict(sorted(found.items(), key=lambda pair: pair[0].name))


def orphans(records: Mapping[Path, Record]) -> list[Path]:
    """Files of evaluations whose training has no record."""
    trained = {record.cell.hash for record in records.values() if isinstance(record, TrainingRecord)}
    of = {file: each.config["of"] for file, each in _evaluations(records)}
    return [file for file, its in of.items() if its["study"] != "baseline" and its["hash"] not in trained]


def _evaluations(records: Mapping[Path, Record]) -> Iterator[tuple[Path, EvaluationRecord]]:
    return ((file, each) for file, each in records.items() if isinstance(each, EvaluationRecord))


def _groups(records: Mapping[Path, Record]) -> dict[str, list[Evaluations]]:
    """Hash of the evaluated model's run -> its evaluations by the way in which they were made."""
    ways: dict[tuple[str, str], Evaluations] = defaultdict(dict)
    for file, each in _evaluations(records):
        ways[each.config["of"]["hash"], _way(each)][file] = each
    groups: dict[str, list[Evaluations]] = defaultdict(list)
    for (of, _), own in ways.items():
        groups[of] += _one_of_each(own)
    return groups


def _way(evaluation: EvaluationRecord) -> str:
    """Decoding; a benchmark's own options and its judge are told in the columns."""
    return json.dumps(evaluation.config["evaluation"], sort_keys=True)


def _one_of_each(evaluations: Evaluations) -> list[Evaluations]:
    """Groups in which each benchmark is once: of other options, or of another judge, is another group."""
    groups: list[Evaluations] = []
    for file, each in evaluations.items():
        fits = (own for own in groups if all(_together(each, other) for other in own.values()))
        if (group := next(fits, None)) is not None:
            group[file] = each
        else:
            groups.append({file: each})
    for group in groups[1:]:  # they share what was asked for in one way alone
        for file, each in evaluations.items():
            if all(_together(each, own) for own in group.values()):
                group[file] = each
    return groups


def _together(one: EvaluationRecord, other: EvaluationRecord) -> bool:
    judges = [_judge(each) for each in (one, other)]
    return one.task != other.task and (None in judges or judges[0] == judges[1])


def _judge(evaluation: EvaluationRecord) -> dict[str, Any] | None:
    """Whose prompts differ by benchmark."""
    judge = evaluation.config.get("judge")
    return None if judge is None else {key: value for key, value in judge.items() if key != "prompts"}


def _trained(record: TrainingRecord, evaluations: Evaluations) -> TrainingRecord:
    first = next(iter(evaluations.values()))
    return record.model_copy(
        update={
            "config": record.config | _config(evaluations),
            "benchmarks": _benchmarks(evaluations),
            "datasets": record.datasets | _datasets(evaluations),
            "command": first.command or record.command,
            "seeds": record.seeds.model_copy(update={"sampling": first.sampling}),
        }
    )


def _untrained(first: EvaluationRecord, evaluations: Evaluations) -> BaselineRecord:
    of = first.config["of"]["hash"]
    config = {"model": first.config["model"], "scale": first.config["scale"], "study": {"name": "baseline"}}
    name = first.cell.name.removesuffix(f"-{of}_{first.task}")
    return BaselineRecord.model_construct(
        **{name: getattr(first, name) for name in ("schema_version", "provenance", "model", "command", "run")},
        cell=first.cell.model_copy(update={"name": name, "hash": of}),
        study="baseline",
        datasets=_datasets(evaluations),
        config=config | _config(evaluations),
        benchmarks=_benchmarks(evaluations),
    )


def _config(evaluations: Evaluations) -> dict[str, Any]:
    """The blocks of a configuration that say how these evaluations were made."""
    configs = [each.config for each in evaluations.values()]
    found = {"benchmarks": [config["benchmark"] for config in configs], "evaluation": configs[0]["evaluation"]}
    judges = [config["judge"] for config in configs if "judge" in config]
    if judges:
        prompts = {c["benchmark"]["task"]: c["judge"]["prompts"] for c in configs if "judge" in c}
        found["judge"] = judges[0] | {"prompts": prompts}
    return found


def _benchmarks(evaluations: Evaluations) -> dict[str, Any]:
    return {each.task: each.result for each in evaluations.values()}


def _datasets(evaluations: Evaluations) -> dict[str, str]:
    return {task: name for each in evaluations.values() for task, name in each.datasets.items()}
