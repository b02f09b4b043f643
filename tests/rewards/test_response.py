"""Where the answer stands in a response."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kawhi.rewards.answers import judge
from kawhi.rewards.choices import listed_choices
from kawhi.rewards.limits import MAX_CHARACTERS
from kawhi.rewards.response import (
    bracketed_list,
    candidates,
    chosen,
    final_answer,
    first_word,
    number,
    stated,
    value,
    visible,
)

CHOICES = {"A": "3 cm", "B": "5 cm", "C": r"\frac{1}{2}", "D": "the same"}


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("<think>\\boxed{3}</think>The answer is 5.", "5."),
        ("<answer>5</answer> and then \\boxed{3}", "5"),
        ("<answer>\\boxed{5}</answer>", "5"),
        ("<answer>4</answer><ANSWER> 5 </ANSWER>", "5"),
        ("<answer>5", "5"),
        ("\\boxed{4} ... \\boxed{5}. The answer is 6", "5"),
        ("The answer is 4. No, the answer should be 5 because I was wrong.", "5"),
        ("**Answer:** 5 cm", "5 cm"),
        ("Answer:\n\n5 cm\nDone", "5 cm"),
        ("It is 5", ""),
        ("", ""),
    ],
)
def test_what_a_response_calls_its_answer(response, answer):
    assert stated(response) == answer


@pytest.mark.parametrize(
    "response", ["B", "(b)", "B.", "Option B", "\\boxed{\\text{B}}", "B: 5 cm", "(B) 5 cm", "5 cm"]
)
@pytest.mark.parametrize(
    "frame", ["{}", "Some thoughts.\n{}", "The answer is {}", "**Answer**: {}", "<answer>{}</answer>"]
)
def test_a_choice_in_many_spellings(response, frame):
    assert chosen(frame.format(response), CHOICES) == "B"


@pytest.mark.parametrize(
    "response",
    [
        "(A) or (B)",
        "The answer is A or B",
        "A, B",
        "E",
        "7 cm",
        "A triangle has three sides",
        "AB",
        "\\boxed{A, C}",
        "",
    ],
)
def test_no_choice_or_two(response):
    assert chosen(response, CHOICES) == ""


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("So AC = 3 + 4 = 7", "7"),
        ("We get $x = 2\\sqrt{3}$", "x = 2\\sqrt{3}"),
        ("It costs 1,234.50 dollars", "1,234.50 dollars"),
        ("From 3 to 5: -2\n\n", "-2"),
        ("Final answer: \\(\\frac{1}{2}\\) of it", "\\frac{1}{2}"),
        ("an isosceles triangle", "an isosceles triangle"),
        ("So it is 1/2.", "1/2"),
        ("The area is 24π cm².", "24π"),
        ("It is 2√3", "2√3"),
        ("The point is (3,-4).", "(3,-4)"),
        ("the interval [1, 2)", "[1, 2)"),
        ("The ratio is 2:3, step 1: 5", "5"),
        ("It is 60%", "60%"),
        ("So y = 2x + 1", "2x + 1"),
        ("10√3 ≈ 17.3", "10√3 ≈ 17.3"),
        ("We get 5 m.", "5 m"),
        ("5 in total", "5"),
        ("3 x 10^8", "3 x 10^8"),
    ],
)
def test_the_value_of_a_free_answer(response, answer):
    assert value(response) == answer


@pytest.mark.parametrize(("text", "found"), [("5-3", "3"), ("x = -3", "-3"), ("1,000,000 km", "1000000"), ("none", "")])
def test_the_last_number(text, found):
    assert number(text) == found


def test_the_last_list():
    assert bracketed_list("first [1, 2], then [3, 4].") == "[3, 4]"
    assert bracketed_list("1, 2") == ""


def test_choices_without_texts_are_letters():
    assert listed_choices("Which one?", "B")["B"] == ""
    assert listed_choices("Which one?\nChoices:\nA:1\nB:2", "B") == {"A": "1", "B": "2"}


@pytest.mark.parametrize(
    "unit", ["answer is ", "answer ", "(A) ", "$", "$1", "[", "1,", "<answer>", "\\(", "**", "answer:\n", " ", "-", "İ"]
)
def test_hostile_strings_take_little_time(unit):
    response = unit * (100_000 // len(unit))
    start = time.process_time()
    for choices, truth in ((CHOICES, "B"), ({}, "5")):
        assert judge(chosen(response, choices) or value(response)[:MAX_CHARACTERS], truth, choices) != "right"
    number(response), bracketed_list(response)
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "response",
    [
        "The answer is not A",
        "We exclude option A",
        "Which one?\nA. 2 cm\nB. 4 cm\nC. 6 cm\nD. 8 cm",
        "Option A or option B",
        "<think>It could be (A)",
    ],
)
def test_a_letter_that_is_no_answer_is_not_taken(response):
    assert chosen(response, dict.fromkeys("ABCD", "")) == ""


@pytest.mark.parametrize(
    "response",
    [
        "Therefore, C is the correct answer.",
        "I choose C.",
        "(C)\nThe others are too long.",
        "所以答案是C",
        "故选C。",
        "<Answer>: <<C>>",
        "A triangle is shown. C is correct.",
        "\\boxed{C. half of it}",
    ],
)
def test_a_choice_in_a_sentence(response):
    assert chosen(response, CHOICES) == chosen(response, dict.fromkeys("ABCD", "")) == "C"


@pytest.mark.parametrize("response", ["C. 3 cm", "The answer is C (5 cm)", "5 cm (C)", "C is not correct", "C or 0.5"])
def test_a_letter_with_another_choice_s_text_is_no_answer(response):
    assert chosen(response, CHOICES) == ""


def test_a_choice_is_named_by_the_text_that_opens_a_line():
    assert chosen("No, dark orchid is longer.", {"A": "yes", "B": "no"}) == "B"
    assert chosen("The same, for both are 3 cm", CHOICES) == "D"


RATIO = st.fractions(-99, 99, max_denominator=30).map(lambda ratio: f"{ratio.numerator}/{ratio.denominator}")
POINT = st.tuples(st.integers(-9, 9), st.integers(-9, 9)).map(lambda at: f"({at[0]},{at[1]})")


@given(st.one_of(RATIO, POINT, *(st.integers(2, 99).map(f"{{}}{each}".format) for each in ("π", "√3", "%", "x"))))
def test_a_bare_expression_is_taken_whole(text):
    for frame in ("So it is {}.", "x = {}", "**{}**", "From 3 and 4 we get\n{}"):
        assert value(frame.format(text)) == text


def test_an_answer_below_a_labelled_line_is_taken():
    assert chosen("I look at the options.\nB. 4 cm", dict.fromkeys("ABCD", "")) == "B"


@pytest.mark.parametrize(
    ("response", "left"),
    [("<think>so 7", ""), ("<think>so \\boxed{7}", "<think>so \\boxed{7}"), ("<think>a</think> b", "b"), (" b ", "b")],
)
def test_what_counts_of_a_response_that_thinks(response, left):
    assert visible(response) == left


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("42", "42"),
        ("One.\nTwo.\n\n42.", "42"),
        (r"First \boxed{1}, no: \boxed{\text{Canada}}", "Canada"),
        ("<think>\\boxed{7}</think> 8", "8"),
        ("<think>it must be 7", ""),
        ("<answer>\n Coal </answer> I hope", "Coal"),
        ("</answer> 3\n<answer>2", "2"),
        ("The answer is 42. This follows from the bars.", "42"),
        ("**Final Answer:** U.S. Virgin Islands", "U.S. Virgin Islands"),
        ("Answer:\n\n**42 %**\nas the bar says", "42 %"),
        ('My answer is: "Gas".', "Gas"),
        (r"The answer is $42\%$.", "42%"),
        ("", ""),
    ],
)
def test_the_final_answer(response, answer):
    assert final_answer(response) == answer


@pytest.mark.parametrize(
    ("response", "reading"),
    [
        ("So the difference is 12%.", "12%"),
        ("It had about 1,200 members", "1,200"),
        ("The share was −3.5 points", "-3.5"),
        ("2015 = 30", "30"),
    ],
)
def test_a_sentence_is_read_in_part(response, reading):
    assert reading in candidates(response)


def test_two_numbers_are_not_one_answer():
    assert candidates("between 10 and 20") == ["between 10 and 20"]


@pytest.mark.parametrize(
    ("response", "word"),
    [
        ("Yes", "yes"),
        ("**No**, because yes is wrong", "no"),
        ("Is there one? I see none.\nSo yes.", "yes"),
        ("Not sure", ""),
        ("I know nothing", ""),
        ("Yes or no? The answer is no", "no"),
        (r"Yes. \boxed{maybe}", ""),
        ("No dog is left.\nI looked twice.", "no"),
        ("Yes, it is.", "yes"),
        ("There are no other dogs, so yes.", "yes"),
        ("There is no doubt: yes", "yes"),
        ("I cannot say yes or no.", ""),
        ("Please answer yes or no.", ""),
        ("Yes and no", ""),
        ("The answer is not yes", ""),
        ("I see a dog.\nThe answer is yes", "yes"),
        ("B. No", "no"),
    ],
)
def test_the_first_word(response, word):
    assert first_word(response, ("yes", "no")) == word


@pytest.mark.parametrize(
    "text",
    ["[" + "'" * 50_000 + "]", "answer" * 20_000, "<answer>" * 20_000, "1," * 50_000, " is" * 30_000, "[" * 50_000],
)
def test_long_responses_take_no_time(text):
    start = time.process_time()
    candidates(text)
    first_word(text, ("yes", "no"))
    assert time.process_time() - start < 2
