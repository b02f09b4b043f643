"""A record with its benchmarks as the files it is made of: its training's, and one for each evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kawhi.records.folder import parse_record
from kawhi.records.hashing import config_hash
from kawhi.records.join import joined

OF_EVALUATION = ("benchmarks", "evaluation", "judge")


def split(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The training's record, where there is one, then those of the evaluations.

    Args:
        content: with the blocks ``benchmarks`` and ``evaluation`` in its configuration, as
            :func:`kawhi.records.join.joined` gives it; one of another study is left as it is.
    """
    if content.get("study") not in ("training", "baseline") or "benchmarks" not in content:
        return [content]
    trained = content["study"] == "training"
    config = {key: value for key, value in content["config"].items() if key not in OF_EVALUATION}
    if not trained:
        config = {key: config[key] for key in ("model", "study", "scale") if key in config}
    own = content["cell"] | {"hash": config_hash(config)}
    found = []
    if trained:
        tasks, seeds = content["benchmarks"], content["seeds"]
        datasets = {key: value for key, value in content.get("datasets", {}).items() if key not in tasks}
        kept = {key: value for key, value in content.items() if key != "benchmarks"}
        kept |= {"seeds": {key: value for key, value in seeds.items() if key != "sampling"}}
        found = [kept | {"cell": own, "config": config} | ({"datasets": datasets} if "datasets" in content else {})]
    return found + [_evaluation(content, own, task) for task in content["benchmarks"]]


def _evaluation(content: dict[str, Any], evaluated: dict[str, Any], task: str) -> dict[str, Any]:
    config, result = content["config"], content["benchmarks"][task]
    part = {
        "study": {"name": "evaluation"},
        "of": {"study": content["study"], "hash": evaluated["hash"]},
        "scale": config["scale"],
        "model": {key: value for key, value in config["model"].items() if key != "critical_heads"},
        "benchmark": next((each for each in config["benchmarks"] if each["task"] == task), {"task": task}),
        "evaluation": config["evaluation"],
    }
    if "judge" in config and task in config["judge"]["prompts"]:
        part["judge"] = config["judge"] | {"prompts": config["judge"]["prompts"][task]}
    name = f"{evaluated['name']}-{evaluated['hash']}_{task}"
    shared = {key: content[key] for key in ("schema", "provenance", "model", "command", "run") if key in content}
    return shared | {
        "study": "evaluation",
        "cell": {"experiment": evaluated["experiment"], "name": name, "hash": config_hash(part)},
        "datasets": {task: content["datasets"][task]} if task in content.get("datasets", {}) else {},
        "task": task,
        "sampling": part["evaluation"]["seed"],
        "result": result,
        "config": part,
    }


def parsed(content: dict[str, Any]) -> Any:
    """The record of a content with its benchmarks, by way of its files."""
    files = {Path(f"{i}.json"): parse_record(part) for i, part in enumerate(split(content))}
    (record,) = joined(files).values()
    return record
