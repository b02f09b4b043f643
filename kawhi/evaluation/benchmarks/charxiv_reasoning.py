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

from collections.abc import Mapping, Sequence
from typing import Any

from kawhi.evaluation.answer_text import visible
from kawhi.evaluation.benchmark import Benchmark, JudgeQuestion, Outcome, Scored, mean_score, one_run
from kawhi.evaluation.benchmarks.charxiv import extracted, figure, images, same_number, templates, terms
from kawhi.evaluation.chart_answers import candidates, final_answer, plain
from kawhi.evaluation.parsing import json_object, whole_number

PROBLEMS = 1000
KINDS = {1: "text_in_chart", 2: "text_in_general", 3: "number_in_chart", 4: "number_in_general"}
_parse = json_object({"extracted_answer": extracted, "score": whole_number(0, 1)})


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


def questions(
    facts: Mapping[str, Any], response: str, outcome: Outcome, images: Sequence[bytes]
) -> list[JudgeQuestion]:
    answer = visible(response)
    if not answer:
        return []
    fields = {key: facts[key] for key in ("question", "answer", "kind")} | {"response": answer}
    return [JudgeQuestion("grade", fields, _parse)]


def verdict(facts: Mapping[str, Any], response: str, outcome: Outcome, replies: Sequence[Any]) -> Outcome:
    return Outcome(float(replies[0]["score"]), replies[0]["extracted_answer"])


def scores(samples: Sequence[Scored]) -> dict[str, float]:
    """``score``, and one for each kind of answer that there is."""
    found = mean_score(samples)
    for kind in KINDS.values():
        if part := [sample for sample in samples if sample.facts["kind"] == kind]:
            found[kind] = mean_score(part)["score"]
    return found


def _same(kind: str, given: str, answer: str) -> bool:
    if kind.startswith("number"):
        return same_number(given, answer)
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


BENCHMARK = Benchmark(
    "kawhi_charxiv_reasoning",
    facts,
    images,
    prompt,
    rule,
    one_run(PROBLEMS),
    scores,
    judged=True,
    questions=questions,
    verdict=verdict,
)
