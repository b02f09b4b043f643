"""MME (Fu et al. 2023, arXiv 2306.13394): 2,374 yes/no questions, two per image, in 14 subtasks.

A subtask's score is 100 × accuracy + 100 × the share of images with both answers right; perception is the sum of ten
(2,000 at most), cognition of four (800 at most), and ``score`` is both together, in points.  Data, prompt and formula
are lmms-eval's ``mme``.  Different on purpose: lmms-eval reads the first four characters only, so that "The answer is
yes" is wrong and "Not sure" is a no; here the answer is looked for, and is a whole word.  It also keeps the subtasks'
scores to its log.  What is neither yes nor no is wrong, and so is silence.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from kawhi.evaluation.benchmark import Benchmark, Outcome, Scored, one_image, one_run
from kawhi.rewards.response import first_word

PROBLEMS = 2374
PERCEPTION = tuple(
    ["existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR"]
)
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
_ASK = " Please answer yes or no."


def facts(doc: Mapping[str, Any]) -> dict[str, Any]:
    question = doc["question"].strip()
    return {
        # The two questions of an image share its name.
        "id": f"{doc['category']}/{doc['question_id']}/{hashlib.sha256(question.encode()).hexdigest()[:8]}",
        "question": question,
        "answer": doc["answer"].lower().strip().rstrip("."),
        "category": doc["category"],
        "image": doc["question_id"],
    }


def prompt(doc: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    return f"{doc['question'].strip().replace(_ASK, '')}\nAnswer the question using a single word or phrase."


def rule(facts: Mapping[str, Any], response: str) -> Outcome:
    answer = first_word(response, ("yes", "no"))
    return Outcome(float(answer == facts["answer"]), answer)


def subtask_scores(samples: Sequence[Scored]) -> dict[str, float]:
    """Points by subtask, each from 0 to 200, in the order of the paper; those without samples are left out.

    Raises:
        ValueError: an unknown subtask, or an image with any number of questions but two.
    """
    pairs: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        pairs[sample.facts["category"]][sample.facts["image"]].append(sample.outcome.score)
    if unknown := sorted(set(pairs) - {*PERCEPTION, *COGNITION}):
        raise ValueError(f"MME has no subtask {', '.join(unknown)}")
    for category, by_image in pairs.items():
        for image, right in by_image.items():
            if len(right) != 2:
                raise ValueError(
                    f"MME asks two questions about each image, but {image} of {category} has {len(right)}; "
                    "evaluate both or neither"
                )
    return {
        category: sum(50 * sum(right) + 100 * (sum(right) == 2) for right in pairs[category].values())
        / len(pairs[category])
        for category in (*PERCEPTION, *COGNITION)
        if category in pairs
    }


def scores(samples: Sequence[Scored]) -> dict[str, float]:
    """``score``, ``perception``, ``cognition`` and every subtask, in points.

    Raises:
        ValueError: as ``subtask_scores``.
    """
    parts = subtask_scores(samples)
    perception = float(sum(parts.get(category, 0) for category in PERCEPTION))
    cognition = float(sum(parts.get(category, 0) for category in COGNITION))
    return {"score": perception + cognition, "perception": perception, "cognition": cognition, **parts}


BENCHMARK = Benchmark(
    "kawhi_mme",
    {"dataset_path": "lmms-lab-encoder/MME", "test_split": "test"},
    facts,
    one_image("image"),
    prompt,
    rule,
    one_run(PROBLEMS),
    scores,
)
