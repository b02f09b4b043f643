"""Figures of what :mod:`kawhi.probes.token_summary` found, each like one of ToR's and for every method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from kawhi.credit.kinds import KINDS
from kawhi.probes.token_summary import ATTENTION, CUTS, SIZES, WEIGHT
from kawhi.style.figures import STYLE, save
from kawhi.style.overlays import BLUE, GREY, INK, LINE, ORANGE, SKY, VERMILION

Found = Mapping[str, Any]

WORDS = {
    "nucleus_entropy": "nucleus entropy, nats",
    "entropy": "entropy",
    "logp_diff": "log-prob difference",
    "prob_diff": "probability difference",
    "entropy_diff": "entropy difference",
    "attention_last": "attention to the image, last layer",
    "attention_mean": "attention to the image, mean of layers",
    "alignment": "alpha (KAWHI)",
}
COLOURS = {"reasoning": VERMILION, "both": ORANGE, "perception": BLUE, "neither": LINE}
WIDE = 7.0
"""Inches."""
_DASHES = ((0, (1, 1)), (0, (4, 1.5)), "-")


@dataclass(frozen=True)
class Sketch:
    """Panels, and what is drawn on them.

    Attributes:
        count, columns, height: of the panels; inches each.
        fill: draws, on the figure that has the panels.
        options: of matplotlib's ``subplots``.
    """

    count: int
    columns: int
    height: float
    fill: Callable[[Any, list[Axes]], None]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return -(-self.count // self.columns)

    @property
    def inches(self) -> float:
        """The height of all rows."""
        return self.rows * self.height

    def on(self, figure: Any) -> list[Axes]:
        """Draws on a figure, or on a part of one, of this height; returns the panels."""
        axes = figure.subplots(self.rows, self.columns, squeeze=False, **self.options).ravel().tolist()
        for unused in axes[self.count :]:
            unused.remove()
        self.fill(figure, axes[: self.count])
        return axes[: self.count]

    def figure(self) -> Figure:
        """A figure of its own."""
        made = Figure(figsize=(WIDE, self.inches), layout="constrained")
        self.on(made)
        return made


def distributions(found: Found) -> Sketch:
    """Figures 6 to 8: entropy and differences, with the lower ends of the top 20, 30 and 50 %."""
    return _histograms({WORDS[name]: found["distributions"][name] for name in SIZES}, 2, BLUE, "log")


def weights(found: Found) -> Sketch | None:
    """The same of every method's weights."""
    shown = {f"weight: {label}": found["weights"][label] for label in _varied(found)}
    return _histograms(shown, 3, VERMILION, "linear") if shown else None


def _varied(found: Found) -> list[str]:
    """The methods that do not weigh all tokens alike."""
    return [label for label, own in found["weights"].items() if not own["constant"]]


def _histograms(shown: Mapping[str, Found], columns: int, colour: str, scale: Literal["log", "linear"]) -> Sketch:
    def fill(figure: Any, axes: list[Axes]) -> None:
        for panel, (title, own) in zip(axes, shown.items(), strict=True):
            edges, counts = np.array(own["edges"]), np.array(own["counts"])
            panel.bar(edges[:-1], counts / counts.sum(), width=np.diff(edges), align="edge", color=colour, alpha=0.75)
            for share, dashes in zip(CUTS, _DASHES, strict=True):
                look = {"color": INK, "linestyle": dashes, "linewidth": 0.9, "label": f"{share:.0%}"}
                panel.axvline(own["cuts"][f"{share:g}"], **look)
            panel.set_yscale(scale)
            panel.yaxis.set_minor_formatter(NullFormatter())
            panel.set_title(f"{title} ({own['zero']:.0%} are 0)" if own["zero"] >= 0.005 else title)
            panel.set_ylabel("share of tokens")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, [f"top {label} above" for label in labels], ncols=3, loc="outside lower center")

    return Sketch(len(shown), min(columns, len(shown)), 1.75, fill)


def correlations(found: Found) -> Sketch:
    """Figures 11 to 19: rank correlation of each signal and weight with attention to the image."""
    names = [name for name, own in found["correlations"][ATTENTION[0]].items() if own is not None]

    def fill(figure: Any, axes: list[Axes]) -> None:
        for panel, target in zip(axes, ATTENTION, strict=True):
            for place, name in enumerate(reversed(names)):
                _interval(panel, place, found["correlations"][target][name], VERMILION if WEIGHT in name else BLUE)
            panel.axvline(0, color=GREY, linewidth=0.8)
            panel.set_title(WORDS[target])
            panel.set_xlabel("Spearman's correlation over tokens")
        axes[0].set_yticks(range(len(names)), [WORDS.get(name, name) for name in reversed(names)])

    return Sketch(2, 2, 0.9 + 0.17 * len(names), fill, {"sharey": True})


def _interval(axes: Axes, place: int, own: Found | None, colour: str) -> None:
    if own is None:
        return
    if own["low"] is not None:
        axes.plot((own["low"], own["high"]), (place, place), color=colour, linewidth=1.4)
    axes.plot(own["value"], place, "o", color=colour)


def kinds(found: Found) -> Sketch:
    """The overlap of reasoning and perception tokens, and what share of its weight each method gives to each kind."""
    rows = {"all tokens": found["kinds"]["tokens"], **found["kinds"]["weights"]}

    def fill(figure: Any, axes: list[Axes]) -> None:
        _stacked(axes[0], rows)
        axes[0].set_xlabel("% of tokens (first row), of a method's weight (below)")
        figure.legend(*axes[0].get_legend_handles_labels(), ncols=4, loc="outside lower center")

    return Sketch(1, 1, 1.0 + 0.2 * len(rows), fill)


