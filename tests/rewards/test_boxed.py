"""The tiny world's reward."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kawhi.rewards.boxed import boxed_answer, compute_score, is_correct


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"So the answer is \boxed{12}.", "12"),
        (r"\boxed{ 12 }", "12"),
        (r"\boxed{1} no, \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{3} no, \boxed{\sqrt{4}}", r"\sqrt{4}"),
        (r"\boxed{\boxed{7}}", "7"),
        (r"\boxed{5} and then it was cut off: \boxed{6", "5"),
        (r"\boxed{}", ""),
        ("\\boxed{1\n2}", "1\n2"),
        (r"\boxed 12", None),
        (r"\boxed{12", None),
        ("boxed{12}", None),
        ("12", None),
        ("", None),
    ],
)
def test_last_closed_box(response, answer):
    assert boxed_answer(response) == answer


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.text(alphabet="ab\n{} .", max_size=20))
def test_exact_match_decides(shown, expected, before):
    response = f"{before}\n\\boxed{{{shown}}}"
    assert is_correct(response, str(expected)) is (shown == expected)
    score = compute_score("tiny", response, f" {shown} ", extra_info={"index": 0})
    assert score == {"score": 1.0, "acc": 1.0}


def test_no_box_no_reward():
    assert compute_score("tiny", "The answer is 12.", "12") == {"score": 0.0, "acc": 0.0}
    assert not is_correct("The answer is 12.", "12")
    assert not is_correct(r"\boxed{12.0}", "12")  # exact match: no numeric tolerance


@st.composite
def balanced(draw, depth=3):
    inner = st.text(alphabet="ab1\\^_ .,", max_size=6).filter(lambda text: not text.endswith("\\"))
    parts = draw(st.lists(inner, max_size=3))
    if depth:
        parts = [part + "{" + draw(balanced(depth - 1)) + "}" for part in parts]
    return "".join(parts)


@given(balanced(), st.text(max_size=20))
def test_balanced_content_comes_back(content, before):
    assert boxed_answer(f"{before} \\boxed{{{content}}}") == content.strip()


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left\{ 1 \right.}", r"\left\{ 1 \right."),  # an escaped brace needs no partner
        (r"} \boxed{5} {", "5"),
        (r"\boxed{a{b}", None),
        (r"\boxed{a \boxed{b} c", "b"),
    ],
)
def test_braces_that_latex_does_not_match(response, answer):
    assert boxed_answer(response) == answer


@pytest.mark.parametrize("piece", ["{", "}", "\\boxed{", "\\boxed{{", "\\boxed{}", "{}", "\\{", "\\"])
def test_megabytes_take_linear_time(piece):
    response = piece * (1_000_000 // len(piece))
    start = time.process_time()
    boxed_answer(response)
    assert boxed_answer(r"\boxed{7}" + response.replace("}", ")").replace("{", "(")) == "7"
    assert time.process_time() - start < 10
