"""MathVerse (Zhang et al. 2024): the 3940 problems of testmini, five versions of 788, all with an image.

Data and prompt as lmms-eval's ``mathverse_testmini``: the data set's ``query_wo``.  A judge compares the whole response
with the answer, as there; its reply is exactly ``1`` or ``0`` (lmms-eval takes any reply with a 1 in it for right).
Other choices: an empty response is wrong without a judge; there are no stop strings (lmms-eval stops at ``Q:``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image

from kawhi.evaluation.benchmark import Benchmark, Outcome, compare, means_by, one_question, one_run, right_if
from kawhi.evaluation.parsing import exactly
from kawhi.pictures.rgb import picture
from kawhi.rewards.choices import listed_choices


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
    one_run(3940),
    means_by("version"),
    questions=_questions,
    verdict=right_if("1"),
    cluster=lambda facts: facts.get("problem", ""),
    full_images=True,  # error attribution shows them to a judge
)
