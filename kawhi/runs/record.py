"""Stage ``record``: everything a table needs of a training, or of an evaluation, in one small JSON file, written last.

    python -m kawhi.runs.record RUN_DIRECTORY [EVALUATION ...]

Two runs of a cell on one machine give the same records but for the block ``run``, which says when, where and how fast,
and for the ``command`` where the cell was asked for in other words.
"""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from kawhi.base.devices import gpus_needed
from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.health import BASE_REWARD, CORRELATION, GRADIENT, KL
from kawhi.base.made_by import launch_note
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import trains
from kawhi.records.hashing import config_hash
from kawhi.records.schema import VERSION
from kawhi.runs.checkpoints import held_out
from kawhi.runs.held_out import scores_best
from kawhi.runs.identity import cell_hash, cell_name, evaluation_identity, identity
from kawhi.runs.loggers import send_scores
from kawhi.runs.provenance import provenance
from kawhi.runs.record_parts import data_sets, response_parts, verdict_parts
from kawhi.runs.set_aside import accepted

KAWHI_TIMERS = tuple(
    f"timing_s/kawhi_{part}"
    for part in ("regions", "alignment", "nucleus_entropy", "weights", "perturbed_pass", "blank_pass")
)
"""Everything that a credit method adds to a step."""
CURVES = {
    "response_length": "response_length/mean",
    "weight_mean": "kawhi/weight/mean",
    "weight_zero_share": "kawhi/weight/zero_share",
    "entropy": "actor/entropy",
    "grad_norm": GRADIENT,
}
"""Name in the record -> verl's or our metric."""
DEVICE_MEMORY = "perf/max_memory_reserved_gb"


def build_record(cell: DictConfig, run_directory: RunDirectory) -> dict[str, Any]:
    """The record of a finished run directory (:mod:`kawhi.records.schema`); its ``study`` says of which kind."""
    part = identity(cell)
    content = {
        **_head(cell, run_directory, part, cell_name(cell)),
        "datasets": data_sets(run_directory, part),
        "credit": {"name": cell.credit.name, "label": cell.credit.label},
        "data": cell.data.name,
        "seeds": dict(part["seeds"]),
    }
    if cell.study.name == "grounding":
        content["grounding"] = json.loads((run_directory.path / "grounding.json").read_text())
    metrics = run_directory.metrics() if trains(cell) else []
    if trains(cell):
        content |= _training(cell, metrics)
        content["training"] |= response_parts(cell, run_directory)
        if said := accepted(run_directory):
            content["health"]["accepted"] = said
    if cell.study.name == "training":
        merged = json.loads(run_directory.merge_report.read_text())
        content["health"]["weights_changed"] = merged["weights_changed"]
        if scores_best(cell):
            content["training"]["checkpoint"] = merged["step"]
    return {**content, "run": _run(cell, run_directory, metrics)}


def build_evaluation(evaluation: RunDirectory) -> dict[str, Any]:
    """The record of an evaluation that has a score."""
    cell = evaluation.load_config()
    (benchmark,) = cell.benchmarks
    own = cell_hash(cell)
    part = evaluation_identity(cell, benchmark, own)
    result = benchmark_part(evaluation.path, benchmark.title, benchmark.task)
    return {
        **_head(cell, evaluation, part, f"{cell_name(cell)}-{own}_{benchmark.task}"),
        "datasets": {benchmark.task: result["verdicts"]["dataset"]},
        "task": benchmark.task,
        "sampling": part["evaluation"]["seed"],
        "result": result,
        "run": _run(cell, evaluation, []),
    }


def benchmark_part(folder: Path, title: str, task: str) -> dict[str, Any]:
    """What a record says of one evaluation, from its folder."""
    return {
        "title": title,
        **json.loads((folder / "score.json").read_text()),
        **verdict_parts(folder, task),
        "generation": json.loads((folder / "generation.json").read_text()),
    }


def _head(cell: DictConfig, folder: RunDirectory, part: dict[str, Any], name: str) -> dict[str, Any]:
    """What all records begin with."""
    return {
        "schema": VERSION,
        "study": part["study"]["name"],
        "cell": {"experiment": cell.table, "name": name, "hash": config_hash(part)},
        "provenance": provenance(cell),
        "model": {name: part["model"][name] for name in ("name", "family", "weights")},
        "command": folder.command(),
        "config": part,
    }


