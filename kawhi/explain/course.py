"""The credit of a whole training, from what it kept of all tokens of every step: read, and drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from kawhi.base.rundir import RunDirectory
from kawhi.credit.kinds import KINDS
from kawhi.credit.measures import MEASURES
from kawhi.explain.content import Course
from kawhi.style.figures import STYLE
from kawhi.style.overlays import BLUE, GREY, INK, LINE, ORANGE, VERMILION

WIDE, HIGH = 10.5, 2.5
"""Inches of a row of panels."""
_PERCEPTION = ("logp_diff", "prob_diff", "entropy_diff", "dependency", "alignment")
_LOOKS = {"mean": ("all tokens", INK, "-"), "weighted": ("by weight", VERMILION, "--")}
_KIND_COLOURS = {"reasoning": VERMILION, "both": ORANGE, "perception": BLUE, "neither": LINE}


def read_course(run: RunDirectory, shown: int, hidden: str | None = None) -> Course | None:
    """Every step that the training kept; ``None`` where it kept none, or not the one that is shown.

    Args:
        hidden: the measure that :func:`kawhi.explain.token_view.hidden` names.
    """
    kept = {int(file.stem): json.loads(file.read_text()) for file in run.step_files("tokens")}
    if shown not in kept:
        return None
    steps = sorted(kept)
    there = kept[shown]["all"]["mean"]
    return Course(
        steps=steps,
        shown=shown,
        kept=[kept[step] for step in steps],
        uncertainty="nucleus_entropy" if "nucleus_entropy" in there else "entropy",
        perception=next((name for name in _PERCEPTION if name in there and name != hidden), None),
    )


def curve(course: Course, how: str, name: str) -> list[float | None]:
    """Means of a measure over the steps; ``how`` is ``mean`` or ``weighted``."""
    return [step["all"][how].get(name) for step in course.kept]


def over_steps(course: Course) -> Figure:
    """The push and pull of uncertainty and perception, both over the steps, and how often each weight was given."""
    names = [course.uncertainty, *([course.perception] if course.perception else [])]
    sorts = set(KINDS) <= course.kept[0]["all"]["mean"].keys()
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(WIDE, HIGH), layout="constrained")
        panels = figure.subplots(1, len(names) + 1 + bool(course.perception) + sorts).tolist()
        if course.perception:
            _push_pull(panels.pop(0), course, course.uncertainty, course.perception)
        for axes, name in zip(panels, names, strict=False):
            for how, (label, colour, line) in _LOOKS.items():
                axes.plot(course.steps, _known(course, how, name), line, color=colour, label=label, **_mark(course))
            _of_steps(axes, course, f"mean {size(name)}")
        if sorts:
            _kinds(panels[-2], course)
        _weights(panels[-1], course)
        figure.legend(*panels[0].get_legend_handles_labels(), ncols=2, loc="outside lower center")
    return figure


def _known(course: Course, how: str, name: str) -> np.ndarray:
    """With NaN where a step does not say it, which is drawn as a gap."""
    return np.array(curve(course, how, name), dtype=np.float64)


def _mark(course: Course) -> dict[str, Any]:
    """Lines of few steps have points, too: one point alone would be no line."""
    return {"marker": "o" if len(course.steps) <= 30 else "", "markersize": 3, "linewidth": 1.2}


def size(name: str) -> str:
    """What is averaged and counted, in words: of a difference its size."""
    return f"size of {MEASURES[name].words}" if name.endswith("_diff") else MEASURES[name].words


def _push_pull(axes: Axes, course: Course, across: str, up: str) -> None:
    for how, (_, colour, line) in _LOOKS.items():
        x, y = _known(course, how, across), _known(course, how, up)
        axes.plot(x, y, line, color=colour, linewidth=0.9, alpha=0.7)
        axes.scatter(x, y, s=4 + 18 * np.linspace(0, 1, len(x)) ** 2, color=colour, linewidths=0)
        at = course.steps.index(course.shown)
        axes.plot(x[at], y[at], "o", markerfacecolor="none", markeredgecolor=colour, markersize=9)
    axes.margins(0.15)
    axes.set_xlabel(f"mean {size(across)}")
    axes.set_ylabel(f"mean {size(up)}")
    axes.set_title("push and pull")


def _of_steps(axes: Axes, course: Course, title: str) -> None:
    axes.axvline(course.shown, color=LINE, linewidth=0.8, zorder=0)
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.set_title(title)


def _kinds(axes: Axes, course: Course) -> None:
    """What share of the weight each kind of tokens has, and dotted what share of the tokens."""
    for kind in KINDS[:-1]:
        look = {**_mark(course), "color": _KIND_COLOURS[kind]}
        axes.plot(course.steps, 100 * _known(course, "weighted", kind), "--", label=kind, **look)
        axes.plot(course.steps, 100 * _known(course, "mean", kind), ":", **{**look, "marker": ""})
    axes.legend(fontsize=6, frameon=False, loc="best")
    _of_steps(axes, course, "% of weight; dotted: of tokens")


def _weights(axes: Axes, course: Course) -> None:
    """Share of the tokens of each step by weight; the root of it is what the eye can tell apart."""
    own = [step["histograms"]["weight"] for step in course.kept]
    counts = np.array([each["counts"] for each in own], dtype=np.float64)
    shares = np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)).T
    edges = np.append(np.array(course.steps) - 0.5, course.steps[-1] + 0.5)
    bins = np.linspace(own[0]["low"], own[0]["high"], len(shares) + 1)
    axes.pcolormesh(edges, bins, shares, cmap="Oranges", vmin=0, vmax=1, rasterized=True)
    axes.set_ylim(bins[0], bins[min(np.flatnonzero(shares.any(axis=1)).max(initial=0) + 2, len(shares))])
    axes.grid(visible=False)
    _of_steps(axes, course, "tokens by weight")
    axes.set_ylabel("weight")


def of_the_step(course: Course) -> Figure:
    """Of the step that is shown: histograms of all its tokens, and what groups of each difficulty are made of."""
    step = course.kept[course.steps.index(course.shown)]
    names = [name for name in (course.uncertainty, course.perception, "weight") if name and name in step["histograms"]]
    by_right = step["by_right"]
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(WIDE, HIGH), layout="constrained")
        panels = figure.subplots(1, len(names) + bool(by_right), squeeze=False).ravel().tolist()
        for axes, name in zip(panels, names, strict=False):
            _histogram(axes, step["histograms"][name], "weight" if name == "weight" else size(name))
        panels[0].set_ylabel("share of tokens")
        if by_right:
            _difficulty(panels[-1], by_right)
    return figure


def _histogram(axes: Axes, own: dict[str, Any], title: str) -> None:
    counts = np.array(own["counts"], dtype=np.float64)
    edges = np.linspace(own["low"], own["high"], len(counts) + 1)
    filled = np.flatnonzero(counts)
    axes.bar(edges[:-1], counts / counts.sum(), np.diff(edges), align="edge", color=BLUE, alpha=0.75)
    if title != "weight":
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    if len(filled):
        axes.set_xlim(edges[max(filled[0] - 1, 0)], edges[min(filled[-1] + 2, len(counts))])
    zero = own["zero"] / counts.sum()
    axes.set_title(f"{title} ({zero:.0%} are 0)" if zero >= 0.005 else title)


def _difficulty(axes: Axes, by_right: Sequence[dict[str, Any]]) -> None:
    """Shares of the weight that kinds of tokens have, where they are known; else the mean weight."""
    places = np.arange(len(by_right))
    left = np.zeros(len(by_right))
    if all(set(KINDS) <= own["weighted"].keys() for own in by_right):
        for kind in KINDS:
            wide = np.array([100 * own["weighted"][kind] for own in by_right])
            axes.barh(places, wide, left=left, color=_KIND_COLOURS[kind], height=0.75, label=kind)
            left += wide
        axes.set_title("% of the weight, by right answers")
        axes.legend(ncols=2, fontsize=6, loc="upper center", bbox_to_anchor=(0.5, -0.12), frameon=False)
    else:
        axes.barh(places, [own["weight"] for own in by_right], color=VERMILION, height=0.75)
        axes.set_title("mean weight, by right answers")
    axes.set_yticks(places, [f"{own['right']} of {own['of']}" for own in by_right])
    axes.tick_params(axis="y", colors=GREY)
