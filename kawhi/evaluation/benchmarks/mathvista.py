"""MathVista (Lu et al. 2024), testmini: 1000 problems, asked with one or more of three prompts.

Data and prompts as lmms-eval's ``mathvista_testmini_cot``, ``_solution`` and ``_format``.  As its authors define it, a
judge finds the answer in the response and a rule compares it: an option by its letter or by the nearest text, an
integer after truncation, a float after rounding to the problem's precision, a list as text.  A response that is itself
an option, an integer or a float needs no judge.

Other than in lmms-eval: ``precision``, a float in the data, is made an int (``round(x, 2.0)`` raises there, so every
float counts as wrong); rounded floats are compared as numbers (``1.50`` is ``1.5``) and lists without their spaces; an
option may also be named as ``B.`` or ``B: text``.

The option ``no_answer`` says what becomes of a question with choices where the judge found none ("", "N/A", "cannot be
determined", where that is no option): ``wrong`` (default), or ``nearest`` by the authors' rule: the nearest text to
nothing is the shortest option, so that some such answers are right.

The option ``prompts`` is all three by default, and the score their mean: the scores in the KAWHI paper's table 1 fit
multiples of 1/3000 better than of 1/1000.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from Levenshtein import distance

from kawhi.evaluation.benchmark import (
    Benchmark,
    JudgeQuestion,
    Outcome,
    TaskRun,
    mean_score,
    one_image,
    refuse_unknown,
)
from kawhi.evaluation.parsing import json_object, text
from kawhi.rewards.choices import letter_and_text, lettered
from kawhi.rewards.limits import MAX_CHARACTERS
from kawhi.rewards.response import bracketed_list, chosen, number, stated, visible

PROBLEMS = 1000
_IN_PARENTHESES = re.compile(r"\(([A-Za-z])\)")
PROMPTS = ("cot", "solution", "format")
NO_ANSWER = ("wrong", "nearest")
_NOTHING = re.compile(
    r"(?:the )?(?:answer |it )?(?:is |was )?(?:n/?a|none|null|nil|nothing|unknown|unclear|unanswerable|undetermined"
    r"|(?:no (?:\w+ )?(?:answer|extraction|option|choice|value|information|match)|insufficient|i (?:do not|don't) know"
    r"|(?:can ?not|can't|could not|unable to) (?:be )?(?:determine|extract|answer|f[io]u?nd|tell|identif)"
    r"|not (?:available|applicable|specified|given|provided|found|determin|mentioned|enough|sure|clear)).{0,80})?",
    re.IGNORECASE,
)
_PLACES = {1: ("one decimal place", "1.2, 1.3, 1.4"), 2: ("two decimal places", "1.23, 1.34, 1.45")}


def facts(doc: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(doc["pid"]),
        "question": doc["question"],
        "answer": str(doc["answer"]),
        "query": doc["query"],
        "choices": list(doc["choices"] or []),
        "question_type": doc["question_type"],
        "answer_type": doc["answer_type"],
        "precision": None if doc["precision"] is None else int(doc["precision"]),
    }


def prompt(doc: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """The option ``prompt`` is one of ``PROMPTS``."""
    brief = options.get("prompt", "cot") == "format"
    unit = f" (Unit: {doc['unit']})" if doc["unit"] else ""
    lines = [("" if brief else "Question: ") + doc["question"] + unit]
    choices = lettered(doc["choices"] or [])
    if choices and not brief:
        lines.append("Choices:")
    lines += [f"{letter}. {choice}" if brief else f"({letter}) {choice}" for letter, choice in choices.items()]
    lines.append(_short_hint(doc) if brief else _hint(doc))
    if options.get("prompt") == "solution":
        lines.append("Solution:")
    return "\n".join(lines).strip()


def rule(facts: Mapping[str, Any], response: str) -> Outcome:
    extraction = _itself(facts, response) or _found(facts, response)
    return Outcome(float(matches(facts, extraction)), extraction)


def questions(
    facts: Mapping[str, Any], response: str, outcome: Outcome, images: Sequence[bytes]
) -> list[JudgeQuestion]:
    answer = visible(response)
    if not answer or _itself(facts, response):
        return []
    return [
        JudgeQuestion("extraction", {"query": facts["query"], "response": answer}, json_object({"extraction": text}))
    ]


def verdict(facts: Mapping[str, Any], response: str, outcome: Outcome, replies: Sequence[Any]) -> Outcome:
    extraction = replies[0]["extraction"].strip()
    return Outcome(float(matches(facts, extraction)), extraction)


def matches(facts: Mapping[str, Any], extraction: str) -> bool:
    """Whether an extracted answer is right, by the rules of MathVista's authors."""
    answer = facts["answer"].strip()
    if len(extraction) > MAX_CHARACTERS:
        return False
    if facts["question_type"] == "multi_choice":
        if facts.get("no_answer") != "nearest" and _says_nothing(extraction, facts["choices"]):
            return False
        return _option(extraction, facts["choices"]) == answer
    try:
        if facts["answer_type"] == "integer":
            return str(int(float(extraction))) == answer
        if facts["answer_type"] == "float":
            places = facts["precision"]
            return round(float(extraction), places) == round(float(answer), places)
    except (ValueError, OverflowError):  # no number, or infinity
        return False
    return extraction.replace(" ", "") == answer.replace(" ", "")


