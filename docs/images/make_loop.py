"""Draws what needs no model: the loop of a training step and the README's badges, as SVG.

python docs/images/make_loop.py        # -> docs/images/loop.svg, docs/images/badges/*.svg
"""

from __future__ import annotations

from html import escape
from pathlib import Path

HERE = Path(__file__).parent
INK, GREY, LINE, BLUE, VERMILION, PAPER = "#1A1A1A", "#5F5F5F", "#9A9A9A", "#0072B2", "#D55E00", "#FFFFFF"
FONT = "font-family='Segoe UI, Roboto, Helvetica, Arial, sans-serif'"
BOX, HIGH, GAP, TOP, DOWN = 232, 128, 34, 44, 40
WIDTH, HEIGHT = 3 * BOX + 2 * GAP + 24, TOP + 2 * HIGH + DOWN + 12
STEPS = [  # column, row, head, lines, whether it is KAWHI's
    (0, 0, "1  Problem", ["an image and", "a question"], False),
    (1, 0, "2  Answers", ["the model writes a few,", "a rule marks them right", "or wrong"], False),
    (2, 0, "3  Who looked?", ["each paragraph is held", "against the image's", "key regions"], True),
    (2, 1, "4  Credit", ["a paragraph that looked", "counts more, for better", "and for worse"], True),
    (1, 1, "5  Update", ["the trainer moves the", "model's weights; then", "the next problem"], False),
]
BADGES = {
    "python": ("Python", "3.11 | 3.12", BLUE),
    "verl": ("verl", "0.9.1, not forked", "#009E73"),
    "licence": ("licence", "Apache-2.0", GREY),
    "paper": ("arXiv", "2603.27375", VERMILION),
}
LETTER = 6.4  # mean width of a letter of 11 px


def text(x: float, y: float, words: str, size: int, colour: str = INK, more: str = "") -> str:
    return f"<text x='{x:g}' y='{y:g}' font-size='{size}' fill='{colour}' {FONT} {more}>{escape(words)}</text>"


def svg(width: float, height: float, title: str, *parts: str) -> str:
    size = f"viewBox='0 0 {width:g} {height:g}' width='{width:g}' height='{height:g}'"
    return "\n".join(
        [
            f"<svg xmlns='http://www.w3.org/2000/svg' {size} role='img'>",
            f"<title>{escape(title)}</title>",
            *parts,
            "</svg>",
            "",
        ]
    )


def corner(column: int, row: int) -> tuple[float, float]:
    """Of a box."""
    return 12 + column * (BOX + GAP), TOP + row * (HIGH + DOWN)


def loop() -> str:
    """Three boxes to the right and two back, those that are KAWHI's in blue, and arrows."""
    arrow = f"fill='none' stroke='{GREY}' stroke-width='2' marker-end='url(#tip)'"
    parts = [
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='{PAPER}'/>",
        "<defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' markerHeight='7' orient='auto'>"
        f"<path d='M0 0L8 4L0 8z' fill='{GREY}'/></marker></defs>",
    ]
    for column, row, head, lines, own in STEPS:
        x, y = corner(column, row)
        edge, fill = (BLUE, "#EAF3F9") if own else (LINE, "#F6F6F3")
        box = f"x='{x:g}' y='{y:g}' width='{BOX}' height='{HIGH}' rx='10'"
        parts.append(f"<rect {box} fill='{fill}' stroke='{edge}' stroke-width='2'/>")
        parts.append(text(x + 14, y + 32, head, 20, BLUE if own else INK, "font-weight='600'"))
        parts += [text(x + 14, y + 60 + 24 * i, line, 17) for i, line in enumerate(lines)]
    x, y = corner(0, 0)
    parts += [
        f"<path d='M{x + BOX + 4:g} {y + HIGH / 2}h{GAP - 8}' {arrow}/>",
        f"<path d='M{x + 2 * BOX + GAP + 4:g} {y + HIGH / 2}h{GAP - 8}' {arrow}/>",
        f"<path d='M{x + 2 * (BOX + GAP) + BOX / 2:g} {y + HIGH + 4}v{DOWN - 8}' {arrow}/>",
        f"<path d='M{x + 2 * (BOX + GAP) - 4:g} {y + HIGH * 1.5 + DOWN}h{8 - GAP}' {arrow}/>",
        f"<path d='M{x + BOX + GAP - 4:g} {y + HIGH * 1.5 + DOWN}H{x + BOX / 2:g}V{y + HIGH + 5}' {arrow}/>",
        text(x + 2 * (BOX + GAP) + BOX / 2, y - 14, "KAWHI", 18, BLUE, "text-anchor='middle' font-weight='600'"),
    ]
    return svg(WIDTH, HEIGHT, "A training step with KAWHI", *parts)


def badge(left: str, right: str, colour: str) -> str:
    """A name and a value."""
    one, two = (LETTER * len(words) + 14 for words in (left, right))
    return svg(
        one + two,
        20,
        f"{left}: {right}",
        f"<rect width='{one:g}' height='20' fill='#444444'/>",
        f"<rect x='{one:g}' width='{two:g}' height='20' fill='{colour}'/>",
        text(7, 14, left, 11, PAPER),
        text(one + 7, 14, right, 11, PAPER),
    )


if __name__ == "__main__":
    (HERE / "badges").mkdir(exist_ok=True)
    (HERE / "loop.svg").write_text(loop(), encoding="utf-8")
    for name, words in BADGES.items():
        (HERE / "badges" / f"{name}.svg").write_text(badge(*words), encoding="utf-8")
