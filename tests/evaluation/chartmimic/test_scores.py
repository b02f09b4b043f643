"""The scores against slow, literal transcriptions of their definitions, and by hand."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import deltaE_ciede2000, rgb2lab

from kawhi.evaluation.chartmimic.drawn import Figure
from kawhi.evaluation.chartmimic.scores import color_f1, distinct, low_level, multiset_f1, similarities

COLORS = st.sampled_from(["#FF0000", "#FF0A00", "#00FF00", "#0000FF", "#000000", "#FFFFFF", "viridis", "Blues"])
PAIRS = st.lists(st.tuples(st.sampled_from(["bar", "line"]), COLORS), max_size=4, unique=True)
WORDS = st.lists(st.sampled_from("abc"), max_size=8)


def literal_f1(matched, ours, theirs):
    if not ours or not theirs:
        return 0
    precision, recall = matched / ours, matched / theirs
    return 0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def literal_text(ours, theirs):
    """One by one, each found element is struck out."""
    left, matched = list(ours), 0
    for text in theirs:
        if text in left:
            left.remove(text)
            matched += 1
    return literal_f1(matched, len(ours), len(theirs))


def literal_similarity(a, b):
    if a.startswith("#") != b.startswith("#"):
        return 0
    if not a.startswith("#"):
        return float(a == b)
    lab = [rgb2lab(np.array([int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)])) for c in (a, b)]
    return max(0, 1 - float(deltaE_ciede2000(*lab)) / 100)


def literal_color(ours, theirs):
    """Every way to assign the shorter list's colours to the longer's."""
    total = 0.0
    for name in {name for name, _ in [*ours, *theirs]}:
        lists = [[color for each, color in side if each == name] for side in (ours, theirs)]
        short, long = sorted(lists, key=len)
        total += max(
            sum(literal_similarity(a, b) for a, b in zip(short, order, strict=True))
            for order in permutations(long, len(short))
        )
    return literal_f1(total, len(ours), len(theirs))


@given(WORDS, WORDS)
def test_text_is_the_literal_definition(ours, theirs):
    assert multiset_f1(ours, theirs) == pytest.approx(literal_text(ours, theirs))
    assert multiset_f1(ours, theirs) == pytest.approx(multiset_f1(theirs, ours))


@given(PAIRS, PAIRS)
def test_color_is_the_literal_definition(ours, theirs):
    assert color_f1(ours, theirs) == pytest.approx(literal_color(ours, theirs))
    assert color_f1(ours, theirs) == pytest.approx(color_f1(theirs, ours))
    assert 0 <= color_f1(ours, theirs) <= 1 + 1e-12


def test_the_distance_is_the_published_one():
    """Pairs 1 and 17 of the test data of Sharma, Wu and Dalal (2005), as Lab; and black against white, 100."""
    lab = np.array([[50, 2.6772, -79.7751], [50, 0, -82.7485], [50, 2.5, 0], [73, 25, -18]])
    assert deltaE_ciede2000(lab[0], lab[1]) == pytest.approx(2.0425, abs=1e-4)
    assert deltaE_ciede2000(lab[2], lab[3]) == pytest.approx(27.1492, abs=1e-4)
    assert similarities(["#000000"], ["#FFFFFF"])[0, 0] == pytest.approx(0, abs=1e-6)


def test_ten_colours_stay_and_of_eleven_the_alike_go():
    grays = [("bar", f"#{i:02X}{i:02X}{i:02X}") for i in range(100, 111)]
    assert distinct(grays[:10]) == grays[:10]
    assert distinct(grays) == grays[:1]
    others = [("line", "#FF0000"), ("line", "#0000FF"), ("imshow", "viridis"), ("pcolor", "viridis")]
    assert distinct([*grays, *others]) == [grays[0], *others[:3]]
    again = [*[("bar", "#000000")] * 10, ("bar", "#000001"), ("bar", "#000000")]
    assert distinct(again) == again[:1]


@given(
    st.lists(st.tuples(st.sampled_from(["bar", "line"]), st.from_regex("#[0-9A-F]{6}", fullmatch=True)), max_size=25)
)
def test_distinct_is_the_literal_greedy_filter(colors):
    kept = []
    for color in colors:
        if not any(literal_similarity(color[1], other[1]) > 0.7 for other in kept):
            kept.append(color)
    assert list(distinct(colors)) == (kept if len(colors) > 10 else colors)


def figure(**changes):
    parts = {
        "texts": ("A", "B"),
        "layout": ((1, 2, 0, 0, 0, 0), (1, 2, 0, 0, 1, 1)),
        "types": {"bar": 1, "plot": 1},
        "colors": (("bar", "#FF0000"), ("line", "#0000FF")),
        "png": b"",
    }
    return Figure(**(parts | changes))


ALL = {"text": 1, "layout": 1, "type": 1, "color": 1}


@pytest.mark.parametrize(
    ("changes", "falls"),
    [
        ({}, {}),
        ({"texts": ("A", "C")}, {"text": 1 / 2}),
        ({"layout": ((1, 2, 0, 0, 0, 0),)}, {"layout": 2 / 3}),
        ({"layout": ((2, 1, 0, 0, 0, 0), (2, 1, 1, 1, 0, 0))}, {"layout": 0}),
        ({"layout": ((1, 2, 0, 0, 0, 0), (1, 2, 0, 0, 1, 1), None)}, {}),
        ({"types": {"bar": 1}}, {"type": 2 / 3}),
        ({"colors": (("bar", "#FF0000"), ("line", "#0000FF"), ("line", "#00FF00"))}, {"color": 0.8}),
    ],
    ids=["same", "other text", "an axes less", "other grid", "axes without a grid", "a call less", "a colour more"],
)
def test_only_the_part_that_differs_falls(changes, falls):
    assert low_level(figure(**changes), figure(), graph=False) == pytest.approx(ALL | falls)


def test_of_a_graph_only_the_number_of_axes_counts():
    moved = figure(layout=((2, 1, 0, 0, 0, 0), None))
    assert low_level(moved, figure(), graph=True)["layout"] == 1
    assert low_level(moved, figure(), graph=False)["layout"] == 0
    assert low_level(figure(layout=(None,)), figure(), graph=True)["layout"] == pytest.approx(2 / 3)
