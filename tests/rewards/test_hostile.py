"""Answers that mean harm: bounded in time and memory, worth nothing, and the next answer is judged as ever."""

from __future__ import annotations

import time

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kawhi.rewards import chart, math
from kawhi.rewards.answers import judge
from kawhi.rewards.limits import MAX_CHARACTERS, MEMORY_BYTES

# Only against what hangs: a refusal and a restart take a second, on a busy machine many.
SECONDS = 300

MEGABYTES = {
    "braces": "{" * 600_000,
    "closed braces": "{" * 300_000 + "}" * 300_000,
    "boxes": "\\boxed{" * 60_000,
    "closed boxes": "\\boxed{5}" * 50_000 + "\\boxed{" + "6" * 300_000 + "}",
    "fractions": "\\frac{1}{" * 50_000 + "1" + "}" * 50_000,
    "digits": "1" * 600_000,
    "think": "<think>" * 100_000,
}
TOWERS = [
    "10**10**10",
    "10^{10^{10}}",
    "10^10^10",
    "9^{9^{9^{9}}}",
    "9^9^9^9",
    "2^{2^{2^{2^{2^{2}}}}}",
    "(10^{8})!",
    "((9!)!)!",
    r"\binom{10^9}{5 \cdot 10^8}",
    r"\prod_{i=1}^{100000000} i",
    r"\sum_{i=1}^{10^9} i^i",
    "(x+1)^{100000}",
    "2^{2^{33}}",
]
DEEP = [
    r"\frac{1}{" * 90 + "2" + "}" * 90,
    r"\sqrt{" * 140 + "2" + "}" * 140,
    "(" * 450 + "1" + ")" * 450,
    "{" * 450 + "1" + "}" * 450,
    "{" * 900,
    "-" * 900 + "1",
    "1" + "+1" * 450,
    r"\left(" * 150,
    r"\begin{matrix}" * 60,
]
CHAINS = [r"5\approx" * 120 + "6", "1=" * 450 + "6", "5," * 450 + "6", "5 or " * 190 + "6", "A or B " * 140]
ODD = [
    "9" * 990,
    "1e400",
    "1e9999",
    "∞",
    r"\infty",
    r"-\infty",
    "NaN",
    "nan",
    r"\text{NaN}",
    "1/0",
    r"\frac{0}{0}",
    "0^{-1}",
    "5\x00",
    "\x00",
    "\ud800",
    "5\udfff",
    "５",
    "٥",
    "٣+٢",
    "½",
    "²",
    "\u202e5",
    "$$",
    "\\",
    "%",
    "=",
    r"\text{",
    "}{",
]
CODE = [
    "__import__('os').system('touch {mark}')",
    "__import__('pathlib').Path('{mark}').touch()",
    "open('{mark}', 'w')",
    r"\text{{__import__('os').system('touch {mark}')}}",
    "5 if __import__('os').system('touch {mark}') else 5",
    "(lambda: open('{mark}', 'w'))()",
    'exec(\'open("{mark}","w")\')',
    "$(touch {mark})",
    r"\input{{{mark}}}",
    r"\write18{{touch {mark}}}",
]


@pytest.fixture
def bounded(box):
    """Holds a test to the time, the child to the memory, and the next answer to the verdict it deserves."""
    start = time.monotonic()
    yield
    assert judge("5.0 cm", "5", box=box) == "right"
    assert box.compare([("5", r"\frac{10}{2}")]) == "right"
    assert time.monotonic() - start < SECONDS
    assert psutil.Process(box._child.pid).memory_info().vms < MEMORY_BYTES * 3 // 2


@pytest.mark.slow
@pytest.mark.parametrize("answer", [*TOWERS, *DEEP, *ODD, *CHAINS])
def test_score_nothing(answer, box, bounded, monkeypatch):
    """What the checks before the child stop, or make another formula of, does no harm behind them either."""
    seen, compare = [], box.compare
    monkeypatch.setattr(box, "compare", lambda pairs, close=(): seen.extend(pairs) or compare(pairs, close))
    assert judge(answer, "5", box=box) in ("wrong", "refused")
    if answer not in CHAINS and ("5", answer) not in seen:  # of a chain the child itself would take any side
        assert compare([("5", answer)]) in ("wrong", "refused")


@pytest.mark.parametrize("truth", ["(2, 3)", "x^2 + 1 = 0", "[1, 2)"])
@pytest.mark.parametrize("answer", ["10^{10^{10}}", "x = 9^{9^{9}}", r"(9^{9^{9^{9}}}, 3)"])
def test_towers_inside_structures(answer, truth, box, bounded):
    assert judge(answer, truth, box=box) in ("wrong", "refused")


@pytest.mark.parametrize("program", CODE)
def test_code_is_not_run(program, box, bounded, tmp_path):
    mark = tmp_path / "mark"
    answer = program.format(mark=mark)
    assert judge(answer, "5", box=box) in ("wrong", "refused")
    assert box.compare([("5", answer)]) in ("wrong", "refused")
    assert not mark.exists()


@pytest.mark.parametrize("name", MEGABYTES)
def test_megabytes(name):
    start = time.monotonic()
    for response in (MEGABYTES[name], f"<think></think>\\boxed{{{MEGABYTES[name]}}}", f"\\boxed{{{MEGABYTES[name]}"):
        for reward in (math, chart):
            assert reward.compute_score("hostile", response, "6")["acc"] == 0.0
    assert math.compute_score("hostile", f"{MEGABYTES[name]} \\boxed{{6}}", "6")["acc"] == 1.0
    assert time.monotonic() - start < SECONDS


def test_refusals_are_counted(box):
    before = box.refusals.copy()
    assert judge("1" * (MAX_CHARACTERS + 1), "5", box=box) == "refused"
    assert judge("５", "5", box=box) == "refused"
    assert judge("10^{10^{10}}", "5", box=box) == "refused"
    assert box.refusals - before == {"too long": 1, "characters": 1, "CPU time": 1}


def test_a_refusal_shows_in_the_score():
    assert math.compute_score("hostile", "\\boxed{５}", "5") == {
        "score": 0.0,
        "acc": 0.0,
        "format": 0.0,
        "refused": 1.0,
    }


@given(st.text(max_size=200), st.text(max_size=30).filter(str.strip))
@settings(deadline=None, max_examples=60)
def test_any_response_and_any_ground_truth_have_a_score(response, truth):
    for reward in (math, chart):
        assert reward.compute_score("any", f"\\boxed{{{response}}}", truth)["score"] in (0.0, 1.0)


@pytest.mark.parametrize(
    "piece",
    ["a ", "5 a ", "1 ", r"\text{a} ", r"\text{", "$", "=", "x=", r"\approx ", "1,234", "123,", "^", r"\pi ", "A,",
     "(A) ", "A and ", r"\, ", "%", "1e", "√(", "a/", "_{", "**", "`", "f(1", "the ", "answer is ", "million ",
     "about "],
)  # fmt: skip
def test_preparation_takes_no_time(piece, box):
    """Its regular expressions run outside the child."""
    for answer in ((piece * MAX_CHARACTERS)[: MAX_CHARACTERS - 1] + tail for tail in "!5} "):
        start = time.process_time()
        judge(answer, "Yes, no word like this", {"A": "no", "B": "yes"}, box)
        assert time.process_time() - start < 1
