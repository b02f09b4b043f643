"""The samples page in a real browser without a network."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from kawhi.evaluation.browser.gather import gather
from kawhi.evaluation.browser.page import render
from tests.evaluation.browser.conftest import MANY
from tests.evaluation.made import HOSTILE, MADE, TINY, make_run, of, responses, sample


@pytest.fixture
def page(tab, files):
    """The page of the run, on its first sample, wide; afterwards nothing may have been requested or complained of."""
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])
    tab.requests.clear()
    tab.errors.clear()
    tab.open(files["run"], 1280)
    yield tab
    assert tab.errors == []
    assert all(address.startswith(("file:", "data:")) for address in tab.requests)


def listed(page):
    return page.run("[...document.querySelectorAll('.row .id')].map(e => e.textContent)")


def named(page):
    return page.run("document.getElementById('name').textContent")


def choose(page, box, value):
    page.run(
        f"(() => {{ const box = document.getElementById({box!r}); box.value = {json.dumps(value)}; "
        "box.dispatchEvent(new Event('change')); })()"
    )


def search(page, words):
    page.run(
        f"(() => {{ const box = document.getElementById('words'); box.value = {json.dumps(words)}; "
        "box.dispatchEvent(new Event('input')); })()"
    )
    page.wait(400)


def typed(page, key):
    page.run(
        "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', "
        f"{{key: {json.dumps(key)}, bubbles: true, cancelable: true}}))"
    )


def test_all_samples_are_listed_and_the_first_is_shown(page):
    assert listed(page) == [*(f"made {i}" for i in range(7)), *(f"tiny {i}" for i in range(4))]
    assert named(page) == "kawhi_made / 0"
    assert page.run("document.getElementById('found').textContent") == "11 of 11 samples"


@pytest.mark.parametrize(
    ("verdict", "ids"),
    [
        ("right", ["made 0", "made 1", "tiny 0"]),
        ("wrong", ["made 2", "made 4", "made 5", "made 6", "tiny 1", "tiny 2", "tiny 3"]),
        ("partly", ["made 3"]),
        ("error", []),
        ("open", []),
    ],
)
def test_filter_by_verdict(page, verdict, ids):
    choose(page, "verdict", verdict)
    assert listed(page) == ids
    assert (f"/ {ids[0].split()[1]}" if ids else "No sample matches") in named(page)


def test_judge_errors_and_open_samples_can_be_found(tab, files, tmp_path):
    failed = [replace(sample(MADE, 0, "It is 1", "nonsense")), replace(sample(MADE, 1, "It is 2"), score=None)]
    run = make_run(tmp_path, **{MADE: [*failed, sample(MADE, 2, "It is 3", "0")]})
    (of(run, MADE).path / "score.json").unlink()
    (tmp_path / "page.html").write_text(render(gather(run.run.evaluations())))
    tab.open(tmp_path / "page.html", 1280)
    for verdict, ids in (("error", ["made 0"]), ("open", ["made 1"])):
        choose(tab, "verdict", verdict)
        assert listed(tab) == ids
    choose(tab, "verdict", "error")
    said = tab.run("document.querySelector('.reply').innerText")
    assert "nonsense" in said
    assert "the judge replied neither 0, 0.5 nor 1" in said
    assert tab.run("[...document.querySelectorAll('header tbody td')].map(e => e.textContent)")[1:3] == ["–", "–"]


def test_filters_are_combined_and_cleared(page):
    choose(page, "task", TINY)
    assert listed(page) == [f"tiny {i}" for i in range(4)]
    page.run("document.getElementById('truncated').click()")
    assert listed(page) == ["tiny 2"]
    choose(page, "task", "")
    assert listed(page) == ["made 4", "tiny 2"]
    assert named(page) == "kawhi_tiny / 2"  # it stays while it matches
    page.run("document.getElementById('clear').click()")
    assert len(listed(page)) == 11
    page.run("document.getElementById('differs').click()")
    assert listed(page) == ["made 1", "made 3"]


@pytest.mark.parametrize(
    ("words", "ids"),
    [("PERHAPS 7", ["made 4"]), ("onerror=", ["made 2"]), ("look at the image", None), ("nowhere", [])],
)
def test_text_search(page, words, ids):
    search(page, words)
    assert listed(page) == (
        ids if ids is not None else [*(f"made {i}" for i in range(7)), *(f"tiny {i}" for i in range(4))]
    )


def test_next_and_previous_by_keyboard_and_by_button(page):
    for key, number in zip(
        ("j", "ArrowDown", "ArrowRight", "k", "ArrowUp", "ArrowLeft", "k"), (1, 2, 3, 2, 1, 0, 0), strict=True
    ):
        typed(page, key)
        assert named(page) == f"kawhi_made / {number}"
        assert page.run("document.querySelector('[aria-selected=true] .id').textContent") == f"made {number}"
    page.run("document.getElementById('next').click()")
    assert named(page) == "kawhi_made / 1"
    page.run("document.getElementById('previous').click()")
    assert page.run("document.getElementById('previous').disabled")
    page.run("document.getElementById('words').focus()")
    typed(page, "j")
    assert named(page) == "kawhi_made / 0"  # j is a letter there


def test_a_hostile_response_is_text(page):
    choose(page, "verdict", "")
    page.run("location.hash = '#kawhi_made/2'")
    page.wait()
    assert named(page) == "kawhi_made / 2"
    shown = page.run("[...document.querySelectorAll('.response p')].map(e => e.textContent)")
    assert shown == [part for part in re.split(r"\n\n+", HOSTILE) if part]
    assert page.run("document.querySelector('.response mark').textContent") == "<i>4</i>"
    assert page.run("[...document.querySelectorAll('.response *')].map(e => e.tagName)") == ["P", "P", "P", "MARK"]
    assert page.run("window.broken === undefined")


def test_even_markup_that_got_in_could_not_run(page):
    page.run("document.getElementById('content').innerHTML = `<img src=x onerror='window.broken = 1'>`")
    page.wait()
    assert page.run("window.broken === undefined")
    assert all("Content Security Policy" in error for error in page.errors)
    assert page.errors
    page.errors.clear()


def test_the_image_is_beside_the_answer(page):
    page.run("document.querySelector('.pictures img').decode()")
    size = page.run("(() => { const i = document.querySelector('.pictures img'); return [i.naturalWidth, i.alt]; })()")
    assert size == [168, "Image 1 of 1"]
    left, right = page.run(
        "['.pictures', '.response'].map(s => { const r = document.querySelector(s).getBoundingClientRect(); "
        "return [r.left, r.right]; })"
    )
    assert left[1] <= right[0]


def test_everything_that_is_known_about_a_sample_is_shown(page):
    choose(page, "verdict", "partly")
    said = page.run("document.getElementById('sample').textContent")
    wanted = responses()[MADE][3]
    for text in (
        wanted.facts["question"], wanted.facts["answer"], wanted.prompt, "◐ partly", "rule 1", "score 0.5",
        f"{wanted.tokens} tokens", "finish: stop", "judge judge-a", "0.5", "whole", wanted.facts["task"],
    ):  # fmt: skip
        assert text in said
    assert page.run("document.querySelector('.response mark').textContent") == wanted.extraction
    assert page.run("document.querySelectorAll('.response p').length") == 3


@pytest.mark.parametrize(("address", "name"), [(f"#{TINY}/2", f"{TINY} / 2"), (f"#{TINY}/99", f"{MADE} / 0")])
def test_a_deep_link_opens_its_sample(page, files, address, name):
    page.call("Page.navigate", url="about:blank")
    page.wait()
    page.call("Page.navigate", url=files["run"].resolve().as_uri() + address)
    page.wait(500)
    assert named(page) == name


def test_a_link_to_a_sample_that_is_filtered_out_clears_the_filters(page):
    choose(page, "task", MADE)
    page.run(f"location.hash = '#{TINY}/1'")
    page.wait()
    assert named(page) == f"{TINY} / 1"
    assert page.run("document.getElementById('task').value") == ""


def test_an_id_with_odd_characters_has_an_address(tab, files):
    tab.open(files["odd"], 1280)
    assert named(tab) == f"{MADE} / p/1 %zz <b>"
    address = tab.run("location.hash")
    typed(tab, "j")
    assert "was not kept or cannot be decoded" in tab.run("document.querySelector('.pictures').textContent")
    tab.run(f"location.hash = {json.dumps(address)}")
    tab.wait()
    assert named(tab) == f"{MADE} / p/1 %zz <b>"


def test_the_header_has_the_rates(page):
    rows = page.run(
        "[...document.querySelectorAll('header tbody tr')].map(r => [...r.children].map(c => c.textContent))"
    )
    assert rows == [
        [MADE, "7", "35.71", "28.57", "14.3 %", "14.3 %", "0"],
        [TINY, "4", "25.00", "25.00", "25.0 %", "25.0 %", "0"],
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_overflows_and_text_can_be_read(page, files, width, scheme):
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.open(files["run"], width)
    assert page.overflow() <= 0
    contrasts = page.contrasts(".tag, .said, .id, .row p, h2, h3, .kicker, th, td, label, mark")
    assert len(contrasts) > 40
    assert min(contrasts) >= 4.5


def test_everything_that_can_be_used_has_a_name(page):
    unnamed = """[...document.querySelectorAll("input, select, button, img, [role=listbox], [role=region], section")]
        .filter(e => !(e.textContent.trim() && e.matches("button")) && !e.closest("label")
        && !e.getAttribute("aria-label") && !document.getElementById(e.getAttribute("aria-labelledby")) && !e.alt)
        .map(e => e.outerHTML)"""
    assert page.run(unnamed) == []
    assert page.unlabelled() == []


def test_thousands_of_samples_do_not_freeze_it(page, files):
    page.open(files["many"], 1280)
    assert page.run("document.getElementById('found').textContent") == f"{MANY} of {MANY} samples"
    assert len(listed(page)) < 60
    seconds = page.run(
        "(() => { const start = performance.now(); for (let i = 0; i < 100; i++) go(place + 1); "
        "return (performance.now() - start) / 1000; })()"
    )
    assert named(page) == f"{TINY} / 100"
    assert seconds < 5  # a tenth of it here; the limit is that of a busy machine
    search(page, "boxed{3999}")
    assert listed(page) == ["tiny 3999"]
    search(page, "")
    page.run("document.getElementById('list').scrollTop = 1e9")
    page.wait()
    assert "tiny 3999" in listed(page)
