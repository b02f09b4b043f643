"""What the page says in words and curves, and the picture."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from kawhi.explain.content import Answer, Control, Explanation, Paragraph, Scene
from kawhi.explain.drawings import chart, heat_over, legend, marked, overlay, svg_uri
from kawhi.explain.page import render
from kawhi.explain.picture import draw
from kawhi.explain.words import caution, signed, verdict
from kawhi.probes.grounding import CONDITIONS, Comparison
from kawhi.style.overlays import image_uri

LIKELY = (-0.5, -1.0, -1.0, -0.5)
"""Log-prob per token under each condition, of an answer that was read."""


def made(
    blank: float | None,
    wrong: float | None,
    alphas: list[float],
    text: str = "One.",
    likely: Sequence[float] = LIKELY,
) -> Answer:
    orders = dict(zip(CONDITIONS, zip((1.0, blank, wrong, 0.0), likely, strict=True), strict=True))
    return Answer(
        "Greedy answer",
        [Paragraph(text, 3, 0.1 + 0.01 * i, a, [a, a, a], [a] * 4) for i, a in enumerate(alphas)],
        [Control(name, alphas, Comparison(0.1, order, True, 0.0, own)) for name, (order, own) in orders.items()],
    )


def explanation(*answers: Answer, size: tuple[int, int] = (56, 56), kept: tuple[int, ...] = (0, 2)) -> Explanation:
    image = image_uri(Image.new("RGB", size, "white"))
    scene = Scene(image, *size, 2, 2, [0, 0, 1, 1], [True, True, False, False], list(kept))
    return Explanation("a.png", "What is $x$?", scene, list(answers), [0, 2], "paragraph", "paragraph", 0.1)


@pytest.mark.parametrize(
    ("blank", "wrong", "alphas", "said"),
    [
        (0.8, 1.0, [0.1, 0.2, 0.3, 0.4], "the order hardly needs the image: rank correlation 0.80 with a blank"),
        (0.8, 1.0, [0.1, 0.2, 0.3, 0.4], "is no evidence of looking"),
        (0.9, 0.1, [0.1, 0.2, 0.3, 0.4], "is no evidence of looking"),
        (-0.2, 0.9, [0.1, 0.2, 0.3, 0.4], "needs an image, and not this one: rank correlation −0.20"),
        (-0.2, 0.0, [0.1, 0.2, 0.3, 0.4], "the order depends on the image"),
        (None, None, [0.1], "is one paragraph, so there is no order"),
        (0.0, 0.0, [0.0, 0.0], "All paragraphs have the same alpha"),
    ],
)
def test_the_verdict_says_what_the_controls_say(blank, wrong, alphas, said):
    assert said in verdict(made(blank, wrong, alphas), "paragraph")


def test_an_order_whose_first_is_another_one_without_the_image_needs_it():
    answer = made(0.8, 0.8, [0.1, 0.2, 0.3, 0.4])
    blank = answer.controls[1]
    moved = replace(blank, comparison=replace(blank.comparison, same_top=False))
    answer = replace(answer, controls=[answer.controls[0], moved, *answer.controls[2:]])
    assert "another paragraph comes first without the image, and the rest keeps its order" in verdict(
        answer, "paragraph"
    )


@pytest.mark.parametrize(
    ("likely", "said"),
    [
        (
            (-0.5, -0.5, -1.0, -0.5),
            "no likelier beside its own image (log-prob −0.50 per token) than beside a blank one",
        ),
        ((-0.5, -1.0, -0.4, -0.5), "than beside the wrong one (−0.40)"),
        ((-6.1, -6.2, -6.3, -6.1), "To this model the answer is very unlikely (log-prob −6.10 per token)"),
    ],
)
def test_what_a_model_did_not_read_is_not_said_to_depend_on_the_image(likely, said):
    told = verdict(made(-0.2, 0.0, [0.1, 0.2, 0.3, 0.4], likely=likely), "paragraph")
    assert said in told
    assert "the order depends on" not in told


def test_few_paragraphs_prove_little():
    assert "4 paragraphs have only 24 possible orders" in caution(made(1, 1, [0.1, 0.2, 0.3, 0.4]), "paragraph")
    assert caution(made(None, None, [0.1]), "paragraph") == ""
    assert caution(made(1, 1, [0.1] * 9), "paragraph") == ""


def test_numbers_have_a_minus_sign_and_zero_has_none():
    assert (signed(-0.1234), signed(-0.0001), signed(2, 1)) == ("−0.123", "0.000", "2.0")


@pytest.mark.parametrize("count", [1, 4, 30])
def test_the_chart_has_a_curve_for_each_condition(count):
    alphas = np.linspace(-0.3, 0.2, count).tolist()
    figure = chart(made(1, 1, alphas).controls, "paragraph")
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["true image", "blank image", "wrong image", "background only"]
    for line in axes.lines:
        assert list(line.get_xdata()) == list(range(1, count + 1))
        assert list(line.get_ydata()) == alphas
    shown = [tick for tick in axes.get_xticks() if 0.5 <= tick <= count + 0.5]
    assert 1 <= len(shown) <= 16
    assert all(tick == int(tick) for tick in shown)


def test_regions_are_marked_and_named():
    scene = explanation(kept=(0, 2)).scene
    assert {name: found.tolist() for name, found in marked(scene).items()} == {
        "key": [0, 1],
        "dots": [2],
        "crosses": [1],
    }
    names = [handle.get_label() for handle in legend(scene)]
    assert names == ["key region", "key region, left out", "background, kept", "region border"]
    assert [handle.get_label() for handle in legend(replace(scene, kept=[0, 1]))] == ["key region, kept", names[-1]]


def test_an_overlay_is_a_drawing_that_repeats():
    uris = {svg_uri(overlay(explanation().scene)) for _ in range(2)}
    assert len(uris) == 1
    drawn = base64.b64decode(uris.pop().removeprefix("data:image/svg+xml;base64,")).decode()
    for colour in ("#0072b2", "#d55e00", "#5f5f5f"):  # key regions and borders, a dot, a cross
        assert colour in drawn


def test_heat_leaves_the_drawing_visible():
    image = Image.fromarray(np.array([[[255] * 3, [0] * 3]], dtype=np.uint8))
    white, black = np.asarray(heat_over(image, np.array([[0.4]]), 0.4))[0].astype(int)
    assert white.tolist() == [0xD5, 0x5E, 0x00]
    assert np.abs(black - 0.45 * white).max() <= 1


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
    scene = Scene(image_uri(Image.new("RGB", (56, 56))), 56, 56)
    found = replace(explanation(answer), heads=[], scene=scene, w_min=0.0)
    draw(found, tmp_path / "uniform.png")
    page = render(found)
    assert "reward 1 · advantage −0.50" in page
    for absent in ("α", "large-heat", "Alpha of each head", 'role="button"'):
        assert absent not in page.partition("<body>")[2].partition("<script>")[0]
