"""What a step of a training takes, from its records: medians over steps, with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap, quantile_test

from kawhi.records.schema import Curve, TimingRecord, TrainingRecord

WARM_UP = 1
"""Steps at the beginning that pay for start-up and do not count."""
FEWEST = 6
"""Steps of which a median has a 95 % interval."""
RESAMPLES = 9999


@dataclass(frozen=True)
class Median:
    """Over steps; ``low`` and ``high`` are its 95 % interval, ``None`` of fewer than :data:`FEWEST` steps."""

    value: float
    low: float | None
    high: float | None
    steps: int


def shares_processors(record: TrainingRecord | TimingRecord) -> bool:
    """Whether seconds on the wall say what else ran on the machine: a cell without GPUs has no processor for itself."""
    return record.run.gpu_hours is None


def seconds(records: Sequence[TrainingRecord | TimingRecord]) -> list[float]:
    """On the wall, of the steps of all seeds."""
    return counted(record.run.step_seconds for record in records)


def processor_seconds(records: Sequence[TrainingRecord | TimingRecord]) -> list[float]:
    """The same of all processors together."""
    return counted(record.run.step_processor_seconds for record in records)


def counted(curves: Iterable[Curve]) -> list[float]:
    """The values of curves by step that count."""
    return [value for curve in curves for value in curve[WARM_UP:] if value is not None]


def median(values: Sequence[float]) -> Median | None:
    """With the interval between two order statistics that the binomial distribution gives; ``None`` of no values."""
    if not values:
        return None
    low, high = (None, None)
    if len(values) >= FEWEST:
        found = quantile_test(values, p=0.5).confidence_interval(0.95)
        low, high = float(found.low), float(found.high)
    return Median(float(np.median(values)), low, high, len(values))


def difference(ours: Sequence[float], base: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of the difference of two medians, by a bootstrap over the steps of each."""
    if min(len(ours), len(base)) < FEWEST:
        return None
    found = bootstrap(
        (ours, base),
        lambda a, b, axis: np.median(a, axis=axis) - np.median(b, axis=axis),
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)
