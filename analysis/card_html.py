"""A card as a page that needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from analysis.card import BENCHMARK_HEAD, Card, curve_text
from analysis.card_markdown import NO_COMMAND, example_head, paragraph_numbers
from analysis.render_html import PAGES
from analysis.table import EMPTY
from kawhi.records.schema import Curve

WIDTH, HEIGHT = 480, 90


def card_html(card: Card, record: str, whose: str) -> str:
    """``record`` is the link to the file, ``whose`` what the link says."""
    page = PAGES.get_template("card.html").render(
        bar=WIDTH / max(len(card.histogram), 1),
        bars=bars(card.histogram),
        benchmark_head=BENCHMARK_HEAD,
        card=card,
        curve=sparkline(card.reward),
        curve_text=curve_text,
        example_head=example_head,
        height=HEIGHT,
        no_command=f"{EMPTY} {NO_COMMAND}",
        paragraph_numbers=paragraph_numbers,
        record=record,
        whose=whose,
        width=WIDTH,
    )
    return page + "\n"


def sparkline(curve: Curve) -> list[list[tuple[float, float]]]:
    """Points of each run of steps that logged the value; nothing where fewer than two did."""
    known = [value for value in curve if value is not None]
    if len(known) < 2:
        return []
    low, high = min(known), max(known)
    across, up = WIDTH / (len(curve) - 1), HEIGHT / ((high - low) or 1.0)
    points = [None if v is None else (i * across, HEIGHT - (v - low) * up) for i, v in enumerate(curve)]
    runs = ([point for point in run if point] for _, run in groupby(points, lambda point: point is None))
    return [run for run in runs if run]


def bars(counts: Sequence[int]) -> list[tuple[float, float]]:
    """Place and height of a bar for each bin of [0, 1], and one for what is above."""
    most = max(counts, default=0)
    return [(i * WIDTH / len(counts), HEIGHT * count / most) for i, count in enumerate(counts)] if most else []
