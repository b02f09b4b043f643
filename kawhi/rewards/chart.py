"""verl's reward for charts: ChartQA's relaxed match on the boxed answer."""

from __future__ import annotations

from typing import Any

from kawhi.rewards.boxed import boxed_answer
from kawhi.rewards.format import scored
from kawhi.rewards.relaxed import relaxed_match


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Any = None,
    *,
    format_weight: float = 0.0,
    **_: Any,
) -> dict[str, float]:
    """Reward of one response, in verl's signature; ``format_weight`` and the result as in ``kawhi.rewards.math``.

    Raises:
        ValueError: empty ground truth, or a weight outside [0, 1].
    """
    if not str(ground_truth).strip():
        raise ValueError("the ground truth is empty")
    answer = boxed_answer(solution_str)
    acc = float(answer is not None and relaxed_match(answer, str(ground_truth)))
    return scored(acc, solution_str, format_weight)
