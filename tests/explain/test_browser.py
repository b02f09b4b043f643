"""The page in a real browser without a network: it is all there, nothing overflows, and it can be used by keyboard."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kawhi.explain.one_image import explain_image
from kawhi.explain.page import render
from kawhi.explain.settings import Settings
from kawhi.explain.training_step import explain_run
from tests.explain.browser import browser, find
from tests.explain.test_one_image import ODD

PAGES = ("worked", "odd", "one", "run", "uniform")
MANY = "\n\n".join(f"Step {i}: since <b>a</b> & b, $\\frac{{{i}}}{{2}} \\le x_{{{i}}}$." for i in range(1, 30))


@pytest.fixture(scope="module")
def files(tmp_path_factory, inspector, drawing, problem, training_run, uniform_run) -> dict[str, Path]:
    photograph = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), dtype=np.uint8))
    long_question = ODD.replace("<|image_pad|>", "") + "\n" + "Look at the figure. " * 40
    settings = Settings()
    made = {
        "worked": explain_image(inspector, settings, drawing, problem.question, title="a.png", text=problem.worked),
        "odd": explain_image(inspector, settings, photograph, long_question, title="b" * 200, text=MANY + "\n\n" + ODD),
        "one": explain_image(inspector, settings, drawing, "What?", title="c.png", text=problem.short),
        "run": explain_run(training_run.path, 1)[0],
        "uniform": explain_run(uniform_run.path)[0],
    }
    folder = tmp_path_factory.mktemp("pages")
    for name, explanation in made.items():
        (folder / f"{name}.html").write_text(render(explanation), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    program = find()
    if program is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with browser(program, tmp_path_factory.mktemp("browser") / "profile") as opened:
        yield opened


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_loaded_from_elsewhere(files, name):
    text = files[name].read_text(encoding="utf-8")
    loaded = re.findall(r"""(?:src|href|action|poster)\s*=\s*["']?([^"'\s>]+)|url\(([^)]+)\)|@import""", text)
    addresses = ["".join(found) for found in loaded]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_it_loads_without_network_and_nothing_overflows(page, files, name, width):
    page.requests.clear()
    page.errors.clear()
    page.open(files[name], width)
    assert page.run("innerWidth") == width
    assert page.run("document.documentElement.scrollWidth") <= width
    # Tables may scroll in a box of their own; text may not be cut off.
    outside = """[...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll, .unseen, template, svg")
        && !e.matches("html, head *") && e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML)"""
    assert page.run(outside) == []
    cut = '[...document.querySelectorAll(".paragraph, h1, dd")].filter(e => e.scrollWidth > e.clientWidth).length'
    assert page.run(cut) == 0
    assert page.errors == []
    assert all(address.startswith(("file:", "data:")) for address in page.requests)


def test_the_elements_are_there(page, files, problem):
    page.open(files["worked"], 1280)
    count = "document.querySelectorAll({!r}).length".format
    assert page.run('document.querySelector("h1").innerText').endswith(problem.question)
    assert page.run("[...document.querySelectorAll('.paragraph .text')].map(e => e.innerText)") == list(
        problem.paragraphs
    )
    for selector, expected in {
        "#regions .border": 1,
        "#regions .key": 1,
        "#regions .dot": 1,
        "#regions .legend li": 3,
        "#large-heat": 1,
        ".map": 4,
        ".heads tbody tr": 5,
        ".heads tbody tr:first-child td": 4,
        ".conditions tbody tr": 4,
        ".verdict": 1,
        ".chart svg path": 12,
        "details[open] dt": 3,
    }.items():
        assert (selector, page.run(count(selector))) >= (selector, expected)
    for text in ("α", "weight"):
        assert text in page.run(
            'document.querySelector(".paragraph").innerText + document.querySelector(".shades").innerText'
        )


@pytest.mark.parametrize("name", PAGES)
def test_ids_are_unique_and_everything_drawn_is_named(page, files, name):
    page.open(files[name], 1280)
    twice = "[...document.querySelectorAll('[id]')].map(e => e.id).filter((id, i, all) => all.indexOf(id) !== i)"
    assert page.run(twice) == []
    unnamed = """[...document.querySelectorAll("svg")].filter(e => e.getAttribute("aria-hidden") !== "true"
        && !e.getAttribute("aria-label") && !e.getAttribute("aria-labelledby")).length"""
    assert page.run(unnamed) == 0
    dangling = """[...document.querySelectorAll("[aria-labelledby]")].filter(
        e => !document.getElementById(e.getAttribute("aria-labelledby"))).length"""
    assert page.run(dangling) == 0


def test_text_with_markup_is_text(page, files):
    page.open(files["odd"], 1280)
    shown = page.run("[...document.querySelectorAll('.paragraph .text')].map(e => e.textContent)")
    assert shown == (MANY + "\n\n" + ODD).split("\n\n")
    assert page.run("document.querySelectorAll('.paragraph b, .paragraph script').length") == len(shown)  # the weights


SHOWN = "[document.getElementById('large-heat').getAttribute('href'), document.getElementById('readout').innerText]"


def heat_of(page, paragraph):
    return page.run(f"document.getElementById('heat-{paragraph}').getAttribute('href')")


def test_pointing_changes_the_heat_map(page, files):
    page.open(files["worked"], 1280)
    for number in (1, 2, 3, 4):
        page.point_at(f"#a1p{number}")
        address, readout = page.run(SHOWN)
        assert address == heat_of(page, f"a1p{number}")
        assert readout.startswith(f"Paragraph {number}")
        assert page.run("[...document.querySelectorAll('.paragraph.shown')].map(e => e.id)") == [f"a1p{number}"]
    page.point_at("h1")
    heaviest = page.run(
        "[...document.querySelectorAll('.paragraph')].sort((a, b) => b.querySelector('b').innerText"
        " - a.querySelector('b').innerText)[0].id"
    )
    assert page.run(SHOWN)[0] == heat_of(page, heaviest)  # nothing was pinned


def test_the_keyboard_does_all_of_it(page, files):
    page.open(files["run"], 390)
    page.run("document.querySelector('#a1p1').focus()")
    assert page.run(SHOWN)[0] == heat_of(page, "a1p1")
    page.press("ArrowDown")
    assert page.run("document.activeElement.id") == "a1p2"
    page.press("Enter")
    assert page.run("document.querySelector('#a1p2').getAttribute('aria-pressed')") == "true"
    for _ in range(3):
        page.press("ArrowDown")
    assert page.run("document.activeElement.id") == "a2p1"
    address, readout = page.run(SHOWN)
    assert address == heat_of(page, "a2p1")
    assert "weight 1.00" in readout
    page.press("ArrowUp")
    assert page.run("document.activeElement.id") == "a1p4"
    page.press("Tab")
    assert page.run("document.activeElement.id") == "a2p1"


def test_a_click_keeps_a_paragraph_and_another_lets_go(page, files):
    page.open(files["worked"], 1280)
    page.run("document.querySelector('#a1p2').click()")
    page.point_at("#a1p4")
    page.point_at("h1")
    assert page.run(SHOWN)[0] == heat_of(page, "a1p2")
    page.run("document.querySelector('#a1p3').click()")
    pressed = "[...document.querySelectorAll('[aria-pressed=true]')].map(e => e.id)"
    assert page.run(pressed) == ["a1p3"]
    page.run("document.querySelector('#a1p3').click()")
    assert page.run(pressed) == []


def test_overlays_can_be_hidden(page, files):
    page.open(files["worked"], 1280)
    for box, overlay in (("regions", "#regions .border"), ("heat", "#large-heat")):
        visibility = f"getComputedStyle(document.querySelector('{overlay}')).visibility"
        assert page.run(visibility) == "visible"
        page.run(f"document.querySelector('[data-toggles={box}]').click()")
        assert page.run(visibility) == "hidden"


def test_numbers_on_shades_can_be_read(page, files):
    """WCAG's contrast of at least 4.5 for every paragraph and every cell of the table of heads."""
    page.open(files["run"], 1280)
    contrasts = page.run(
        """[...document.querySelectorAll(".paragraph .text, .paragraph .numbers, .heads td")].map(e => {
        const value = colour => { const c = colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2]; };
        const under = value(getComputedStyle(e.closest(".paragraph, td")).backgroundColor);
        const [low, high] = [under, value(getComputedStyle(e).color)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05); })"""
    )
    assert len(contrasts) > 20
    assert min(contrasts) >= 4.5