def grouped(found: Found) -> bool:
    """Whether a model answered each question several times, and somebody knows which of its responses are right."""
    return bool(found["difficulty"]) and found["group"] > 1


def difficulty(found: Found) -> Sketch | None:
    """Figure 20: kinds of tokens by how many responses of a group are right, and each method's weight on them."""
    if not grouped(found):
        return None
    classes = found["difficulty"]
    shown = {"tokens": [own["tokens"] for own in classes]}
    shown |= {f"weight: {label}": [own["weights"][label] for own in classes] for label in _varied(found)}
    names = [f"{own['class']} ({own['responses']})" for own in classes]

    def fill(figure: Any, axes: list[Axes]) -> None:
        for panel, (title, shares) in zip(axes, shown.items(), strict=True):
            _stacked(panel, dict(zip(names, shares, strict=True)))
            panel.set_title(title)
        axes[0].set_xlabel("%; in brackets: responses")
        figure.legend(*axes[0].get_legend_handles_labels(), ncols=4, loc="outside lower center")

    return Sketch(len(shown), min(3, len(shown)), 0.75 + 0.2 * len(classes), fill, {"sharey": True})


def _stacked(axes: Axes, rows: Mapping[str, Mapping[str, float]]) -> None:
    places = np.arange(len(rows))[::-1]
    left = np.zeros(len(rows))
    for kind in KINDS:
        wide = np.array([100 * own[kind] for own in rows.values()])
        axes.barh(places, wide, left=left, color=COLOURS[kind], height=0.75, label=kind)
        left += wide
    axes.set_yticks(places, list(rows))
    axes.set_xlim(0, 100)


def agreement(found: Found) -> Sketch | None:
    """Which methods reward the same tokens: rank correlation of weights, pair by pair."""
    names, values = found["agreement"]["methods"], np.array(found["agreement"]["correlation"])
    if len(names) < 2:
        return None

    def fill(figure: Any, axes: list[Axes]) -> None:
        image = axes[0].imshow(values, cmap="RdBu_r", vmin=-1, vmax=1)
        for (row, column), value in np.ndenumerate(values):
            colour = "white" if abs(value) > 0.6 else INK
            axes[0].text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
        axes[0].set_xticks(range(len(names)), names, rotation=60, ha="right")
        axes[0].set_yticks(range(len(names)), names)
        axes[0].grid(visible=False)
        figure.colorbar(image, ax=axes[0], shrink=0.7, label="Spearman's correlation of weights")

    return Sketch(1, 1, 1.6 + 0.4 * len(names), fill)


def push_pull(found: Found) -> Sketch:
    """Figure 10: reasoning uncertainty beside perception strength, of prompts and of what each method weights."""
    own = found["push_pull"]

    def fill(figure: Any, axes: list[Axes]) -> None:
        points = np.array(own["prompts"])
        axes[0].plot(points[:, 0], points[:, 1], "o", color=SKY, alpha=0.6, markersize=3, label="a prompt")
        axes[0].plot(*own["mean"], "o", color=INK, label="all tokens")
        markers = "sDv^*XP<>hp8d"
        for number, label in enumerate(name for name in _varied(found) if name in own["weights"]):
            marker = markers[number % len(markers)]
            axes[0].plot(*own["weights"][label], marker, color=VERMILION, markersize=5, label=f"{label}, by weight")
        _uncertainty(axes[0])
        axes[0].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="mean of")

    return Sketch(1, 1, 3.2, fill)


def push_pull_of_models(found: Mapping[str, Found]) -> Sketch | None:
    """Figure 10 over the checkpoints of a training, in the order in which they were named."""
    means = np.array([own["push_pull"]["mean"] for own in found.values()])

    def fill(figure: Any, axes: list[Axes]) -> None:
        axes[0].plot(means[:, 0], means[:, 1], "-o", color=BLUE)
        for name, mean in zip(found, means, strict=True):
            axes[0].annotate(name, mean, xytext=(4, 4), textcoords="offset points", fontsize=7)
        _uncertainty(axes[0])
        axes[0].margins(0.2)

    return Sketch(1, 1, 2.8, fill) if len(found) > 1 else None


def _uncertainty(axes: Axes) -> None:
    axes.set_xlabel("reasoning uncertainty: nucleus entropy, nats")
    axes.set_ylabel("perception: log-prob difference")


FIGURES: dict[str, Callable[[Found], Sketch | None]] = {
    "distributions": distributions,
    "weights": weights,
    "correlations": correlations,
    "kinds": kinds,
    "difficulty": difficulty,
    "push_pull": push_pull,
    "agreement": agreement,
}
"""Of one model, by name; the page has them in this order."""

OF_MODELS = "push_pull"
"""Of several models; lies beside their folders."""


def draw_all(found: Mapping[str, Found], folder: Path) -> set[str]:
    """Writes ``<folder>/<model>/<figure>.png``, and what several models share into the folder itself.

    Returns:
        What there was to draw, as ``<model>/<figure>`` or ``<figure>``.
    """
    drawn = set()
    with matplotlib.style.context(STYLE):
        for name, own in found.items():
            for figure, function in FIGURES.items():
                if _save(function(own), folder / name / figure):
                    drawn.add(f"{name}/{figure}")
        if _save(push_pull_of_models(found), folder / OF_MODELS):
            drawn.add(OF_MODELS)
    return drawn


def _save(sketch: Sketch | None, path: Path) -> bool:
    file = path.with_name(f"{path.name}.png")
    file.unlink(missing_ok=True)  # an older drawing would be of other numbers
    if sketch is not None:
        save(sketch.figure(), (file,))
    return sketch is not None
