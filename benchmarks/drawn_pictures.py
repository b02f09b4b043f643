"""Drawn charts and diagrams, no two the same, and what becomes of a picture that is copied."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

Drawing = Callable[[np.random.Generator], Image.Image]
Change = Callable[[Image.Image, np.random.Generator], Image.Image]
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")


def chart(rng: np.random.Generator) -> Image.Image:
    """Bars, lines, points or a pie with titles and numbers of its own."""
    figure = Figure(figsize=(rng.uniform(3.5, 6), rng.uniform(2.5, 4.5)), dpi=100)
    axes = figure.subplots()
    count, series = int(rng.integers(3, 9)), int(rng.integers(1, 4))
    kind = rng.choice(["bars", "lines", "points", "pie"])
    for number in range(series):
        values, colour = rng.uniform(5, 100, count), COLOURS[int(rng.integers(len(COLOURS)))]
        if kind == "bars":
            axes.bar(np.arange(count) + 0.25 * number, values, 0.25, color=colour)
        elif kind == "lines":
            axes.plot(values, color=colour, marker="o")
        elif kind == "points":
            axes.scatter(rng.uniform(0, 100, 4 * count), rng.uniform(0, 100, 4 * count), color=colour)
    if kind == "pie":
        axes.pie(rng.uniform(5, 100, count), labels=[f"{n}" for n in rng.integers(1, 99, count)], colors=COLOURS)
    axes.set_title(f"Series {int(rng.integers(1000))}, {int(rng.integers(1950, 2025))}")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Image.open(buffer).convert("RGB")


def diagram(rng: np.random.Generator) -> Image.Image:
    """A few black lines, a circle and letters on white, as in a geometry problem."""
    width, height = int(rng.integers(200, 500)), int(rng.integers(180, 400))
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    corners = [(rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.9) * height) for _ in range(int(rng.integers(3, 7)))]
    draw.line([*corners, corners[0]], fill="black", width=2)
    for name, corner in zip("ABCDEFG", corners, strict=False):
        draw.text(corner, name, fill="black", font_size=18)
    if rng.random() < 0.5:
        x, y, radius = rng.uniform(0.3, 0.7) * width, rng.uniform(0.3, 0.7) * height, rng.uniform(0.1, 0.3) * height
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], outline="black", width=2)
    return image


def photograph(rng: np.random.Generator) -> Image.Image:
    """Soft patches of colour, as out of focus."""
    patches = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    size = int(rng.integers(250, 600)), int(rng.integers(200, 450))
    return patches.resize(size, Image.Resampling.BICUBIC)


def same(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.copy()


def resized(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """To between 0.4 and 1.6 times its size."""
    factor = rng.uniform(0.4, 1.6)
    return image.resize((round(factor * image.width), round(factor * image.height)), Image.Resampling.BILINEAR)


def recompressed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """As a JPEG of a quality between 20 and 90."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(20, 91)))
    return Image.open(buffer).convert("RGB")


def cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """To between 80 and 97 % of both sides, anywhere."""
    share = rng.uniform(0.8, 0.97)
    width, height = round(share * image.width), round(share * image.height)
    left, top = int(rng.integers(image.width - width + 1)), int(rng.integers(image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def all_three(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return recompressed(resized(cropped(image, rng), rng), rng)


DRAWINGS: dict[str, Drawing] = {"charts": chart, "diagrams": diagram, "photographs": photograph}
CHANGES: dict[str, Change] = {
    "exact copies": same,
    "resized": resized,
    "recompressed": recompressed,
    "cropped": cropped,
    "cropped, resized and recompressed": all_three,
}

_SHAPES = ("triangle", "rectangle", "trapezoid", "circle with a chord", "regular hexagon", "kite")
_ASKED = ("the perimeter", "the area", "the length of the longest side", "the smallest angle")
_GIVEN = ("one side is {} cm long", "one angle is {} degrees", "its height is {} cm", "a diagonal is {} cm long")


def question(rng: np.random.Generator) -> str:
    """Of one of some templates, with numbers of its own."""
    given = [str(rng.choice(_GIVEN)).format(int(rng.integers(2, 200))) for _ in range(2)]
    return f"In the {rng.choice(_SHAPES)} shown, {given[0]} and {given[1]}. What is {rng.choice(_ASKED)}?"


def with_typos(text: str, rng: np.random.Generator) -> str:
    """Two letters left out."""
    letters = [place for place, letter in enumerate(text) if letter.isalpha()]
    gone = rng.choice(letters, 2, replace=False)
    return "".join(letter for place, letter in enumerate(text) if place not in gone)


REWORDED: dict[str, Callable[[str, np.random.Generator], str]] = {
    "exact copies": lambda text, rng: text,
    "other case, spaces and punctuation": lambda text, rng: "<image>" + text.upper().replace(" ", "  ").rstrip("?"),
    "choices added": lambda text, rng: f"{text}\nChoices:\nA:12\nB:13\nC:14",
    "two letters lost": with_typos,
    "a few words added": lambda text, rng: f"Please solve. {text}",
}
