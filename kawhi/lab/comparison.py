"""What the paired runs of a study say: each method beside uniform credit, and whether the bench could have told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import ttest_1samp
from statsmodels.stats.multitest import multipletests

UNIFORM, BEST, WORST = "uniform", "oracle", "anti_oracle"
"""Files of ``conf/credit``: what all are compared with, and the controls between which a bench must be able to tell."""

LEVEL = 0.05


@dataclass(frozen=True)
class Compared:
    """A method beside uniform credit, over the seeds that both have.

    Attributes:
        after: mean of P(read) at the end, in points.
        gain: mean paired difference, in points, with its 95 % interval; ``None`` for uniform credit itself, and the
            interval for fewer than two seeds.
        p: of the paired t test, after Holm's correction over the methods of its group.
    """

    label: str
    credit: str
    seeds: int
    after: float
    minutes: float | None
    gain: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None


@dataclass(frozen=True)
class Series:
    """P(read) at the end of each seed's run, in points, and the processor minutes of all, where they are known."""

    label: str
    credit: str
    after: Mapping[int, float]
    minutes: float | None


def compare(series: Sequence[Series]) -> list[Compared]:
    """All methods of one model and algorithm, in their order.

    Raises:
        ValueError: none of them is uniform credit.
    """
    base = next((each for each in series if each.credit == UNIFORM), None)
    if base is None:
        raise ValueError("nothing to compare with: uniform credit was not run")
    found = [_beside(each, base) for each in series]
    tested = [i for i, each in enumerate(found) if each.p is not None]
    if tested:
        corrected = multipletests([found[i].p for i in tested], method="holm")[1]
        for i, p in zip(tested, corrected, strict=True):
            found[i] = _with_p(found[i], float(p))
    return found


def _beside(own: Series, base: Series) -> Compared:
    common = sorted(own.after.keys() & base.after.keys())
    mean = float(np.mean(list(own.after.values()))) if own.after else float("nan")
    plain = Compared(own.label, own.credit, len(common), mean, own.minutes)
    if own is base or not common:
        return plain
    differences = np.array([own.after[seed] - base.after[seed] for seed in common])
    gain = float(differences.mean())
    if len(common) < 2 or not differences.std() > 0:
        # A t test has no opinion on one difference, or on equal ones.
        return Compared(own.label, own.credit, len(common), mean, own.minutes, gain)
    test = ttest_1samp(differences, 0.0)
    low, high = test.confidence_interval(0.95)
    interval = float(low), float(high)
    return Compared(own.label, own.credit, len(common), mean, own.minutes, gain, interval, float(test.pvalue))


def declared(pair: Sequence[str], series: Sequence[Series]) -> str | None:
    """A declared comparison of two methods in words; ``None`` while one of them has not been run."""
    known = {each.label: each for each in series}
    if not set(pair) <= known.keys():
        return None
    first, second = (known[label] for label in pair)
    found = _beside(first, second)
    p = "" if found.p is None else f", p {p_text(found.p)}"
    return f"declared: {first.label} minus {second.label} {gain_text(found)} points over {found.seeds} seeds{p}"


def _with_p(own: Compared, p: float) -> Compared:
    return Compared(own.label, own.credit, own.seeds, own.after, own.minutes, own.gain, own.interval, p)


def could_tell(found: Sequence[Compared]) -> bool:
    """Whether the oracle is above uniform credit and the anti-oracle below it, both beyond their intervals."""
    oracles = [each for each in found if each.credit == BEST]
    reversed_ones = [each for each in found if each.credit == WORST]
    above = any(each.interval is not None and each.interval[0] > 0 for each in oracles[:1])
    below = any(each.interval is not None and each.interval[1] < 0 for each in reversed_ones[:1])
    return above and below


def verdict(own: Compared, told: bool) -> str:
    """In words; a bench that could not tell gives none."""
    if own.credit == UNIFORM:
        return "what all are compared with"
    if not told or own.p is None or own.gain is None:
        return "no verdict"
    if own.p >= LEVEL:
        return "no difference shown"
    return "better" if own.gain > 0 else "worse"


def first_line(found: Sequence[Compared], what: str) -> str:
    """Whether the bench was able to tell good credit from bad."""
    said = []
    for name, word in ((BEST, "oracle"), (WORST, "anti-oracle")):
        own = next((each for each in found if each.credit == name), None)
        said.append(f"{word} {gain_text(own)}" if own is not None else f"{word} not run")
    able = (
        "could tell good credit from bad" if could_tell(found) else "could not tell good credit from bad: no verdicts"
    )
    return f"{what}: this bench {able} ({', '.join(said)} points of P(read) against uniform)"


def p_text(p: float) -> str:
    """Three digits, and what is below them as that."""
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def gain_text(own: Compared) -> str:
    """A gain with its interval."""
    if own.gain is None:
        return "–"
    if own.interval is None:
        return f"{own.gain:+.1f}"
    return f"{own.gain:+.1f} [{own.interval[0]:+.1f}, {own.interval[1]:+.1f}]"
