"""verl's reward for answers in a box: math-verify behind the sandbox.  ``docs/rewards.md`` has the rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kawhi.rewards.answers import judge
from kawhi.rewards.boxed import boxed_answer
from kawhi.rewards.choices import known_choices
from kawhi.rewards.format import scored


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    *,
    format_weight: float = 0.0,
    **_: Any,
) -> dict[str, float]:
    """Reward of one response, in verl's signature.

    Args:
        ground_truth: the answer; a letter or a text for multiple choice.
        extra_info: ``choices`` or ``question`` tell the choices, see ``known_choices``.
        format_weight: share of the format, from ``reward.custom_reward_function.reward_kwargs``.  0 is the paper's
            R in {0, 1}; verl's Geo3K example has 0.1.

    Returns:
        ``score`` = (1 − w) · ``acc`` + w · ``format``; ``acc`` is what DAPO's group filter reads.  ``refused`` is 1 for
        an answer beyond the limits, whose ``acc`` is 0.

    Raises:
        ValueError: empty ground truth, or a weight outside [0, 1].
        RuntimeError: the sandbox cannot be started.
    """
    if ground_truth is None:
        raise ValueError("the ground truth is empty")
    answer = boxed_answer(solution_str)
    outcome = "wrong" if answer is None else judge(answer, str(ground_truth), known_choices(extra_info))
    score = scored(float(outcome == "right"), solution_str, format_weight)
    return score | {"refused": float(outcome == "refused")}
