"""ChartQA's test split (Masry et al. 2022): 2,500 questions, relaxed accuracy.

Data, prompt and the relaxed comparison are lmms-eval's ``chartqa``.  Different on purpose: lmms-eval allows 16 new
tokens and compares the whole response, so that any reasoning is wrong; here the answer is looked for in the response
(``kawhi.rewards.response``) and generation is left to the caller.  A target of 0 can be met by ``0.0``.
The rows have no names, so they are numbered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kawhi.evaluation.benchmark import Benchmark, Outcome, means_by, numbered, one_image, one_run
from kawhi.rewards.relaxed import relaxed_match
from kawhi.rewards.response import candidates, final_answer, first_word

PROBLEMS = 2500
_SPLITS = {"human_test": "human", "augmented_test": "augmented"}


def facts(doc: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(doc["row"]),
        "question": doc["question"],
        "answer": doc["answer"],
        "split": _SPLITS[doc["type"]],
    }


def prompt(doc: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    return f"{doc['question']}\nAnswer the question with a single word."


def rule(facts: Mapping[str, Any], response: str) -> Outcome:
    answer = facts["answer"]
    readings = candidates(response)
    if answer.lower() in ("yes", "no"):
        readings = [first_word(response, ("yes", "no"))]
    match = next((each for each in readings if relaxed_match(each, answer)), None)
    return Outcome(float(match is not None), final_answer(response) if match is None else match)


BENCHMARK = Benchmark(
    "kawhi_chartqa",
    {"dataset_path": "lmms-lab-encoder/ChartQA", "test_split": "test"},
    facts,
    one_image("image"),
    prompt,
    rule,
    one_run(PROBLEMS),
    means_by("split", list(_SPLITS.values())),
    process_docs=numbered,
)
