"""What lmms-eval and the policy gave is believed only when it is complete and consistent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kawhi.base.errors import CellError
from kawhi.evaluation.samples import Sample, counts

_MEND = {
    "truncated": "raise evaluation.max_new_tokens",
    "empty": "look at the model's chat template",
    "duplicated": "look at the data set",
}


@dataclass(frozen=True)
class Limits:
    """Largest shares of a benchmark's samples, in [0, 1], with which its score still means something.

    Attributes:
        truncated: responses that were cut off.
        empty: responses without any text.
        duplicated: samples whose prompt and images another sample has, too.
    """

    truncated: float
    empty: float
    duplicated: float


def check_pass(samples: Sequence[Sample], logged: Sequence[tuple[int, str]], reported: float, rule_mean: float) -> None:
    """One pass through lmms-eval.

    Args:
        samples: ours, in the data set's order.
        logged: (row, response) of every sample that lmms-eval logged.
        reported: the mean of the rule as lmms-eval reports it.
        rule_mean: the same from our samples.

    Raises:
        CellError: lmms-eval has other samples, other responses or another mean than we have.
    """
    if len({row for row, _ in logged}) != len(logged) or len(logged) != len(samples):
        raise CellError(f"lmms-eval logged {len(logged)} samples, {len(samples)} were asked: its result is not used")
    ours = [sample.response for sample in samples]
    different = [row for (row, text), own in zip(sorted(logged), ours, strict=True) if text != own]
    if different:
        raise CellError(f"lmms-eval changed {len(different)} responses, the first of row {different[0]}")
    if abs(reported - rule_mean) > 1e-9:
        raise CellError(f"lmms-eval reports a mean of {reported}, its samples give {rule_mean}")


def check_samples(task: str, samples: Sequence[Sample], expected: int, limits: Limits) -> dict[str, int]:
    """All samples of a benchmark.

    Returns:
        How many are truncated, empty and duplicated.

    Raises:
        CellError: samples are missing or share an id, or a share is above its limit.
    """
    ids = Counter(sample.id for sample in samples)
    if len(samples) != expected or len(ids) != expected:
        raise CellError(f"{task} has {len(samples)} samples ({len(ids)} different) instead of {expected}")
    shown = Counter((sample.run, sample.prompt, tuple(sample.images)) for sample in samples)
    found = counts(samples) | {"duplicated": sum(number for number in shown.values() if number > 1)}
    for name, count in found.items():
        limit = getattr(limits, name)
        if count > limit * len(samples):
            raise CellError(
                f"{count} of {len(samples)} samples of {task} are {name}, the limit is {100 * limit:g} %: {_MEND[name]}"
                f" or set validity.{name} if that is what you want to measure; the responses are kept"
            )
    return found
