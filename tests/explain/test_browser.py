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
from tests.explain.test_one_image import ODD

PAGES = ("worked", "odd", "one", "run", "uniform", "tor")
MANY = "\n\n".join(f"Step {i}: since <b>a</b> & b, $\\frac{{{i}}}{{2}} \\le x_{{{i}}}$." for i in range(1, 30))


@pytest.fixture(scope="module")
def files(tmp_path_factory, inspector, drawing, problem, training_run, uniform_run, tor_run) -> dict[str, Path]:
    photograph = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), dtype=np.uint8))
    long_question = ODD.replace("<|image_pad|>", "") + "\n" + "Look at the figure. " * 40
    settings = Settings()
    made = {
        "worked": explain_image(inspector, settings, drawing, problem.question, title="a.png", text=problem.worked),
        "odd": explain_image(inspector, settings, photograph, long_question, title="b" * 200, text=MANY + "\n\n" + ODD),
        "one": explain_image(inspector, settings, drawing, "What?", title="c.png", text=problem.short),
        "run": explain_run(training_run.path, 1)[0],
        "uniform": explain_run(uniform_run.path)[0],
        "tor": explain_run(tor_run.path, 2)[0],
    }
    folder = tmp_path_factory.mktemp("pages")
    for name, explanation in made.items():
        (folder / f"{name}.html").write_text(render(explanation), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_loaded_from_elsewhere(files, name):
    text = files[name].read_text(encoding="utf-8")
    loaded = re.findall(r"""(?:src|href|action|poster)\s*=\s*["']?([^"'\s>]+)|url\(([^)]+)\)|@import""", text)
    addresses = ["".join(found) for found in loaded]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_it_loads_without_network_nothing_overflows_and_everything_drawn_is_named(tab, files, name, width):
    tab.requests.clear()
    tab.errors.clear()
    tab.open(files[name], width)
    assert tab.run("innerWidth") == width
    assert tab.overflow() <= 0
    # Tables may scroll in a box of their own; text may not be cut off.
    outside = """[...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll, .unseen, template, svg")
        && !e.matches("html, head *") && e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML)"""
    assert tab.run(outside) == []
    cut = '[...document.querySelectorAll(".paragraph, h1, dd")].filter(e => e.scrollWidth > e.clientWidth).length'
    assert tab.run(cut) == 0
    assert tab.unlabelled() == []
    unnamed = """[...document.querySelectorAll("svg")].filter(e => e.getAttribute("aria-hidden") !== "true"
        && !e.getAttribute("aria-label") && !e.getAttribute("aria-labelledby")).length"""
    assert tab.run(unnamed) == 0
    assert tab.errors == []
    assert all(address.startswith(("file:", "data:")) for address in tab.requests)


def test_the_elements_are_there(tab, files, problem):
    tab.open(files["worked"], 1280)
    count = "document.querySelectorAll({!r}).length".format
    assert tab.run('document.querySelector("h1").innerText').endswith(problem.question)
    assert tab.run("[...document.querySelectorAll('.paragraph .text')].map(e => e.innerText)") == list(
        problem.paragraphs
    )
    for selector, expected in {
        "#regions .overlay": 1,
        "#regions .legend li": 3,
        "#large-heat": 1,
        ".map": 4,
        ".heads tbody tr": 5,
        ".heads tbody tr:first-child td": 4,
        ".conditions tbody tr": 4,
        ".verdict": 1,
        ".chart img": 1,
        "details[open] dt": 3,
    }.items():
        assert (selector, tab.run(count(selector))) >= (selector, expected)
    for text in ("α", "weight"):
        assert text in tab.run(
            'document.querySelector(".paragraph").innerText + document.querySelector(".shades").innerText'
        )


def test_text_with_markup_is_text(tab, files):
    tab.open(files["odd"], 1280)
    shown = tab.run("[...document.querySelectorAll('.paragraph .text')].map(e => e.textContent)")
    assert shown == (MANY + "\n\n" + ODD).split("\n\n")
    assert tab.run("document.querySelectorAll('.paragraph b, .paragraph script').length") == len(shown)  # the weights


SHOWN = "[document.getElementById('large-heat').getAttribute('href'), document.getElementById('readout').innerText]"


def heat_of(tab, paragraph):
    return tab.run(f"document.getElementById('heat-{paragraph}').getAttribute('href')")


def test_pointing_changes_the_heat_map(tab, files):
    tab.open(files["worked"], 1280)
    for number in (1, 2, 3, 4):
        tab.point_at(f"#a1p{number}")
        address, readout = tab.run(SHOWN)
        assert address == heat_of(tab, f"a1p{number}")
        assert readout.startswith(f"Paragraph {number}")
        assert tab.run("[...document.querySelectorAll('.paragraph.shown')].map(e => e.id)") == [f"a1p{number}"]
    tab.point_at("h1")
    heaviest = tab.run(
        "[...document.querySelectorAll('.paragraph')].sort((a, b) => b.querySelector('b').innerText"
        " - a.querySelector('b').innerText)[0].id"
    )
    assert tab.run(SHOWN)[0] == heat_of(tab, heaviest)  # nothing was pinned


def test_the_keyboard_does_all_of_it(tab, files):
    tab.open(files["run"], 390)
    tab.run("document.querySelector('#a1p1').focus()")
    assert tab.run(SHOWN)[0] == heat_of(tab, "a1p1")
    tab.press("ArrowDown")
    assert tab.run("document.activeElement.id") == "a1p2"
    tab.press("Enter")
    assert tab.run("document.querySelector('#a1p2').getAttribute('aria-pressed')") == "true"
    for _ in range(3):
        tab.press("ArrowDown")
    assert tab.run("document.activeElement.id") == "a2p1"
    address, readout = tab.run(SHOWN)
    assert address == heat_of(tab, "a2p1")
    assert "weight 1.00" in readout
    tab.press("ArrowUp")
    assert tab.run("document.activeElement.id") == "a1p4"
    tab.press("Tab")
    assert tab.run("document.activeElement.id") == "a2p1"


def test_a_click_keeps_a_paragraph_and_another_lets_go(tab, files):
    tab.open(files["worked"], 1280)
    tab.run("document.querySelector('#a1p2').click()")
    tab.point_at("#a1p4")
    tab.point_at("h1")
    assert tab.run(SHOWN)[0] == heat_of(tab, "a1p2")
    tab.run("document.querySelector('#a1p3').click()")
    pressed = "[...document.querySelectorAll('[aria-pressed=true]')].map(e => e.id)"
    assert tab.run(pressed) == ["a1p3"]
    tab.run("document.querySelector('#a1p3').click()")
    assert tab.run(pressed) == []


def test_overlays_can_be_hidden(tab, files):
    tab.open(files["worked"], 1280)
    for box, overlay in (("regions", "#regions .overlay"), ("heat", "#large-heat")):
        visibility = f"getComputedStyle(document.querySelector('{overlay}')).visibility"
        assert tab.run(visibility) == "visible"
        tab.run(f"document.querySelector('[data-toggles={box}]').click()")
        assert tab.run(visibility) == "hidden"


@pytest.mark.parametrize("name", ["run", "tor"])
def test_numbers_and_words_on_shades_can_be_read(tab, files, name):
    tab.open(files[name], 1280)
    contrasts = tab.contrasts(".paragraph .text, .paragraph .numbers, .heads td, .strip span")
    assert len(contrasts) > 20
    assert min(contrasts) >= 4.5
