"""MathVerse (Zhang et al. 2024): the 3940 problems of testmini, five versions of 788, all with an image.

Data and prompt as lmms-eval's ``mathverse_testmini``: the data set's ``query_wo``.  A judge compares the whole response
with the answer, as there; its reply is exactly ``1`` or ``0`` (lmms-eval takes any reply with a 1 in it for right).
Other choices: an empty response is wrong without a judge; there are no stop strings (lmms-eval stops at ``Q:``).

The option ``version`` is ``all`` or the name of one of the five, whose 788 problems are then the benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from PIL import Image

from kawhi.evaluation.benchmark import (
    Benchmark,
    Outcome,
    TaskRun,
    compare,
    means_by,
    one_question,
    refuse_unknown,
    right_if,
)
from kawhi.evaluation.parsing import exactly
from kawhi.pictures.rgb import picture
from kawhi.rewards.choices import listed_choices

PROBLEMS = 788
VERSIONS = ("text_dominant", "text_lite", "vision_intensive", "vision_dominant", "vision_only")


def facts(doc: Mapping[str, Any]) -> dict[str, Any]:
    answer = str(doc["answer"])
    question = doc["question_for_eval"]  # ``question`` is empty where the image holds all of it
    return {
        "id": str(doc["sample_index"]),
        "question": question,
        "answer": answer,
        "version": doc["problem_version"],
        "problem": str(doc.get("problem_index") or ""),
        "choices": listed_choices(question, answer) if doc["question_type"] == "multi-choice" else {},
    }


def images(doc: Mapping[str, Any]) -> list[Image.Image]:
    return [picture(doc["image"])] if isinstance(doc["image"], Image.Image) else []


def prompt(doc: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    return doc["query_wo"].strip()


def rule(facts: Mapping[str, Any], response: str) -> Outcome:
    return compare(response, facts["answer"], facts["choices"])


def runs(options: Mapping[str, Any]) -> list[TaskRun]:
    refuse_unknown(options, ("version",))
    version = options.get("version", "all")
    if version == "all":
        return [TaskRun(len(VERSIONS) * PROBLEMS)]
    if version not in VERSIONS:
        raise ValueError(f"version {version!r} is not one of all, {', '.join(VERSIONS)}")
    return [TaskRun(PROBLEMS, task={"process_docs": partial(_only, version)})]


def _only(version: str, dataset: Any) -> Any:
    """The rows of one version."""
    named = version.replace("_", " ")
    return dataset.select([i for i, each in enumerate(dataset["problem_version"]) if each.lower() == named])


_questions = one_question(
    "verdict",
    exactly("0", "1"),
    lambda facts, said: {"question": facts["question"], "answer": facts["answer"], "prediction": said},
)
BENCHMARK = Benchmark(
    "kawhi_mathverse",
    {"dataset_path": "CaraJ/MathVerse-lmmseval", "dataset_name": "testmini", "test_split": "testmini"},
    facts,
    images,
    prompt,
    rule,
    runs,
    means_by("version"),
    questions=_questions,
    verdict=right_if("1"),
    cluster=lambda facts: facts.get("problem", ""),
    full_images=True,  # error attribution shows them to a judge
)
