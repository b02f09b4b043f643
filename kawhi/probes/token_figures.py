"""Figures of what :mod:`kawhi.probes.token_summary` found, each like one of ToR's and for every method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kawhi.probes.token_summary import ATTENTION, CUTS, KINDS, SIZES, WEIGHT
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
_WIDE = 7.0  # inches
_DASHES = ((0, (1, 1)), (0, (4, 1.5)), "-")


def distributions(found: Found) -> Figure:
    """Figures 6 to 8: entropy and differences, with the lower ends of the top 20, 30 and 50 %."""
    return _histograms({WORDS[name]: found["distributions"][name] for name in SIZES}, 2, BLUE, "log")


def weights(found: Found) -> Figure | None:
    """The same of every method's weights."""
    varied = {label: own for label, own in found["weights"].items() if not own["constant"]}
    shown = {f"weight: {label}": own for label, own in varied.items()}
    return _histograms(shown, 3, VERMILION, "linear") if shown else None


def _histograms(shown: Mapping[str, Found], columns: int, colour: str, scale: Literal["log", "linear"]) -> Figure:
    figure, axes = _grid(len(shown), columns, 1.7)
    for panel, (title, own) in zip(axes, shown.items(), strict=True):
        edges, counts = np.array(own["edges"]), np.array(own["counts"])
        panel.bar(edges[:-1], counts / counts.sum(), width=np.diff(edges), align="edge", color=colour, alpha=0.75)
        for share, dashes in zip(CUTS, _DASHES, strict=True):
            panel.axvline(own["cuts"][f"{share:g}"], color=INK, linestyle=dashes, linewidth=0.9, label=f"{share:.0%}")
        panel.set_yscale(scale)
        panel.set_title(f"{title} ({own['zero']:.0%} are 0)" if own["zero"] else title)
        panel.set_ylabel("share of tokens")
    axes[0].legend(title="above: top", loc="upper right")
    return figure


def correlations(found: Found) -> Figure:
    """Figures 11 to 19: rank correlation of each signal and weight with attention to the image."""
    names = [name for name, own in found["correlations"][ATTENTION[0]].items() if own is not None]
    figure, axes = _grid(2, 2, 0.9 + 0.17 * len(names), sharey=True)
    for panel, target in zip(axes, ATTENTION, strict=True):
        for place, name in enumerate(reversed(names)):
            own = found["correlations"][target][name]
            colour = VERMILION if name.startswith(WEIGHT) else BLUE
            if own is not None:
                if own["low"] is not None:
                    panel.plot((own["low"], own["high"]), (place, place), color=colour, linewidth=1.4)
                panel.plot(own["value"], place, "o", color=colour)
        panel.axvline(0, color=GREY, linewidth=0.8)
        panel.set_title(WORDS[target])
        panel.set_xlabel("Spearman's correlation over tokens")
    axes[0].set_yticks(range(len(names)), [WORDS.get(name, name) for name in reversed(names)])
    return figure


def kinds(found: Found) -> Figure:
    """The overlap of reasoning and perception tokens, and what share of its weight each method gives to each kind."""
    rows = {"all tokens": found["kinds"]["tokens"], **found["kinds"]["weights"]}
    figure, (axes,) = _grid(1, 1, 0.9 + 0.2 * len(rows), width=_WIDE)
    _stacked(axes, rows)
    axes.set_xlabel("% of tokens (first row), of a method's weight (below)")
    axes.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def grouped(found: Found) -> bool:
    """Whether a model answered each question several times, and somebody knows which of its responses are right."""
    return bool(found["difficulty"]) and found["group"] > 1


def difficulty(found: Found) -> Figure | None:
    """Figure 20: kinds of tokens by how many responses of a group are right, and each method's weight on them."""
    classes = found["difficulty"]
    if not grouped(found):
        return None
    varied = [label for label, own in found["weights"].items() if not own["constant"]]
    columns = {"tokens": [own["tokens"] for own in classes]}
    columns |= {f"weight: {label}": [own["weights"][label] for own in classes] for label in varied}
    figure, axes = _grid(len(columns), 3, 0.7 + 0.2 * len(classes), sharey=True)
    names = [f"{own['class']} ({own['responses']})" for own in classes]
    for panel, (title, shares) in zip(axes, columns.items(), strict=True):
        _stacked(panel, dict(zip(names, shares, strict=True)))
        panel.set_title(title)
    figure.supxlabel("% of the tokens, or of a method's weight; in brackets: responses", fontsize=8)
    figure.legend(*axes[0].get_legend_handles_labels(), ncols=4, loc="outside lower center")
    return figure


