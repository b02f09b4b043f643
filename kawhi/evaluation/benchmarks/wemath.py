"""We-Math (Qiao et al. 2024), testmini: 1740 multiple-choice problems, of which 525 are composite.

A composite problem of two or three steps is there as a whole (``multi``) and as its steps, all rows with one ``ID``.
A row is right when the letter that the response chooses is the answer's; there is no judge.

Data as lmms-eval's ``wemath_testmini_reasoning``.  Its prompt has a system message that asks for ``<think>`` and
``<answer>`` tags; the option ``instruction: tags`` (default) puts the same text before the question, because a prompt
is one text here, and ``instruction: none`` leaves it out, as lmms-eval does for models without chat messages.
Other than in lmms-eval: a letter that stands in neither tag nor box (``B``, ``The answer is B.``) or an option's text
counts as an answer, which scores 0 there; and nothing is divided by zero where no composite problem is right.

Scores, all in percent: ``accuracy`` of all rows; ``one_step``, ``two_step`` and ``three_step``; the authors' ``strict``
and ``loose`` scores of composite problems, (CM + IG / 2) / composite problems, and what these are made of:

    IG (inadequate generalisation)   every step right, the whole wrong
    IK (insufficient knowledge)      a step wrong, the whole wrong
    CM (complete mastery)            the whole right, and every step (strict) or at least one (loose)
    RM (rote memorisation)           the whole right, and not CM; as a share of CM + RM, absent where both are 0

A composite problem some of whose rows are missing is left out of these.  ``score`` is ``accuracy``.  The KAWHI paper
only says exact match: 7 of its 17 We-Math scores are multiples of 1/1740, where 3.0 are expected by chance; 3 are
multiples of 1/1050, the steps of the strict and loose scores (1.8 expected).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kawhi.evaluation.benchmark import (
    Benchmark,
    Outcome,
    Scored,
    TaskRun,
    compare,
    mean_score,
    one_image,
    refuse_unknown,
)
from kawhi.rewards.choices import listed_choices

PROBLEMS = 1740
# The system message of lmms-eval's wemath_testmini_reasoning.
_TAGS = (
    "You are a helpful assistant. When the user asks a question, your response must include two parts: first, the "
    "reasoning process enclosed in <think>...</think> tags, then the final answer enclosed in <answer>...</answer> "
    "tags.Please provide a clear, concise response within <answer> </answer> tags that directly addresses the question."
)
_INSTRUCTIONS = {"tags": f"{_TAGS}\n\n", "none": ""}
_KINDS = {"1": "one_step", "2": "two_step", "3": "three_step"}


def facts(doc: Mapping[str, Any]) -> dict[str, Any]:
    steps, step = doc["key"].split("steps_")
    return {
        "id": f"{doc['ID']}.{step}",
        "question": f"{doc['question']}\n{doc['option']}",
        "answer": doc["answer"].strip(),
        "choices": listed_choices(f"Options: {doc['option']}", doc["answer"].strip()),
        "problem": doc["ID"],
        "steps": int(steps),
        "step": step,
    }


def prompt(doc: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """The option ``instruction`` is ``tags`` or ``none``."""
    return (_INSTRUCTIONS[options.get("instruction", "tags")] + doc["question"] + "\n" + doc["option"]).strip()


def rule(facts: Mapping[str, Any], response: str) -> Outcome:
    return compare(response, facts["answer"], facts["choices"])


def runs(options: Mapping[str, Any]) -> list[TaskRun]:
    refuse_unknown(options, ("instruction",))
    instruction = options.get("instruction", "tags")
    if instruction not in _INSTRUCTIONS:
        raise ValueError(f"instruction {instruction!r} is not one of {', '.join(_INSTRUCTIONS)}")
    return [TaskRun(PROBLEMS, options={"instruction": instruction})]


def scores(samples: Sequence[Scored]) -> dict[str, float]:
    accuracy = mean_score(samples)["score"]
    kinds: dict[str, list[Scored]] = {}
    for sample in samples:
        kind = _KINDS[str(sample.facts["steps"])] if sample.facts["step"] == "multi" else "one_step"
        kinds.setdefault(kind, []).append(sample)
    by_kind = {kind: mean_score(those)["score"] for kind, those in sorted(kinds.items())}
    return {"score": accuracy, "accuracy": accuracy} | by_kind | composite_scores(samples)


def composite_scores(samples: Sequence[Scored]) -> dict[str, float]:
    """The authors' four-dimensional metric, in percent; empty without a complete composite problem."""
    complete = _complete(samples)
    if not complete:
        return {}
    share = 100 / len(complete)
    generalisation = sum(all(steps) and not whole for steps, whole in complete)
    found = {
        "IG": share * generalisation,
        "IK": share * sum(not all(steps) and not whole for steps, whole in complete),
    }
    for name, enough in (("strict", all), ("loose", any)):
        right = [enough(steps) for steps, whole in complete if whole]
        found[name] = share * (sum(right) + generalisation / 2)
        found[f"CM_{name}"] = share * sum(right)
        if right:
            found[f"RM_{name}"] = 100 * (len(right) - sum(right)) / len(right)
    return found


def _complete(samples: Sequence[Scored]) -> list[tuple[list[bool], bool]]:
    """Of each composite problem whose rows are all there: which steps are right, and whether the whole is."""
    problems: dict[tuple[int, str], dict[str, bool]] = {}
    for sample in samples:
        rows = problems.setdefault((sample.facts["steps"], sample.facts["problem"]), {})
        rows[sample.facts["step"]] = sample.outcome.score == 1.0
    found = []
    for (steps, _), rows in problems.items():
        names = [str(step) for step in range(1, steps + 1)]
        if set(rows) == {"multi", *names}:
            found.append(([rows[name] for name in names], rows["multi"]))
    return found


BENCHMARK = Benchmark(
    "kawhi_wemath",
    {
        "dataset_path": "We-Math/We-Math",
        "test_split": "testmini",
        "dataset_kwargs": {"revision": "527c44d4d94c4e3c7c98157460146a8b18c8420a"},
    },
    facts,
    one_image("image_path"),
    prompt,
    rule,
    runs,
    scores,
    cluster=lambda facts: f"{facts['steps']}/{facts['problem']}",
)
