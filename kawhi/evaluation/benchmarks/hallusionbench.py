"""HallusionBench's questions with an image (Guan et al. 2024, arXiv 2310.14566): 951 yes/no questions.

Data, prompt and the judge's question are lmms-eval's ``hallusion_bench_image``, which are the authors'.  aAcc is the
share of right questions, qAcc of questions that are right for every figure of their set, fAcc of figures with every
question right; all in percent.  ``score`` is aAcc.

Different on purpose: lmms-eval gives an answer the previous sample's verdict when its judge dies, reads ``incorrect``
anywhere in the reply before ``correct`` and everything else as ``unclear``, keeps verdicts in a file that does not
depend on the model, and names gpt-4 in its code.  Here a reply is one of the three words or an error.
The authors count ``unclear`` as right where a figure is missing; this split has no such question.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from kawhi.evaluation.benchmark import (
    Benchmark,
    Outcome,
    Scored,
    mean_score,
    one_image,
    one_question,
    one_run,
    right_if,
)
from kawhi.evaluation.parsing import exactly
from kawhi.rewards.response import first_word

PROBLEMS = 951
_ANSWERS = {"1": "yes", "0": "no"}


def facts(doc: Mapping[str, Any]) -> dict[str, Any]:
    group = [str(doc[key]) for key in ("category", "subcategory", "set_id")]
    figure, question = str(doc["figure_id"]), str(doc["question_id"])
    return {
        "id": "_".join([*group, figure, question]),
        "question": doc["question"],
        "answer": doc["gt_answer_details"],
        "yes_or_no": _ANSWERS[str(doc["gt_answer"])],
        "asked": "_".join([*group, question]),
        "figure": "_".join([*group, figure]),
    }


def prompt(doc: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    return doc["question"]


def rule(facts: Mapping[str, Any], response: str) -> Outcome:
    answer = first_word(response, ("yes", "no"))
    return Outcome(float(answer == facts["yes_or_no"]), answer)


def scores(samples: Sequence[Scored]) -> dict[str, float]:
    """``score`` and ``aAcc`` (the same), ``qAcc``, ``fAcc``, in percent."""
    score = mean_score(samples)["score"]
    return {"score": score, "aAcc": score, "qAcc": _all_right(samples, "asked"), "fAcc": _all_right(samples, "figure")}


def _all_right(samples: Sequence[Scored], key: str) -> float:
    groups: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        groups[sample.facts[key]].append(sample.outcome.score)
    return 100 * sum(min(group) == 1 for group in groups.values()) / len(groups)


def _verdict(reply: str) -> str:
    return exactly("correct", "incorrect", "unclear")(reply.lower())


_questions = one_question(
    "verdict",
    _verdict,
    lambda facts, said: {"question": facts["question"], "answer": facts["answer"], "response": said},
)
BENCHMARK = Benchmark(
    "kawhi_hallusionbench",
    {"dataset_path": "lmms-lab-encoder/HallusionBench", "test_split": "image"},
    facts,
    one_image("image"),
    prompt,
    rule,
    one_run(PROBLEMS),
    scores,
    questions=_questions,
    verdict=right_if("correct"),
    cluster=lambda facts: facts["figure"].rpartition("_")[0],  # the set
)
