"""CharXiv's reasoning questions (Wang et al. 2024, arXiv 2406.18521): 1,000, one about each figure.

Data and the judge's rules are those of the authors and of lmms-eval's ``charxiv_val_reasoning``.  Different on purpose:

- The answer's type, which picks the instruction to the model and the judge's rules, is ``reasoning_a_type``.  lmms-eval
  takes ``reasoning_q_source``, which says how the question was made (``qa_source`` in the authors' files, beside their
  ``inst_category``): a number is then graded by the rules for text, and the instruction on decimal places goes
  missing.
- The judge's prompt names one key for the extracted answer, not two; a reply that is not the JSON asked for is never a
  score (lmms-eval: -1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kawhi.evaluation.benchmark import Benchmark, Outcome, means_by, one_question, one_run
from kawhi.evaluation.benchmarks.charxiv import DATA, figure, graded, images, same_numbers, templates, terms
from kawhi.rewards.chart_text import plain
from kawhi.rewards.response import candidates, final_answer

PROBLEMS = 1000
KINDS = {1: "text_in_chart", 2: "text_in_general", 3: "number_in_chart", 4: "number_in_general"}
_parse, _verdict = graded("extracted_answer", "score")


def facts(doc: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": figure(doc),
        "question": doc["reasoning_q"],
        "answer": doc["reasoning_a"],
        "kind": KINDS[doc["reasoning_a_type"]],
    }


def prompt(doc: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    kind = doc["reasoning_a_type"]
    return templates("reasoning")[kind].format(doc["reasoning_q"], *_digits(kind, doc["reasoning_a"]))


def rule(facts: Mapping[str, Any], response: str) -> Outcome:
    match = next((each for each in candidates(response) if _same(facts["kind"], each, facts["answer"])), None)
    return Outcome(float(match is not None), final_answer(response) if match is None else match)


def _same(kind: str, given: str, answer: str) -> bool:
    if kind.startswith("number"):
        return same_numbers(given, answer)
    if kind == "text_in_chart":  # several terms may come in any order
        return sorted(terms(given)) == sorted(terms(answer))
    return plain(given) == plain(answer)


def _digits(kind: int, answer: str) -> list[str]:
    """The instruction on decimal places, which the authors take from the truth."""
    if kind != 4:
        return []
    _, point, decimals = answer.partition(".")
    if not point:
        return ["* Your final answer must be an exact integer."]
    return [f"* Your final answer must be a number with {len(decimals)} decimal places."]


_questions = one_question(
    "grade",
    _parse,
    lambda facts, said: {key: facts[key] for key in ("question", "answer", "kind")} | {"response": said},
)
BENCHMARK = Benchmark(
    "kawhi_charxiv_reasoning",
    DATA,
    facts,
    images,
    prompt,
    rule,
    one_run(PROBLEMS),
    means_by("kind", list(KINDS.values())),
    questions=_questions,
    verdict=_verdict,
)
