"""MathVision (Wang et al. 2024), splits test (3040 problems) and testmini (304).

Data and prompt as lmms-eval's ``mathvision_reason_test`` and ``_testmini``.  A judge compares the whole response with
the answer, as there, but sees the options as well: lmms-eval shows it the question alone, so that it cannot know that
an option's text answers a question whose answer is a letter.  Its reply is exactly ``1`` or ``0`` (lmms-eval takes any
reply with a 1 in it for right).  An empty response is wrong without a judge; there are no stop strings (lmms-eval stops
at ``Q:``).

The option ``split`` is testmini by default: 10 of the 17 MathVision scores in the KAWHI paper's table 1 are multiples
of 1/304.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kawhi.evaluation.benchmark import (
    Benchmark,
    Outcome,
    TaskRun,
    compare,
    mean_score,
    one_image,
    one_question,
    refuse_unknown,
    right_if,
)
from kawhi.evaluation.parsing import exactly
from kawhi.rewards.choices import lettered

PROBLEMS = {"test": 3040, "testmini": 304}
_INSTRUCTION = 'Please solve the problem step by step and put your answer in one "\\boxed{}".'


def facts(doc: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(doc["id"]),
        "question": doc["question"],
        "answer": str(doc["answer"]),
        "options": list(doc["options"]),
        "level": doc["level"],
        "subject": doc["subject"],
    }


def prompt(doc: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    return _INSTRUCTION + with_options(doc["question"], doc["options"])  # no space between the two, as in lmms-eval


def with_options(question: str, options: Sequence[str]) -> str:
    if not options:
        return question
    lines = [f"{letter}. {text}" for letter, text in lettered(options).items()]
    return f"{question}\nChoices: " + "\n".join(lines)


def rule(facts: Mapping[str, Any], response: str) -> Outcome:
    return compare(response, facts["answer"], lettered(facts["options"]))


def runs(options: Mapping[str, Any]) -> list[TaskRun]:
    refuse_unknown(options, ("split",))
    split = options.get("split", "testmini")
    if split not in PROBLEMS:
        raise ValueError(f"split {split!r} is not one of {', '.join(PROBLEMS)}")
    return [TaskRun(PROBLEMS[split], task={"test_split": split})]


_questions = one_question(
    "verdict",
    exactly("0", "1"),
    lambda facts, said: {
        "question": with_options(facts["question"], facts["options"]),
        "answer": facts["answer"],
        "prediction": said,
    },
)
BENCHMARK = Benchmark(
    "kawhi_mathvision",
    {"dataset_path": "MathLLMs/MathVision", "test_split": "testmini"},
    facts,
    one_image("decoded_image"),
    prompt,
    rule,
    runs,
    mean_score,
    questions=_questions,
    verdict=right_if("1"),
)
