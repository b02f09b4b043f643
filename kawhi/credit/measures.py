"""What credit methods look at, token by token, and what of it is known where only some signals are.

A method's signals (:class:`kawhi.credit.methods.ResponseBatch`) are what passes give.  Of two of them it mostly takes
the difference, and that is what pages show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from kawhi.credit.methods.vppo import image_dependency

Signals = Mapping[str, Tensor]


@dataclass(frozen=True)
class Measure:
    """
    Attributes:
        words: what it is called.
        how: its unit, or what it compares.
        short: its name where there is little room.
        of: the signals that it is made of.
        low, high, bins: of its histograms, whose first and last bin take what lies beyond.
        made: ``(S,)`` values of those signals.
        image: whether it depends on what the image shows.
    """

    words: str
    how: str
    short: str
    of: frozenset[str]
    low: float
    high: float
    bins: int
    made: Callable[[Signals], Tensor]
    image: bool = False

    @property
    def full(self) -> str:
        """Name and unit."""
        return f"{self.words}, {self.how}" if self.how else self.words

    def sizes(self, signals: Signals) -> Tensor:
        """``(S,)`` values; of one that may be below 0 where its histogram begins with 0, the sizes."""
        values = self.made(signals)
        return values.abs() if self.low == 0 else values


def _as_it_is(name: str) -> Callable[[Signals], Tensor]:
    return lambda signals: signals[name]


def _logp_diff(signals: Signals) -> Tensor:
    return signals["log_probs"].double() - signals["blank_log_probs"].double()


def _prob_diff(signals: Signals) -> Tensor:
    return signals["log_probs"].double().exp() - signals["blank_log_probs"].double().exp()


def _entropy_diff(signals: Signals) -> Tensor:
    return signals["blank_entropy"].double() - signals["entropy"].double()


def _dependency(signals: Signals) -> Tensor:
    return image_dependency(signals["log_probs"], signals["perturbed_log_probs"])


_BLANK, _BLANK_ENTROPY = frozenset({"log_probs", "blank_log_probs"}), frozenset({"entropy", "blank_entropy"})
_PERTURBED = frozenset({"log_probs", "perturbed_log_probs"})
_BLACK, _LOWERED = "with the image less with a black one", "with a black image less with the image"
_PATCHES = "divergence between the image and one with black patches"

MEASURES = {
    "entropy": Measure("entropy", "nats", "H", frozenset({"entropy"}), 0, 6, 60, _as_it_is("entropy")),
    "nucleus_entropy": Measure(
        "nucleus entropy", "nats", "nucleus H", frozenset({"nucleus_entropy"}), 0, 6, 60, _as_it_is("nucleus_entropy")
    ),
    "log_probs": Measure("log-probability", "", "log p", frozenset({"log_probs"}), -10, 0, 100, _as_it_is("log_probs")),
    "logp_diff": Measure("log-prob difference", _BLACK, "Δ log p", _BLANK, 0, 10, 100, _logp_diff, True),
    "prob_diff": Measure("probability difference", _BLACK, "Δ p", _BLANK, 0, 1, 50, _prob_diff, True),
    "entropy_diff": Measure("entropy difference", _LOWERED, "Δ H", _BLANK_ENTROPY, 0, 6, 60, _entropy_diff, True),
    "dependency": Measure("image dependency", _PATCHES, "D", _PERTURBED, 0, 10, 100, _dependency, True),
    "alignment": Measure("alpha", "", "α", frozenset({"alignment"}), -1, 1, 100, _as_it_is("alignment"), True),
}
"""By name; differences are what the image adds, and histograms and means are of their sizes."""

WEIGHT = Measure("weight", "", "w", frozenset({"weight"}), 0, 2, 40, _as_it_is("weight"))
"""What a method makes of its signals; the last bin takes weights from 1.95 on."""


def known(signals: Signals) -> dict[str, Measure]:
    """The measures that signals are enough for, in the order of :data:`MEASURES`."""
    return {name: measure for name, measure in MEASURES.items() if measure.of <= signals.keys()}


def own(signals: Signals) -> dict[str, Measure]:
    """Of :func:`known` those that say all that signals are for: no log-probability that another one is taken from."""
    found = known(signals)
    return {n: m for n, m in found.items() if not any(m.of < other.of for other in found.values())}
