"""The tiny world's held-out problems: exact match on the last ``\\boxed{}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image

from kawhi.evaluation.benchmark import Benchmark, Outcome, TaskRun, mean_score, refuse_unknown
from kawhi.pictures.rgb import picture
from kawhi.rewards.boxed import boxed_answer, is_correct


def facts(doc: Mapping[str, Any]) -> dict[str, Any]:
    more = doc["extra_info"]
    return {
        "id": str(more["index"]),
        "question": more["question"],
        "answer": doc["reward_model"]["ground_truth"],
        "task": more["task"],
    }


def images(doc: Mapping[str, Any]) -> list[Image.Image]:
    return [picture(doc["images"][0]["bytes"])]


def prompt(doc: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    return doc["extra_info"]["question"]


def rule(facts: Mapping[str, Any], response: str) -> Outcome:
    return Outcome(float(is_correct(response, facts["answer"])), boxed_answer(response) or "")


def runs(options: Mapping[str, Any]) -> list[TaskRun]:
    refuse_unknown(options, ("problems", "seed"))
    return [TaskRun(options.get("problems", 0))]


BENCHMARK = Benchmark("kawhi_tiny", {}, facts, images, prompt, rule, runs, mean_score)
