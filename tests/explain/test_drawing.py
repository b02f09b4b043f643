"""What the page says in words and curves, and the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kawhi.explain.condition_chart import profile, signed, ticks
from kawhi.explain.content import Answer, Control, Explanation, Paragraph, Scene
from kawhi.explain.page import render
from kawhi.explain.picture import draw
from kawhi.explain.verdict import caution, verdict
from kawhi.probes.grounding import CONDITIONS, Comparison
from kawhi.style.lettering import width, wrapped
from kawhi.style.overlays import image_uri


def made(blank: float | None, wrong: float | None, alphas: list[float], text: str = "One.") -> Answer:
    orders = dict(zip(CONDITIONS, (1.0, blank, wrong, 0.0), strict=True))
    return Answer(
        "Greedy answer",
        [Paragraph(text, 3, 0.1 + 0.01 * i, a, [a, a, a], [a] * 4) for i, a in enumerate(alphas)],
        [Control(name, alphas, Comparison(0.1, order, True, 0.0, -1.0)) for name, order in orders.items()],
    )


def explanation(*answers: Answer, size: tuple[int, int] = (56, 56)) -> Explanation:
    scene = Scene(
        image_uri(Image.new("RGB", size, "white")), *size, 2, 2, [0, 0, 1, 1], [True, True, False, False], [0, 2]
    )
    return Explanation("a.png", "What is $x$?", scene, list(answers), [0, 2], "paragraph", "paragraph", 0.1)


@pytest.mark.parametrize(
    ("blank", "wrong", "alphas", "said"),
    [
        (0.8, 1.0, [0.1, 0.2, 0.3, 0.4], "the order hardly depends on the image: rank correlation 0.80 with a blank"),
        (0.8, 1.0, [0.1, 0.2, 0.3, 0.4], "is no evidence of looking"),
        (-0.2, 0.9, [0.1, 0.2, 0.3, 0.4], "survives one of the two: rank correlation −0.20"),
        (-0.2, 0.0, [0.1, 0.2, 0.3, 0.4], "the order depends on the image"),
        (None, None, [0.1], "is one paragraph, so there is no order"),
        (0.0, 0.0, [0.0, 0.0], "All paragraphs have the same alpha"),
    ],
)
def test_the_verdict_says_what_the_controls_say(blank, wrong, alphas, said):
    assert said in verdict(made(blank, wrong, alphas), "paragraph")


def test_few_paragraphs_prove_little():
    assert "4 paragraphs have only 24 possible orders" in caution(made(1, 1, [0.1, 0.2, 0.3, 0.4]), "paragraph")
    assert caution(made(None, None, [0.1]), "paragraph") == ""
    assert caution(made(1, 1, [0.1] * 9), "paragraph") == ""


@given(low=st.floats(-1, 1), span=st.floats(0, 2))
def test_ticks_are_few_and_cover(low, span):
    found = ticks(low, low + span)
    assert found[0] <= low + 1e-6
    assert found[-1] >= low + span - 1e-6
    assert 2 <= len(found) <= 7


def test_numbers_have_a_minus_sign_and_zero_has_none():
    assert (signed(-0.1234), signed(-0.0001), signed(2, 1)) == ("−0.123", "0.000", "2.0")


@pytest.mark.parametrize("count", [1, 4, 30])
def test_the_chart_stays_in_its_frame(count):
    chart = profile(made(1, 1, list(np.linspace(-0.3, 0.2, count))).controls)
    assert 1 <= len(chart["columns"]) <= 15
    for line in chart["lines"]:
        points = [tuple(map(float, point.split())) for point in line["path"][1:].split("L")]
        assert len(points) == count
        assert all(chart["left"] <= x <= chart["right"] and 0 <= y <= chart["bottom"] for x, y in points)


texts = st.text(st.sampled_from("ab Wil.\n 图中的 $\\{}\t"), max_size=120)


@given(text=texts)
def test_lines_fit_and_nothing_is_lost(text):
    lines = wrapped(text, 1.0, 9)
    assert all(width(line, 9) <= 1.0 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(text=texts, most=st.integers(1, 3))
def test_what_does_not_fit_ends_in_an_ellipsis(text, most):
    lines = wrapped(text, 1.0, 9, most=most)
    assert len(lines) <= most
    assert all(width(line, 9) <= 1.0 for line in lines)
    assert (len(wrapped(text, 1.0, 9)) > most) == lines[-1].endswith("…")


def pixels(file):
    return np.asarray(Image.open(file).convert("RGB")).astype(int)


def test_the_picture_repeats_and_shows_weights(tmp_path):
    found = explanation(made(1, 1, [0.1, 0.2, 0.3]))
    for name in ("first", "second"):
        draw(found, tmp_path / f"{name}.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    drawn = pixels(tmp_path / "first.png")
    assert drawn.shape[1] == 2000
    orange = (np.abs(drawn - [0xE6, 0x9F, 0x00]) < 3).all(axis=-1)
    assert orange.sum() > 10_000  # the heaviest paragraph, in full colour


@pytest.mark.parametrize("size", [(28, 560), (1120, 28)])
def test_pictures_of_odd_shapes_text_and_length(tmp_path, size, recwarn):
    text = "图 $\\frac{1}{2$ \x00\x1b " + "W" * 500
    draw(explanation(made(1, 1, [0.1] * 12, text), made(None, None, [0.2]), size=size), tmp_path / "odd.png")
    assert pixels(tmp_path / "odd.png").std() > 5
    assert not [w for w in recwarn if "missing from font" in str(w.message)]


def test_a_method_without_alpha_has_neither_columns_nor_heat(tmp_path):
    answer = Answer("Response 1 of 1", [Paragraph("One.", 3, 1.0)], reward=1.0, advantage=-0.5)
    found = replace(
        explanation(answer), heads=[], scene=Scene(image_uri(Image.new("RGB", (56, 56))), 56, 56), w_min=0.0
    )
    draw(found, tmp_path / "uniform.png")
    page = render(found)
    assert "reward 1 · advantage −0.50" in page
    for absent in ("α", "large-heat", "Alpha of each head", 'role="button"'):
        assert absent not in page.partition("<body>")[2].partition("<script>")[0]
