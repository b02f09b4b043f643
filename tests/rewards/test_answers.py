"""Is an answer the ground truth?  ``answer_pairs.yaml`` says what a fair grader would say."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kawhi.rewards.answers import is_words, judge
from kawhi.rewards.choices import known_choices
from kawhi.rewards.response import chosen
from kawhi.rewards.sandbox import shared

GROUPS = yaml.safe_load((Path(__file__).parent / "answer_pairs.yaml").read_text(encoding="utf-8"))


def test_pairs(box):
    """Every pair of the table; those that are judged otherwise are named together."""
    differ = [
        f"{group['kind']}: {answer!r} for {truth!r} is {found}"
        for group in GROUPS
        for verdict in ("right", "wrong")
        for answer, truth in group[verdict]
        if (found := judge(answer, truth, known_choices({"choices": group.get("choices")}), box)) != verdict
    ]
    assert differ == []


def test_the_table_is_large_and_balanced():
    right = sum(len(group["right"]) for group in GROUPS)
    wrong = sum(len(group["wrong"]) for group in GROUPS)
    assert right + wrong >= 150
    assert min(right, wrong) >= 50


KNOWN_LIMITS = [
    ("3 cm, 4 cm", "3, 4", "wrong", "units inside lists stay"),
    ("500 cm", "5 m", "wrong", "units are not converted: the question names one"),
    ("3,5", "3.5", "wrong", "a comma separates elements; a decimal comma cannot be told from it"),
    (r"\frac{\pi}{6}", r"30^\circ", "wrong", "degrees and radians are not converted"),
    (r"\tan 45^\circ", "1", "wrong", "nor are they inside functions"),
    (r"0.\overline{3}", r"\frac{1}{3}", "wrong", "periods of decimals are not read"),
    ("five", "5", "wrong", "words are text"),
    ("ba", "ab", "wrong", "two or more letters alone are a name"),
    ("2", "2h", "wrong", "a letter after a number is a factor if it is the ground truth's"),
    (r"\frac{1}{2}", "½", "wrong", "a ground truth in other numerals matches only itself"),
    ("2 + 3 = 6", "6", "right", "only the last side of a chain counts"),
]


@pytest.mark.parametrize(("answer", "truth", "verdict", "reason"), KNOWN_LIMITS)
def test_known_limits(answer, truth, verdict, reason, box):
    assert judge(answer, truth, box=box) == verdict, reason


@pytest.mark.parametrize("character", ["５", "٥", "５５", "²", "½", "Ⅴ", "⑤", "5\u200b", "\u202e5", "5\x00", "\ud835"])
def test_other_numerals_and_hidden_characters_are_refused(character, box):
    assert judge(character, "5", box=box) == "refused"
    assert judge(character, "0.5", box=box) == "refused"


def test_a_ground_truth_that_cannot_be_evaluated_is_compared_as_text(box):
    truth = "9^{9^{9}}!"
    assert judge(truth, truth, box=box) == "right"
    assert judge("9^{9^{9} }!", truth, box=box) == "right"
    assert judge("5", truth, box=box) == "unreadable truth"
    starts = box.starts
    assert judge("6", truth, box=box) == "unreadable truth"
    assert box.starts == starts  # it is not tried again
    assert judge("5", "5.0", box=box) == "right"


@pytest.mark.parametrize("truth", ["", "  "])
def test_an_empty_ground_truth_is_an_error(truth, box):
    with pytest.raises(ValueError, match="empty"):
        judge("5", truth, box=box)


@pytest.mark.parametrize("truth", [".", "about", "$", "The answer is", "\\text{}", "½", "x" * 2000])
def test_odd_ground_truths_match_themselves(truth, box):
    assert judge(truth[:900], truth[:900], box=box) == "right"
    assert judge("5", truth, box=box) == "wrong"


@given(st.fractions(-1000, 1000, max_denominator=99))
@settings(deadline=None, max_examples=40)
def test_a_fraction_in_all_its_spellings(number):
    bottom, top = number.denominator, number.numerator
    for answer in (f"{top}/{bottom}", rf"\frac{{{top}}}{{{bottom}}}", rf"\dfrac{{{3 * top}}}{{{3 * bottom}}}"):
        assert judge(answer, rf"\frac{{{top}}}{{{bottom}}}", box=shared()) == "right"
    other = number + Fraction(1, 7)
    assert judge(rf"\frac{{{other.numerator}}}{{{other.denominator}}}", f"{top}/{bottom}", box=shared()) == "wrong"


@given(st.decimals(-(10**9), 10**9, places=2), st.sampled_from(["", " cm", "%", r"^\circ", r"\text{ m}^2", " apples"]))
@settings(deadline=None)
def test_a_number_is_itself(number, unit):
    assert judge(f"{number}{unit}", f"{number}{unit}", box=shared()) == "right"
    assert judge(f"{number}{unit}", f"{number}", box=shared()) == "right"
    assert judge(f"{number:,}{unit}", f"{number}{unit}", box=shared()) == "right"
    assert judge(f"{number + 1}{unit}", f"{number}{unit}", box=shared()) == "wrong"


@given(st.fractions(0, 1000, max_denominator=50), st.sampled_from(["\\pi", "\\sqrt{3}", "", "x"]))
@settings(deadline=None, max_examples=40)
def test_marks_around_a_value_and_its_name_change_nothing(number, factor):
    value = rf"\frac{{{number.numerator}}}{{{number.denominator}}}{factor}"
    for form in (r"{}\,", r"{}\;", "{}\\ ", r"{}\\", "${}$", "{{{}}}", r"\boldsymbol{{{}}}", r"\text{{Area}} = {}"):
        assert judge(form.format(value), value, box=shared()) == "right"
        assert judge(value, f"Area $={value}$", box=shared()) == "right"
        assert judge(form.format(f"{value} + 1"), value, box=shared()) == "wrong"


SEVERAL = st.lists(st.integers(1, 999), min_size=3, max_size=5, unique=True)
BESIDE = ["{} ({})", "{} - {}", "{} {}", "{}, {}", "{}: {}", "({}) {}", "[{}] {}", "\\text{{{}}}. ${}$"]


@given(SEVERAL, st.data(), st.sampled_from(BESIDE), st.sampled_from(["", " cm", "\\%", "\\pi"]))
@settings(deadline=None, max_examples=80)
def test_a_letter_beside_a_text_is_right_if_both_are(numbers, data, form, unit):
    choices = {letter: f"{number}{unit}" for letter, number in zip("ABCDE", numbers, strict=False)}
    truth, letter, text = (data.draw(st.sampled_from(sorted(choices))) for _ in range(3))
    answer = form.format(letter, choices[text])
    expected = "right" if truth == letter == text else "wrong"
    assert judge(answer, truth, choices, box=shared()) == expected
    assert chosen(f"\\boxed{{{answer}}}", choices) == (letter if letter == text else "")


MATHS = st.lists(
    st.sampled_from(
        [*"0123456789xyz+-*/=^_(){}[]<>,.!%&|$ \\", "\\frac", "\\sqrt", "\\text{", "\\pi", "\\le", "\\cup"]
    ),
    max_size=25,
).map("".join)


@given(st.one_of(st.text(max_size=40), MATHS), st.sampled_from(["5", "(2, 3)", "x + 1", "[1, 2)", "yes", "B"]))
@settings(deadline=None, max_examples=150)
def test_any_text_has_a_verdict(answer, truth):
    assert judge(answer, truth, box=shared()) in ("right", "wrong", "refused")


@pytest.mark.parametrize("text", ["no", "Blue", "isosceles triangle", r"\triangle ABC", "AB", "5 apples"])
def test_words(text):
    assert is_words(text)


@pytest.mark.parametrize("text", ["x", "2xy", r"\frac{1}{2}", r"\sin x", "5", r"\begin{pmatrix}1\end{pmatrix}"])
def test_formulas(text):
    assert not is_words(text)
