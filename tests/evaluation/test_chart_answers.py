"""What counts as the answer in a response."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from kawhi.evaluation.benchmark import numbered
from kawhi.evaluation.chart_answers import candidates, elements, final_answer, first_word, number, plain


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("42", "42"),
        ("One.\nTwo.\n\n42.", "42"),
        (r"First \boxed{1}, no: \boxed{\text{Canada}}", "Canada"),
        ("<think>\\boxed{7}</think> 8", "8"),
        ("<think>it must be 7", ""),
        ("<answer>\n Coal </answer> I hope", "Coal"),
        ("</answer> 3\n<answer>2", "<answer>2"),
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
        ("The share was −3.5 points", "−3.5"),
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
    ],
)
def test_the_first_word(response, word):
    assert first_word(response, ("yes", "no")) == word


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("40,000", "40000"),
        ("1.5e3", "1500"),
        ("10^-2", "0.01"),
        ("10^{2}", "100"),
        (r"3 \times 10^2", "300"),
        ("−0.80", "-0.8"),
        ("94 %", "94"),
        (".5", "0.5"),
        ("$12", "12"),
    ],
)
def test_a_number_is_exact(text, value):
    assert number(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "6B", "nan", "1_000", "²", "10 to 20", "1e9999", "1" * 2000])
def test_other_text_is_no_number(text):
    assert number(text) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [("$R^2_{t,h}$", "R^2_t,h"), ("α", r"\alpha"), ("(b)", "B"), ("Time  [s].", "time [s]"), ("**iCaRL***", "iCaRL*")],
)
def test_text_that_is_the_same(one, other):
    assert plain(one) == plain(other)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[a, b]", ["a", "b"]),
        ("['a, b', c d]", ["a, b", "c d"]),
        ('["1,5", 2%]', ["1,5", "2%"]),
        ("[]", []),
        ("a, b", None),
        ("[", None),
    ],
)
def test_elements_of_a_list(text, found):
    assert elements(text) == found


@pytest.mark.parametrize(
    "text",
    ["[" + "'" * 50_000 + "]", "answer" * 20_000, "<answer>" * 20_000, "1," * 50_000, " is" * 30_000, "[" * 50_000],
)
def test_long_responses_take_no_time(text):
    start = time.process_time()
    candidates(text)
    elements(text)
    first_word(text, ("yes", "no"))
    assert time.process_time() - start < 2


def test_rows_are_numbered_once():
    datasets = pytest.importorskip("datasets")
    rows = numbered(datasets.Dataset.from_dict({"question": ["a", "b"]}))
    assert rows["row"][:] == [0, 1]
    assert numbered(rows) is rows


@pytest.mark.parametrize(
    ("response", "word"),
    [
        ("Yes, it is.", "yes"),
        ("No dogs are visible.", "no"),
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
def test_yes_and_no_are_taken_only_where_one_of_them_is_said(response, word):
    assert first_word(response, ("yes", "no")) == word
