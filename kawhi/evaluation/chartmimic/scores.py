"""ChartMimic's low-level scores: how much two figures agree in text, layout, type and colour.

Each is an F1 = 2PR / (P + R) with precision P = m / (elements of the response), recall R = m / (elements of the
reference) and m the agreement, and 0 where a figure has no element, as the authors' evaluators compute it
(github.com/ChartMimic/ChartMimic, chart2code/utils/evaluator).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment
from skimage.color import deltaE_ciede2000, rgb2lab

from kawhi.evaluation.chartmimic.drawn import Cell, Figure

Color = tuple[str, str]
"""Drawing function, and ``#RRGGBB`` or the name of a colour map."""

_MANY_COLORS = 10
_ALIKE = 0.7
_ONE_CELL: Cell = (1, 1, 0, 1, 0, 1)


def low_level(response: Figure, reference: Figure, graph: bool) -> dict[str, float]:
    """The four scores by name.

    Args:
        graph: a network graph, where the authors look only at how many axes there are.
    """
    return {
        "text": multiset_f1(response.texts, reference.texts),
        "layout": multiset_f1(_cells(response, graph), _cells(reference, graph)),
        "type": counts_f1(response.types, reference.types),
        "color": color_f1(response.colors, reference.colors),
    }


def f1(agreement: float, in_response: int, in_reference: int) -> float:
    """The harmonic mean of agreement / in_response and agreement / in_reference; 0 where one of the three is 0."""
    if not (agreement and in_response and in_reference):
        return 0.0
    precision, recall = agreement / in_response, agreement / in_reference
    return 2 * precision * recall / (precision + recall)


def multiset_f1(response: Iterable[object], reference: Iterable[object]) -> float:
    """m: elements that are in both, each as often as in the figure that has fewer of it."""
    return counts_f1(Counter(response), Counter(reference))


def counts_f1(response: Mapping, reference: Mapping) -> float:
    """:func:`multiset_f1` of elements that are already counted."""
    agreement = sum(min(count, reference.get(element, 0)) for element, count in response.items())
    return f1(agreement, sum(response.values()), sum(reference.values()))


def color_f1(response: Sequence[Color], reference: Sequence[Color]) -> float:
    """m: summed over drawing functions, the best one-to-one assignment of colours by their similarity."""
    response, reference = distinct(response), distinct(reference)
    ours, theirs = _by_function(response), _by_function(reference)
    agreement = sum(_best_assignment(ours[name], theirs[name]) for name in ours.keys() & theirs.keys())
    return f1(agreement, len(response), len(reference))


def distinct(colors: Sequence[Color]) -> Sequence[Color]:
    """Of more than ten colours those that are not alike: more than 0.7 similar to one that was kept before.

    The authors' order is that of a Python set and so differs from run to run; ours is the order of drawing.
    """
    if len(colors) <= _MANY_COLORS:
        return colors
    first: dict[str, Color] = {}
    for name, color in colors:
        first.setdefault(color, (name, color))
    left, kept = list(first.values()), []
    while left:
        kept.append(left[0])
        alike = similarities([left[0][1]], [color for _, color in left])[0] > _ALIKE
        left = [color for color, drop in zip(left, alike, strict=True) if not drop]
    return kept


def similarities(ours: Sequence[str], theirs: Sequence[str]) -> np.ndarray:
    """Per pair 1 - CIEDE2000 / 100, at least 0.  Names of colour maps are 1 if equal, otherwise 0."""
    found = np.array([[float(a == b) for b in theirs] for a in ours]).reshape(len(ours), len(theirs))
    rows, columns = ([i for i, color in enumerate(colors) if color.startswith("#")] for colors in (ours, theirs))
    if rows and columns:
        left, right = _lab([ours[i] for i in rows]), _lab([theirs[i] for i in columns])
        distance = deltaE_ciede2000(left[:, None, :], right[None, :, :])
        found[np.ix_(rows, columns)] = np.maximum(0.0, 1 - distance / 100)
    return found


def _lab(colors: Sequence[str]) -> np.ndarray:
    return rgb2lab(np.array([[int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)] for color in colors]))


def _best_assignment(ours: Sequence[str], theirs: Sequence[str]) -> float:
    similarity = similarities(ours, theirs)
    return float(similarity[linear_sum_assignment(similarity, maximize=True)].sum())


def _by_function(colors: Iterable[Color]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name, color in colors:
        groups[name].append(color)
    return groups


def _cells(figure: Figure, graph: bool) -> list[Cell]:
    if graph:
        return [_ONE_CELL] * len(figure.layout)
    return [cell for cell in figure.layout if cell is not None]
