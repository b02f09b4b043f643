"""verl's reward for charts: ChartQA's relaxed match on the boxed answer, but for years and percent signs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kawhi.rewards.boxed import boxed_answer
from kawhi.rewards.format import scored
from kawhi.rewards.relaxed import PERCENT, YEARS, relaxed_match

_ASKS_FOR_A_YEAR = re.compile(r"\byears?\b|\bwhen\b|\bdates?\b", re.IGNORECASE)


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    *,
    format_weight: float = 0.0,
    years: str = "exact",
    percent: str = "either",
    **_: Any,
) -> dict[str, float]:
    """Reward of one response, in verl's signature; ``format_weight`` and the result as in ``kawhi.rewards.math``.

    Args:
        extra_info: where its ``question`` asks for no year, no number is taken for one.
        years: ``exact``, or ``relaxed`` as in the metric.
        percent: ``either``, or ``quantity`` as in the metric; see ``relaxed_match``.

    Raises:
        ValueError: empty ground truth, a weight outside [0, 1], or an option that does not exist.
    """
    if not str(ground_truth).strip():
        raise ValueError("the ground truth is empty")
    if years not in YEARS or percent not in PERCENT:
        raise ValueError(f"years={years!r}, percent={percent!r}: give one of {YEARS} and one of {PERCENT}")
    question = str((extra_info or {}).get("question") or "year")
    if not _ASKS_FOR_A_YEAR.search(question):
        years = "relaxed"
    answer = boxed_answer(solution_str)
    acc = float(answer is not None and relaxed_match(answer, str(ground_truth), years, percent))
    return scored(acc, solution_str, format_weight)
