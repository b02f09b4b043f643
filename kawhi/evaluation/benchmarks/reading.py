"""The reading world's held-out problems: exact match on the last ``\\boxed{}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kawhi.evaluation.benchmark import Benchmark, TaskRun, mean_score, refuse_unknown
from kawhi.evaluation.benchmarks.tiny import facts, images, prompt, rule
from kawhi.tiny.worlds import named


def runs(options: Mapping[str, Any]) -> list[TaskRun]:
    refuse_unknown(options, ("problems", "seed", "world"))
    named(options)  # refuses a world that does not exist
    return [TaskRun(options.get("problems", 0))]


BENCHMARK = Benchmark("kawhi_reading", {}, facts, images, prompt, rule, runs, mean_score)
