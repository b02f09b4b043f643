"""Stage ``record``: everything a table needs from a run, in one small JSON file, written last.

Two runs of a cell on one machine give the same record but for the block ``run``, which says when, where and how fast.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from kawhi.runs.code import code_state
from kawhi.runs.health import CORRELATION, GRADIENT, KL
from kawhi.runs.identity import cell_hash, cell_name, identity
from kawhi.runs.loggers import send_scores
from kawhi.runs.made_by import hardware, package_versions
from kawhi.runs.rundir import RunDirectory, write_json
from kawhi.runs.stage import stage_main

SCHEMA = 1
BASE_REWARD = "kawhi/base_reward/mean"
"""The reward before a credit method shaped it."""
KAWHI_TIMERS = tuple(
    f"timing_s/kawhi_{part}"
    for part in ("regions", "alignment", "nucleus_entropy", "weights", "perturbed_pass", "blank_pass")
)
"""Everything that a credit method adds to a step."""


def build_record(cell: DictConfig, run_directory: RunDirectory) -> dict[str, Any]:
    """The record of a finished run directory; its ``study`` says of which kind."""
    part = identity(cell)
    content = {
        "schema": SCHEMA,
        "study": cell.study.name,
        "cell": {"experiment": cell.folder, "name": cell_name(cell), "hash": cell_hash(cell)},
        "provenance": cell.scale.provenance,
        "model": {name: part["model"][name] for name in ("name", "family", "weights")},
        "config": part,
    }
    if cell.study.name != "baseline":
        credit = {"name": cell.credit.name, "label": cell.credit.label}
        content |= {"credit": credit, "data": cell.data.name, "seeds": part["seeds"]}
    seconds = {
        stage.stem: json.loads(stage.read_text())["seconds"]
        for stage in sorted((run_directory.path / "stages").glob("*.json"))
    }
    run = {
        "seconds": seconds,
        "hardware": hardware(),
        "versions": {"python": platform.python_version(), **package_versions()},
        "git": code_state(),
    }
    if cell.study.name == "grounding":
        measured = json.loads((run_directory.path / "grounding.json").read_text())
        return {**content, "grounding": measured, "run": run}
    if cell.study.name in ("training", "baseline"):
        content["benchmarks"] = {
            benchmark.task: {
                "title": benchmark.title,
                **json.loads((run_directory.evaluation(benchmark.task) / "score.json").read_text()),
                "generation": json.loads((run_directory.evaluation(benchmark.task) / "generation.json").read_text()),
            }
            for benchmark in cell.benchmarks
        }
    if cell.study.name == "baseline":
        return {**content, "run": run}
    metrics = run_directory.metrics()
    content |= _training(cell, metrics)
    if cell.study.name == "training":
        content["health"]["weights_changed"] = json.loads(run_directory.merge_report.read_text())["weights_changed"]
    return {**content, "run": {**run, "timing_s": _timing(metrics), "kawhi_share": kawhi_share(metrics)}}


def _training(cell: DictConfig, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "algorithm": cell.algorithm.name,
        "steps": cell.steps,
        "training": {
            "reward": [row.get(BASE_REWARD, row["critic/rewards/mean"]) for row in metrics],
            "response_length": [row["response_length/mean"] for row in metrics],
            "weight_mean": [row.get("kawhi/weight/mean") for row in metrics],
            "weight_zero_share": [row.get("kawhi/weight/zero_share") for row in metrics],
        },
        "health": {
            "correlation_min": min(row[CORRELATION] for row in metrics),
            "kl_max": max(abs(row[KL]) for row in metrics),
            "grad_norm_max": max(row[GRADIENT] for row in metrics),
        },
    }


def kawhi_share(metrics: list[dict[str, Any]]) -> float | None:
    """Time of all KAWHI parts over the time of all steps but the first, which pays for start-up."""
    rows = metrics[1:] or metrics
    if not any(timer in row for row in rows for timer in KAWHI_TIMERS):
        return None
    ours = sum(row.get(timer, 0.0) for row in rows for timer in KAWHI_TIMERS)
    return round(ours / sum(row["timing_s/step"] for row in rows), 6)


def _timing(metrics: list[dict[str, Any]]) -> dict[str, float]:
    rows = metrics[1:] or metrics
    names = sorted({name for row in rows for name in row if name.startswith("timing_s/")})
    return {name: round(sum(row.get(name, 0.0) for row in rows) / len(rows), 5) for name in names}


def scores_of(content: dict[str, Any]) -> list[str]:
    """One line for each benchmark of a record."""
    return [
        f"{found['title']}: {found['score']:.2f} (n = {found['n']}, by rule {found['rule_score']:.2f})"
        for found in content.get("benchmarks", {}).values()
    ]


def record(cell: DictConfig, run_directory: RunDirectory) -> None:
    """Writes the record beside the run and, as the proof that the cell is done, into the run directory last.

    Raises:
        NotSent: the scores did not reach the cell's logger.  Tables have the record, and the cell is not done: the
            next run repeats this stage alone.
    """
    content = build_record(cell, run_directory)
    name = f"{content['cell']['name']}-{content['cell']['hash']}.json"
    write_json(Path(cell.paths.records) / name, content)
    send_scores(cell, run_directory.path, content.get("benchmarks", {}))
    write_json(run_directory.record, content)


if __name__ == "__main__":
    stage_main(record)