def _stacked(axes: Axes, rows: Mapping[str, Mapping[str, float]]) -> None:
    places = np.arange(len(rows))[::-1]
    left = np.zeros(len(rows))
    for kind in KINDS:
        wide = np.array([100 * own[kind] for own in rows.values()])
        axes.barh(places, wide, left=left, color=COLOURS[kind], height=0.75, label=kind)
        left += wide
    axes.set_yticks(places, list(rows))
    axes.set_xlim(0, 100)


def agreement(found: Found) -> Figure | None:
    """Which methods reward the same tokens: rank correlation of weights, pair by pair."""
    names, values = found["agreement"]["methods"], np.array(found["agreement"]["correlation"])
    if len(names) < 2:
        return None
    side = 1.6 + 0.36 * len(names)
    figure, (axes,) = _grid(1, 1, side, width=side + 0.6)
    image = axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1)
    for (row, column), value in np.ndenumerate(values):
        dark = abs(value) > 0.6
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color="white" if dark else INK)
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False)
    figure.colorbar(image, ax=axes, shrink=0.7, label="Spearman's correlation of weights")
    return figure


def push_pull(found: Found) -> Figure:
    """Figure 10: reasoning uncertainty beside perception strength, of prompts and of what each method weights."""
    own = found["push_pull"]
    figure, (axes,) = _grid(1, 1, 3.2, width=_WIDE)
    points = np.array(own["prompts"])
    axes.plot(points[:, 0], points[:, 1], "o", color=SKY, alpha=0.6, markersize=3, label="prompts")
    axes.plot(*own["mean"], "o", color=INK, label="all tokens")
    markers = "sDv^*XP<>hp8d"
    for number, (label, mean) in enumerate(own["weights"].items()):
        if not found["weights"][label]["constant"]:
            axes.plot(*mean, markers[number % len(markers)], color=VERMILION, markersize=5, label=f"{label}'s")
    _uncertainty(axes)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="mean of")
    return figure


def push_pull_of_models(found: Mapping[str, Found]) -> Figure | None:
    """Figure 10 over the checkpoints of a training, in the order in which they were named."""
    if len(found) < 2:
        return None
    figure, (axes,) = _grid(1, 1, 2.8, width=_WIDE)
    means = np.array([own["push_pull"]["mean"] for own in found.values()])
    axes.plot(means[:, 0], means[:, 1], "-o", color=BLUE)
    for name, mean in zip(found, means, strict=True):
        axes.annotate(name, mean, xytext=(4, 4), textcoords="offset points", fontsize=7)
    _uncertainty(axes)
    axes.margins(0.2)
    return figure


def _uncertainty(axes: Axes) -> None:
    axes.set_xlabel("reasoning uncertainty: nucleus entropy, nats")
    axes.set_ylabel("perception: log-prob difference")


def _grid(count: int, columns: int, height: float, width: float | None = None, **options: Any) -> Any:
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(width or _WIDE, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options).ravel().tolist()
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


FIGURES: dict[str, Callable[[Found], Figure | None]] = {
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


def draw_all(found: Mapping[str, Found], folder: Path, endings: Sequence[str] = ("png", "pdf")) -> set[str]:
    """Writes ``<folder>/<model>/<figure>.png`` and ``.pdf``, and what several models share into the folder itself.

    Returns:
        What there was to draw, as ``<model>/<figure>`` or ``<figure>``.
    """
    drawn = set()
    with matplotlib.style.context(STYLE):
        for name, own in found.items():
            for figure, function in FIGURES.items():
                if _save(function(own), folder / name / figure, endings):
                    drawn.add(f"{name}/{figure}")
        if _save(push_pull_of_models(found), folder / OF_MODELS, endings):
            drawn.add(OF_MODELS)
    return drawn


def _save(figure: Figure | None, path: Path, endings: Sequence[str]) -> bool:
    files = tuple(path.with_name(f"{path.name}.{ending}") for ending in endings)
    for file in files:
        file.unlink(missing_ok=True)  # an older drawing would be of other numbers
    if figure is not None:
        save(figure, files)
    return figure is not None
