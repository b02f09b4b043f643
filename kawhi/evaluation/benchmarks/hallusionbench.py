"""HallusionBench's questions with an image (Guan et al. 2024, arXiv 2310.14566): 951 yes/no questions.

Data, prompt and the judge's question are lmms-eval's ``hallusion_bench_image``, which are the authors'.  aAcc is the
share of right questions, qAcc of questions that are right for every figure of their set, fAcc of figures with every
question right; all in percent.  ``score`` is aAcc.

Different on purpose: lmms-eval gives an answer the previous sample's verdict when its judge dies, reads ``incorrect``
anywhere in the reply before ``correct`` and everything else as ``unclear``, keeps verdicts in a file that does not
depend on the model, and names gpt-4 in its code.  Here a reply is one of the three words or an error.
The authors count ``unclear`` as right where a figure is missing; this split has no such question.

The option ``answer`` says what counts as an answer: ``judged`` (default) is all of that; ``boxed`` is what the code of
NoisyRollout does, whose evaluation ToR follows: the question up to its first question mark, the training prompt's
instruction to reason and to box a yes or no, and right where the box has exactly that word, without a judge.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from kawhi.data.prompts import INSTRUCTION
from kawhi.evaluation.benchmark import (
    Benchmark,
    JudgeQuestion,
    Outcome,
    Scored,
    TaskRun,
    mean_score,
    one_image,
    one_question,
    refuse_unknown,
    right_if,
)
from kawhi.evaluation.parsing import exactly
from kawhi.rewards.boxed import boxed_answer
from kawhi.rewards.response import first_word

PROBLEMS = 951
_ANSWERS = {"1": "yes", "0": "no"}
_KINDS = ("judged", "boxed")


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
    if options.get("answer") != "boxed":
        return doc["question"]
    return f"{doc['question'].partition('?')[0]}? The answer is yes or no.\n\n{INSTRUCTION}"


def runs(options: Mapping[str, Any]) -> list[TaskRun]:
    refuse_unknown(options, ("answer",))
    answer = options.get("answer", "judged")
    if answer not in _KINDS:
        raise ValueError(f"answer {answer!r} is not one of {', '.join(_KINDS)}")
    return [TaskRun(PROBLEMS, options={"answer": answer}, facts={"boxed": True} if answer == "boxed" else {})]


def rule(facts: Mapping[str, Any], response: str) -> Outcome:
    if facts.get("boxed"):
        boxed = boxed_answer(response.replace("\\boxed{}", "")) or ""
        return Outcome(float(boxed.lower() == facts["yes_or_no"]), boxed)
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


_of_judge = one_question(
    "verdict",
    _verdict,
    lambda facts, said: {"question": facts["question"], "answer": facts["answer"], "response": said},
)


def questions(
    facts: Mapping[str, Any], response: str, outcome: Outcome, images: Sequence[bytes]
) -> list[JudgeQuestion]:
    """None where the answer is boxed: the rule's outcome stands."""
    return [] if facts.get("boxed") else _of_judge(facts, response, outcome, images)


BENCHMARK = Benchmark(
    "kawhi_hallusionbench",
    {"dataset_path": "lmms-lab-encoder/HallusionBench", "test_split": "image"},
    facts,
    one_image("image"),
    prompt,
    rule,
    runs,
    scores,
    questions=questions,
    verdict=right_if("correct"),
    cluster=lambda facts: facts["figure"].rpartition("_")[0],  # the set
)