def _run(cell: DictConfig, run_directory: RunDirectory, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """When, where and how fast."""
    run = _launched(run_directory) | _took(cell, run_directory, metrics)
    if not metrics:
        return run
    step_seconds = [row.get("timing_s/step") for row in metrics]
    run |= {"step_seconds": step_seconds, "timing_s": _timing(metrics), "kawhi_share": kawhi_share(metrics)}
    if spent := run_directory.processors():
        run["step_processor_seconds"] = [spent.get(str(row["step"])) for row in metrics]
    if cell.study.name == "timing":
        run["step_timing_s"] = {name: [row.get(name) for row in metrics] for name in _timers(metrics)}
    return run


def _launched(run_directory: RunDirectory) -> dict[str, Any]:
    """When and on what; what worked is what was noted when it was launched, not what writes the record."""
    launches = run_directory.launch_notes()
    # Without this stage itself, unless there is nothing else.
    worked = [note for note in launches if note["stage"] != "record"] or launches or [launch_note("record")]
    last = worked[-1]
    times: list[str | None] = [_utc(note["time"]) for note in launches] or [None]
    return {
        "started": times[0],
        "ended": times[-1],  # when the last stage, this one, began
        "hardware": last["hardware"],
        "attention": next((note["attention"] for note in reversed(worked) if "attention" in note), None),
        "versions": last["versions"],
        "git": _git([note["git"] for note in worked]),
        "launches": len(launches) or None,
    }


def _git(states: list[dict[str, Any]]) -> dict[str, Any]:
    """The last launch's commit, whether any had changes, and the commits of earlier ones."""
    commit, dirty = states[-1]["commit"], states[-1]["dirty"]
    others = dict.fromkeys(state["commit"] for state in states if state["commit"] not in (None, commit))
    if dirty is not None:
        dirty = any(state["dirty"] for state in states)
    return {"commit": commit, "dirty": dirty, "others": list(others)}


def _took(cell: DictConfig, run_directory: RunDirectory, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """Seconds and memory; without this stage, which a record that is written for the first time does not know yet."""
    files = sorted((run_directory.path / "stages").glob("*.json"))
    stages = {file.stem: json.loads(file.read_text()) for file in files if file.stem != "record"}
    seconds = {name: stage["seconds"] for name, stage in stages.items()}
    duration = round(sum(seconds.values()), 3)
    gpus = int(cell.verl.trainer.nnodes) * gpus_needed(cell)
    device = max((row.get(DEVICE_MEMORY) or 0 for row in metrics), default=0)
    return {
        "seconds": seconds,
        "duration_s": duration,
        "gpu_hours": round(duration * gpus / 3600, 4) if gpus else None,
        "peak_memory_gib": max((stage.get("memory_gib") or 0 for stage in stages.values()), default=0) or None,
        "peak_device_memory_gib": round(device / 1.073741824, 3) if device else None,
    }


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _training(cell: DictConfig, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    curves = {name: [row.get(metric) for row in metrics] for name, metric in CURVES.items()}
    curves["held_out"] = [held_out(row) for row in metrics]
    return {
        "algorithm": cell.algorithm.name,
        "steps": cell.steps,
        "training": {
            "reward": [row.get(BASE_REWARD, row["critic/rewards/mean"]) for row in metrics],
            **{name: curve for name, curve in curves.items() if any(value is not None for value in curve)},
        },
        "health": {
            # How vLLM batched the requests, which depends on the machine's load, moves the digits behind these.
            "correlation_min": _rounded(min(_known(metrics, CORRELATION), default=None)),
            "kl_max": _rounded(max(map(abs, _known(metrics, KL)), default=None)),
            "grad_norm_max": max(_known(metrics, GRADIENT), default=None),
        },
    }


def _known(metrics: list[dict[str, Any]], name: str) -> list[float]:
    """Of an accepted training a step may lack a number."""
    return [row[name] for row in metrics if row.get(name) is not None and math.isfinite(row[name])]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def kawhi_share(metrics: list[dict[str, Any]]) -> float | None:
    """Time of all KAWHI parts over the time of all steps but the first, which pays for start-up."""
    rows = metrics[1:] or metrics
    if not any(timer in row for row in rows for timer in KAWHI_TIMERS):
        return None
    ours = sum(row.get(timer, 0.0) for row in rows for timer in KAWHI_TIMERS)
    return round(ours / sum(row["timing_s/step"] for row in rows), 6)


def _timing(metrics: list[dict[str, Any]]) -> dict[str, float]:
    rows = metrics[1:] or metrics
    return {name: round(sum(row.get(name, 0.0) for row in rows) / len(rows), 5) for name in _timers(rows)}


def _timers(metrics: list[dict[str, Any]]) -> list[str]:
    return sorted({name for row in metrics for name in row if name.startswith("timing_s/")})


def score_line(content: dict[str, Any]) -> str:
    """The score of an evaluation's record in a line."""
    found = content["result"]
    return f"{found['title']}: {found['score']:.2f} (n = {found['n']}, by rule {found['rule_score']:.2f})"


def rebuilt(folder: Path) -> Path:
    """Writes the record of a finished training or evaluation again, beside the run and into it; returns the first.

    Raises:
        CellError: it is not finished, or its files are no longer those of its cell.
    """
    found = RunDirectory(folder.resolve())
    if not found.record.exists():
        raise CellError("it has no record yet: run its command again")
    evaluation = found.path.parent.name == "eval"
    content = build_evaluation(found) if evaluation else build_record(found.load_config(), found)
    if not found.path.name.endswith(content["cell"]["hash"]):
        raise CellError(
            f"its files give the hash {content['cell']['hash']}: the model, the data or their code has changed"
        )
    beside = record_file(found.load_config(), content)
    write_json(beside, content)
    write_json(found.record, content)
    return beside


def record_file(cell: DictConfig, content: dict[str, Any]) -> Path:
    """Where tables look for a record."""
    return Path(cell.paths.records) / f"{content['cell']['name']}-{content['cell']['hash']}.json"


def record(run_directory: RunDirectory) -> None:
    """Writes a training's record beside the run and, as the proof that it is done, into the run directory last."""
    cell = run_directory.load_config()
    content = build_record(cell, run_directory)
    write_json(record_file(cell, content), content)
    write_json(run_directory.record, content)


def record_evaluation(evaluation: RunDirectory) -> None:
    """As :func:`record`, of an evaluation.

    Raises:
        NotSent: the score did not reach the cell's logger.  Tables have the record, and the evaluation is not done: the
            next run repeats this alone.
    """
    cell = evaluation.load_config()
    content = build_evaluation(evaluation)
    write_json(record_file(cell, content), content)
    send_scores(cell, evaluation.evaluated.path, {content["task"]: content["result"]})
    write_json(evaluation.record, content)


def main(run: str, *names: str) -> None:
    run_directory = RunDirectory(Path(run))
    try:
        for name in names:
            record_evaluation(run_directory.evaluation(name))
        if not names:
            record(run_directory)
    except CellError as error:
        print(f"CellError: {error}", file=sys.stderr)
        sys.exit(getattr(error, "code", 1))


if __name__ == "__main__":
    main(*sys.argv[1:])
