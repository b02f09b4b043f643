"""ChartQAPro's test split (Masry et al. 2025, arXiv 2504.05506): 1,948 questions of five types, relaxed correctness.

Data, prompt (a conversation with its earlier answers, then its last question) and scoring are lmms-eval's
``chartqapro``: elements of a list by position, numbers within 5 %, a flagged year and every answer to Fact Checking and
Multi Choice exactly (the authors' own script computes that last flag and then does not use it; the paper asks for it),
other text by ANLS.  Different on purpose, where lmms-eval scores a right answer wrong:

- it compares the whole response; here the answer is looked for (``kawhi.rewards.response``), also the letter
  in front of an option and the word in front of an explanation;
- of the truth ``[United States, Canada]`` it makes ``UnitedStates``, and it reads a response without quotes as one
  element, so that repeating the truth scores 0;
- it strips the point of ``.5``.

The rows have no names, so they are numbered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from anls import anls_score

from kawhi.evaluation.benchmark import Benchmark, Outcome, means_by, numbered, one_image, one_run
from kawhi.rewards.chart_text import elements, number, plain
from kawhi.rewards.relaxed import TOLERANCE
from kawhi.rewards.response import candidates, chosen, final_answer, first_word

PROBLEMS = 1948
_EXACT = ("Fact Checking", "Multi Choice")
_WORDS = {word: words for words in (("yes", "no"), ("true", "false")) for word in words}
_SMALL_LETTER = re.compile(r"\(?([a-j])(?:[).:]|$)")
_SEPARATOR = re.compile(r"\s*,\s*(?:and\s+)?|\s+and\s+|\s*\n\s*")


def facts(doc: Mapping[str, Any]) -> dict[str, Any]:
    years = list(doc["Year"] or [])
    return {
        "id": str(doc["row"]),
        "question": _question(doc),
        "answer": str(doc["Answer"][-1]).strip().rstrip(".").strip(),
        "type": doc["Question Type"],
        "years": [str(each).upper() == "YES" for each in (years[-1:] if _conversation(doc) else years)],
    }


def prompt(doc: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    return f"{_question(doc)}\nAnswer the question with a short phrase."


def rule(facts: Mapping[str, Any], response: str) -> Outcome:
    truth = elements(facts["answer"]) or [facts["answer"]]
    years = facts["years"]
    years = (years * len(truth) if len(years) < len(truth) else years) or [False] * len(truth)
    exact = facts["type"] in _EXACT
    flags = [exact or year for year in years]
    best, found = 0.0, final_answer(response)
    for given in _readings(response, truth, exact):
        points = sum(map(_points, truth, given, flags)) / max(len(truth), len(given))
        if points > best:
            best, found = points, ", ".join(given)
    return Outcome(best, found)


def _readings(response: str, truth: Sequence[str], exact: bool) -> list[list[str]]:
    """The response as lists of elements, in the ways that the truth's form allows."""
    if len(truth) > 1:
        return [elements(each) or _SEPARATOR.split(each) for each in candidates(response)]
    if exact and (said := _said(response, truth[0].lower())) is not None:
        return [[said]]
    return [elements(each) or [each] for each in candidates(response)]


def _said(response: str, truth: str) -> str | None:
    """The word or letter that the response answers with; ``None`` where the truth is neither yes, true, ... nor a
    letter."""
    if truth in _WORDS:
        return first_word(response, _WORDS[truth])
    if len(truth) != 1 or not truth.isalpha():
        return None
    small = _SMALL_LETTER.match(final_answer(response))
    return chosen(response, dict.fromkeys("ABCDEFGHIJ", "")) or (small[1] if small else "")


def _points(truth: str, given: str, exact: bool) -> float:
    if exact:
        return float(plain(given) == plain(truth))
    expected, value = number(truth), number(given)
    if expected is not None and value is not None:
        return float(abs(value - expected) <= TOLERANCE * abs(expected))
    return _anls(*(" ".join(text.strip("% ").lower().split()) for text in (given, truth)))


def _anls(given: str, truth: str) -> float:
    """1 minus the edit distance over the longer length; 0 below 0.5, which the lengths alone may show at once."""
    if 2 * abs(len(given) - len(truth)) >= max(len(given), len(truth), 1):
        return 0.0
    return float(anls_score(prediction=given, gold_labels=[truth], threshold=0.5))


def _conversation(doc: Mapping[str, Any]) -> bool:
    return doc["Question Type"] == "Conversational"


def _question(doc: Mapping[str, Any]) -> str:
    questions = [each.strip() for each in doc["Question"]]
    text = questions[-1]
    if _conversation(doc) and len(questions) > 1:
        answers = [str(each).strip() for each in doc["Answer"]]
        turns = zip(questions[:-1], answers, strict=False)
        earlier = "".join(f"Q{i}: {question}\nA{i}: {answer}\n" for i, (question, answer) in enumerate(turns, 1))
        text = f"{earlier}Q{len(questions)}: {text}"
    paragraph = (doc["Paragraph"] or "").strip()
    return f"Context: {paragraph}\n\n{text}" if paragraph else text


BENCHMARK = Benchmark(
    "kawhi_chartqapro",
    {
        "dataset_path": "ahmed-masry/ChartQAPro",
        "dataset_kwargs": {"revision": "e27c2874825874d6767d2bbc538ed4f0dc2c64c2"},
        "test_split": "test",
    },
    facts,
    one_image("image"),
    prompt,
    rule,
    one_run(PROBLEMS),
    means_by("type", name=lambda kind: kind.lower().replace(" ", "_")),
    process_docs=numbered,
)
