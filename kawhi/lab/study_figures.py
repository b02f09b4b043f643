"""The figures of a study: gains with their intervals, and learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kawhi.lab.comparison import BEST, WORST, Compared
from kawhi.lab.gradients import Share
from kawhi.style.figures import STYLE, save

CONTROL, METHOD = "#E69F00", "#0072B2"


def draw_gains(found: Sequence[Compared], what: str, files: Sequence[Path]) -> None:
    """One dot for each method, its 95 % interval beside it, and a line at uniform credit."""
    shown = [each for each in found if each.gain is not None]
    if not shown:
        return
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(6.2, 0.8 + 0.17 * len(shown)))
        axes = figure.subplots()
        for place, each in enumerate(reversed(shown)):
            colour = CONTROL if each.credit in (BEST, WORST) else METHOD
            if each.interval is not None:
                axes.plot(each.interval, (place, place), color=colour, linewidth=1.4)
            axes.plot(each.gain, place, "o", color=colour)
        axes.axvline(0, color="#5F5F5F", linewidth=0.8)
        axes.set_yticks(range(len(shown)), [f"{each.label} ({each.seeds})" for each in reversed(shown)])
        axes.set_ylim(-0.6, len(shown) - 0.4)
        axes.set_xlabel("points of P(read) above uniform credit, 95 %")
        axes.set_title(f"{what}: gain of each method (seeds)", loc="right")
        axes.grid(axis="x")
        save(figure, tuple(files))


CURVES = 8
"""As many lines as colours can tell apart; the first rows of a study are the controls and what was declared."""


def draw_curves(curves: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], what: str, files: Sequence[Path]) -> None:
    """P(read) over the steps, of the first methods of a study, each one's mean over its seeds.

    Args:
        curves: label -> for each seed its measurements.
    """
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(5.2, 2.8))
        axes = figure.subplots()
        for (label, seeds), marker in zip(islice(curves.items(), CURVES), "os^Dv*PX", strict=False):
            steps = [each["step"] for each in seeds[0]]
            means = 100 * np.mean([[each["read"] for each in measured] for measured in seeds], axis=0)
            axes.plot(steps, means, marker=marker, label=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("step")
        axes.set_ylabel("P(read), %")
        axes.set_title(f"{what}: how well each policy reads held-out drawings")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        save(figure, tuple(files))


def draw_shares(kinds: Mapping[str, Share], what: str, files: Sequence[Path]) -> None:
    """For each kind of paragraph, its shares of the signal and of the noise in the gradient that Adam has divided."""
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(5.2, 0.9 + 0.36 * len(kinds)))
        axes = figure.subplots()
        places = np.arange(len(kinds))[::-1]
        for shift, name, colour in ((0.18, "signal", METHOD), (-0.18, "noise", "#B8B8B8")):
            own = [getattr(share, f"{name}_adam") for share in kinds.values()]
            values = [100 * each.value for each in own]
            errors = [[100 * (e.value - e.low) for e in own], [100 * (e.high - e.value) for e in own]]
            axes.barh(
                places + shift,
                values,
                height=0.34,
                color=colour,
                label=name,
                xerr=np.maximum(errors, 0),
                error_kw={"elinewidth": 0.8, "ecolor": "#1A1A1A"},
            )
        axes.axvline(0, color="#5F5F5F", linewidth=0.8)
        axes.set_yticks(places, list(kinds))
        axes.set_xlabel("% of uniform credit's gradient, divided as by Adam; 95 % interval over prompts")
        axes.set_title(f"{what}: which paragraphs carry the gradient's signal")
        axes.legend(loc="lower right")
        save(figure, tuple(files))
