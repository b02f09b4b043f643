"""All figures that records alone can give; ``analysis/make_figures.py`` draws them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import matplotlib.style

from analysis.figures.figure_1a import figure_1a
from analysis.figures.figure_3 import figure_3
from analysis.figures.figure_4 import figure_4
from analysis.figures.figure_5 import figure_5
from analysis.figures.figure_6 import figure_6
from analysis.figures.figure_7 import figure_7
from analysis.figures.parts import Drawn
from analysis.figures.radar import radar
from analysis.figures.series import Records
from analysis.figures.tokens import TITLES, of_tokens
from analysis.figures.tor_figure_2 import tor_figure_2
from analysis.figures.training_curves import training_curves
from analysis.figures.weights_and_paragraphs import weights_and_paragraphs
from kawhi.style.figures import STYLE


@dataclass(frozen=True)
class Figure:
    """A figure of the registry.

    Attributes:
        title: of its section in a report.
        needs: the records without which :attr:`function` returns ``None``; "" where the paper's numbers are enough.
        function: draws it; call :func:`draw`, which sets the style.
    """

    title: str
    needs: str
    function: Callable[[Records], Drawn | None]


FIGURES: dict[str, Figure] = {
    "figure_1a": Figure("Kinds of errors (figure 1a)", "", figure_1a),
    "figure_3": Figure("Vision-critical heads (figure 3)", "a record of the study heads", figure_3),
    "figure_4": Figure("VisionZip in place of SGUF (figure 4)", "", figure_4),
    "figure_5": Figure("Seconds of a step by part (figure 5)", "", figure_5),
    "figure_6": Figure("Weights of paragraphs (figure 6)", "a training record of KAWHI with examples", figure_6),
    "figure_7": Figure("Sensitivity to skip_ratio (figure 7)", "", figure_7),
    "radar": Figure("Chart understanding (the project page's figure 4)", "", radar),
    "tor_figure_2": Figure("One kind of tokens alone (ToR's figure 2)", "", tor_figure_2),
    "training_curves": Figure("Training curves", "a training record with curves", training_curves),
    "weights_and_paragraphs": Figure(
        "Weights and paragraphs", "a training record with weights or paragraphs", weights_and_paragraphs
    ),
    **{
        f"tokens_{name}": Figure(title, "a record of kawhi tokens with such tokens", of_tokens(name))
        for name, title in TITLES.items()
    },
}


def draw(name: str, records: Records) -> Drawn | None:
    """The figure in the house's style; ``None`` when there is nothing to draw."""
    with matplotlib.style.context(STYLE):
        return FIGURES[name].function(records)
