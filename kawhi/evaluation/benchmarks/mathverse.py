"""MathVerse (Zhang et al. 2024): the 3940 problems of testmini, five versions of 788, all with an image.

Data and prompt as lmms-eval's ``mathverse_testmini``: the data set's ``query_wo``.  A judge compares the whole response
with the answer, as there; its reply is exactly ``1`` or ``0`` (lmms-eval takes any reply with a 1 in it for right).
Other choices: an empty response is wrong without a judge; there are no stop strings (lmms-eval stops at ``Q:``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from kawhi.evaluation.answer_text import compare, listed_choices, visible
from kawhi.evaluation.benchmark import Benchmark, JudgeQuestion, Outcome, Scored, mean_score, one_run
from kawhi.evaluation.parsing import exactly


def facts(doc: Mapping[str, Any]) -> dict[str, Any]:
    answer, question = (
        str(doc["answer"]),
        doc["question_for_eval"],
    )  # ``question`` is empty where the image holds all of it
    return {
        "id": str(doc["sample_index"]),
        "question": question,
        "answer": answer,
        "version": doc["problem_version"],
        "choices": listed_choices(question, answer) if doc["question_type"] == "multi-choice" else {},
    }


def images(doc: Mapping[str, Any]) -> list[Image.Image]:
    return [doc["image"].convert("RGB")] if isinstance(doc["image"], Image.Image) else []


def prompt(doc: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    return doc["query_wo"].strip()


def rule(facts: Mapping[str, Any], response: str) -> Outcome:
    return compare(response, facts["answer"], facts["choices"])


def questions(
    facts: Mapping[str, Any], response: str, outcome: Outcome, images: Sequence[bytes]
) -> list[JudgeQuestion]:
    if not visible(response):
        return []
    fields = {"question": facts["question"], "answer": facts["answer"], "prediction": visible(response)}
    return [JudgeQuestion("verdict", fields, exactly("0", "1"))]


def verdict(facts: Mapping[str, Any], response: str, outcome: Outcome, replies: Sequence[Any]) -> Outcome:
    return Outcome(float(replies[0] == "1"), outcome.extraction)


def scores(samples: Sequence[Scored]) -> dict[str, float]:
    """The mean, and that of each version of the problems."""
    versions: dict[str, list[Scored]] = {}
    for sample in samples:
        versions.setdefault(sample.facts["version"], []).append(sample)
    return mean_score(samples) | {name: mean_score(those)["score"] for name, those in sorted(versions.items())}


BENCHMARK = Benchmark(
    "kawhi_mathverse",
    facts,
    images,
    prompt,
    rule,
    one_run(3940),
    scores,
    judged=True,
    questions=questions,
    verdict=verdict,
    full_images=True,  # error attribution shows them to a judge
)