def runs(options: Mapping[str, Any]) -> list[TaskRun]:
    refuse_unknown(options, ("prompts", "no_answer"))
    no_answer = options.get("no_answer", "wrong")
    if no_answer not in NO_ANSWER:
        raise ValueError(f"no_answer {no_answer!r} is not one of {', '.join(NO_ANSWER)}")
    asked = options.get("prompts", PROMPTS)
    names = [asked] if isinstance(asked, str) else list(asked)
    if not names or len(set(names)) < len(names) or not set(names) <= set(PROMPTS):
        raise ValueError(f"prompts {asked!r}: give one or more of {', '.join(PROMPTS)}, each once")
    return [TaskRun(PROBLEMS, name, options={"prompt": name}, facts={"no_answer": no_answer}) for name in names]


def _says_nothing(extraction: str, choices: Sequence[str]) -> bool:
    """Whether no answer was found; a choice may say so itself, e.g. "none"."""
    said = extraction.strip(" .()[]\"'").lower()
    return _NOTHING.fullmatch(said) is not None and said not in [choice.strip(" .").lower() for choice in choices]


def _option(extraction: str, choices: Sequence[str]) -> str:
    """The text of the option that is named by its letter, else the nearest one by edit distance."""
    by_letter = lettered(choices)
    named = letter_and_text(extraction)
    letters = [
        extraction,
        *(letter.upper() for letter in _IN_PARENTHESES.findall(extraction)),
        named[0] if named else "",
    ]
    letter = next((letter for letter in letters if letter in by_letter), "")
    option = by_letter[letter] if letter else min(choices, key=lambda choice: distance(extraction, choice))
    return option.strip()


def _itself(facts: Mapping[str, Any], response: str) -> str:
    """The response where it is nothing but an option or a number; else empty."""
    answer = visible(response)
    if facts["question_type"] == "multi_choice" and answer in facts["choices"]:
        return answer
    read = {"integer": int, "float": float}.get(facts["answer_type"])
    try:
        return str(read(answer)) if read and len(answer) <= MAX_CHARACTERS else ""
    except ValueError:
        return ""


def _found(facts: Mapping[str, Any], response: str) -> str:
    """The answer in a longer response, by rule."""
    if facts["question_type"] == "multi_choice":
        return chosen(response, lettered(facts["choices"])) or stated(response)[:MAX_CHARACTERS]
    find = bracketed_list if facts["answer_type"] == "list" else number
    return find(stated(response)) or find(visible(response))


def _hint(doc: Mapping[str, Any]) -> str:
    if doc["question_type"] == "multi_choice":
        return "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end."
    if doc["answer_type"] == "list":
        return (
            "Hint: Please answer the question requiring a Python list as an answer and provide the final list, "
            "e.g., [1, 2, 3], [1.2, 1.3, 1.4], at the end."
        )
    kind, such_as = "an integer answer", "1, 2, 3"
    if doc["answer_type"] == "float":
        places, such_as = _PLACES[int(doc["precision"])]
        kind = f"a floating-point number with {places}"
    return (
        f"Hint: Please answer the question requiring {kind} and provide the final value, e.g., {such_as}, at the end."
    )


def _short_hint(doc: Mapping[str, Any]) -> str:
    if doc["question_type"] == "multi_choice":
        return "Answer with the option's letter from the given choices directly."
    if doc["answer_type"] == "list":
        return "Answer the question using a Python list."
    if doc["answer_type"] == "float":
        return f"Answer the question using a single floating-point number with {_PLACES[int(doc['precision'])][0]}."
    return "Answer the question using a single integer number."


BENCHMARK = Benchmark(
    "kawhi_mathvista",
    {
        "dataset_path": "AI4Math/MathVista",
        "test_split": "testmini",
        "dataset_kwargs": {"revision": "2b6ad69445fbb5695c9b165475e8decdbeb97747"},
    },
    facts,
    one_image("decoded_image"),
    prompt,
    rule,
    runs,
    mean_score,
    questions=questions,
    verdict=verdict,
)
