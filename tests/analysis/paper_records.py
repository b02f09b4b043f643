"""Folders of synthetic records that fill a report, and what its tests need of LaTeX."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest

from analysis.experiment import experiments
from analysis.methods import ALGORITHMS, METHODS
from analysis.training_tables import ablations
from tests.analysis.synthetic import (
    FAMILIES,
    accuracy,
    baseline_record,
    digits,
    grounding_record,
    record,
    timing_record,
)

HOSTILE = r"&%$#_{}~^\<script>alert('x')</script> | `a` \end{document} 中 α"
IMAGES = ("true_image", "blank", "wrong_image", "background_only")
FULL = {
    "main": {"name": "qwen2.5-vl-7b", "family": "qwen2_5_vl", "weights": "cc594898"},
    "second": {"name": "qwen3-vl-4b", "family": "qwen3_vl", "weights": "ebb281ec"},
}


def needs(*programs: str) -> None:
    """Skips the test without them; where everything has to be installed, it fails."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing and os.environ.get("KAWHI_CI"):
        pytest.fail(f"{', '.join(missing)} missing", pytrace=False)
    if missing:
        pytest.skip(f"no {', '.join(missing)} here")


def measured() -> list[dict[str, Any]]:
    """Every row of the KAWHI paper's table 1, at full scale."""
    experiment = experiments()["main_table"]
    found = []
    for i, row in enumerate(experiment.rows):
        tasks = experiment.tasks("h200x8")
        right = {task: 120 + 3 * i + j for j, task in enumerate(tasks)}
        scores = {task: accuracy(task, 300, n, digits(300, n, n - 120 - 2 * i)) for task, n in right.items()}
        same = {"provenance": "measured", "benchmarks": scores, "model": FULL[row.model], "data": "geo3k", "steps": 60}
        if row.base:
            found.append(baseline_record(0, **same))
        else:
            found.append(record(row.credit, 0, algorithm=row.algorithm, **same))
    return found


def tiny() -> list[dict[str, Any]]:
    """Every ablation for both models, grounding, and every method on every algorithm."""
    credits = dict.fromkeys(credit for ablation in ablations().values() for credit in ablation.rows)
    found = []
    for family in FAMILIES:
        for i, credit in enumerate(credits):
            found.append(record(credit, 200 + 5 * i, n=500, family=family, verdicts=digits(500, 200 + 5 * i, seed=i)))
        found += [grounding_record(image, family=family) for image in IMAGES]
    found += [timing_record(credit, algorithm) for algorithm in ALGORITHMS for credit in METHODS]
    return found


def talkative(**changes: Any) -> dict[str, Any]:
    """A training record that says everything, with hostile text wherever text may stand."""
    model = {"name": f"tiny {HOSTILE}", "family": "qwen2_5_vl", "weights": "0123456789abcdef"}
    paragraphs = [{"text": HOSTILE, "weight": 0.25, "alpha": -0.125}, {"text": "a | b", "weight": 1.0, "alpha": None}]
    example = {"step": 3, "index": 7, "reward": 0.5, "advantage": -0.75, "paragraphs": paragraphs}
    content = record(
        "kawhi",
        1040,
        model=model,
        steps=4,
        command=f"python experiments/run.py credit=kawhi '{HOSTILE}'",
        training={
            "reward": [0.25, None, 0.75, 0.5],
            "weight_mean": [0.4, 0.3, 0.3, 0.2],
            "weight_histogram": [1, 5, 9, 0, 2],
            "paragraph_counts": {"1": 3, "4": 20},
            "examples": [example],
        },
        run={
            "hardware": HOSTILE,
            "duration_s": 12.5,
            "gpu_hours": 1.25,
            "peak_memory_gib": 3.5,
            "versions": {"verl": "0.9.1"},
            "git": {"commit": "0123abc", "dirty": True, "others": []},
        },
        **changes,
    )
    content["credit"]["label"] = HOSTILE
    return content
