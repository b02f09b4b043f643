"""We-Math beside lmms-eval's."""

from __future__ import annotations

from itertools import product

import pytest

from kawhi.evaluation.benchmark import Outcome, Scored
from kawhi.evaluation.benchmarks.wemath import BENCHMARK, composite_scores
from tests.evaluation.examples.wemath import composite, row
from tests.evaluation.originals import utils_of

DOC = row("2steps_7", "1")


def original(doc, response):
    """lmms-eval's score of a response."""
    wemath_reasoning_process_results = utils_of("wemath.reasoning").wemath_reasoning_process_results

    return float(wemath_reasoning_process_results(doc, [response])["acc_score"])


def ours(doc, response):
    return BENCHMARK.rule(BENCHMARK.facts(doc), response).score


@pytest.mark.parametrize(
    ("response", "score"),
    [
        ("<think>Because.</think><answer>B</answer>", 1.0),
        ("<answer>(B) 3215.36</answer>", 1.0),
        ("<answer>B. 3215.36</answer>", 1.0),
        ("<answer>C</answer>", 0.0),
        ("\\boxed{B}", 1.0),
        ("So \\boxed{A}", 0.0),
        ("", 0.0),
        ("I do not know", 0.0),
    ],
)
def test_an_answer_in_a_tag_or_a_box_scores_as_in_the_original(response, score):
    assert original(DOC, response) == score
    assert ours(DOC, response) == score


@pytest.mark.parametrize("response", ["B", "(B)", "B. 3215.36", "The answer is B.", "**Answer:** B", "so option B"])
def test_a_bare_letter_is_right_where_the_original_says_wrong(response):
    assert original(DOC, response) == 0.0
    assert ours(DOC, response) == 1.0


@pytest.mark.parametrize("response", ["C", "(A) or (B)", "The answer is A or B", "A, B", "B is wrong, so it is C"])
def test_another_letter_or_two_are_wrong(response):
    assert ours(DOC, response) == 0.0


def test_the_prompt_is_the_original_s_system_and_user_text():
    theirs = utils_of("wemath.reasoning")

    assert BENCHMARK.prompt(DOC, {"instruction": "none"}) == theirs.wemath_doc_to_text_cot(DOC)
    assert BENCHMARK.prompt(DOC, {}) == f"{theirs.SYSTEM_PROMPT}\n\n{theirs.wemath_doc_to_text_cot(DOC)}"


def test_the_options_are_read():
    assert BENCHMARK.facts(DOC)["choices"] == {
        "A": "200.96", "B": "3215.36", "C": "6280", "D": "32", "E": "No correct answer"
    }  # fmt: skip


def test_options_without_texts_are_letters():
    assert ours(row("2steps_7", "1", option="A. ;B. ;C. ;D. "), "B") == 1.0


def problems(pattern):
    """Rows of as many composite problems as there are patterns, e.g. ``110``: two steps right, the whole wrong."""
    for number, rights in enumerate(pattern):
        name = f"{len(rights) - 1}steps_{number}"
        yield from zip(composite(name), map(int, rights), strict=True)


def both(pattern):
    """Our scores and lmms-eval's, of its 525 problems."""
    import pandas as pd

    wemath_reasoning_process_results = utils_of("wemath.reasoning").wemath_reasoning_process_results
    from lmms_eval.tasks.wemath.wemath_utils import (
        calculate_metrics,
        compute_final_scores,
        process_steps_data,
        update_main_results_df,
    )

    rows = list(problems(pattern))
    answers = [f"<answer>{'AB'[right]}</answer>" for _, right in rows]
    data = pd.DataFrame(
        [wemath_reasoning_process_results(doc, [a])["wemath_strict"] for (doc, _), a in zip(rows, answers, strict=True)]
    )
    data["joker"] = data["acc_score"] == 1.0
    merged = [process_steps_data(data[data["key"].str.contains(f"{n}steps")], n) for n in (2, 3)]
    counts, rates = compute_final_scores(calculate_metrics(*merged), total_count=525)
    samples = [
        Scored(BENCHMARK.facts(doc), BENCHMARK.rule(BENCHMARK.facts(doc), a))
        for (doc, _), a in zip(rows, answers, strict=True)
    ]
    return BENCHMARK.scores(samples), update_main_results_df(counts, rates)


TWO = ["".join(p) for p in product("01", repeat=3)]
THREE = ["".join(p) for p in product("01", repeat=4)]


def test_the_composite_scores_are_the_original_s():
    pattern = (TWO * 20 + THREE * 30)[:525]
    pattern += ["111"] * (525 - len(pattern))
    found, expected = both(pattern)
    for kind in ("strict", "loose"):
        title = kind.title()
        assert f"{found[kind]:.2f}%" == expected[f"Score ({title})"]
        assert expected[f"CompleteMastery ({title})"].startswith(f"{found[f'CM_{kind}']:.2f}%")
        assert expected[f"RoteMemorization ({title})"].startswith(f"{found[f'RM_{kind}']:.2f}%")
    assert expected["InsufficientKnowledge (Strict)"].startswith(f"{found['IK']:.2f}%")
    assert expected["InadequateGeneralization (Strict)"].startswith(f"{found['IG']:.2f}%")
    assert found["strict"] < found["loose"]


def test_no_composite_problem_right_is_a_score_where_the_original_divides_by_zero():
    pattern = ["110"] * 360 + ["1000"] * 165
    with pytest.raises(ZeroDivisionError):
        both(pattern)
    samples = [Scored(BENCHMARK.facts(doc), Outcome(float(right))) for doc, right in problems(pattern)]
    found = BENCHMARK.scores(samples)
    assert found["strict"] == found["loose"] == pytest.approx(100 * 360 / 2 / 525)
    assert found["two_step"] == found["three_step"] == 0.0
    assert not {"RM_strict", "RM_loose"} & set(found)


def test_the_score_is_the_accuracy_of_all_rows():
    samples = [Scored(BENCHMARK.facts(doc), Outcome(float(right))) for doc, right in problems(["110", "0001"])]
    found = BENCHMARK.scores(samples)
    assert found["score"] == found["accuracy"] == pytest.approx(100 * 3 / 7)
    assert (found["one_step"], found["two_step"], found["three_step"]) == (pytest.approx(40), 0, 100)


def test_a_problem_with_a_missing_row_is_left_out():
    rows = list(problems(["111", "110"]))
    samples = [Scored(BENCHMARK.facts(doc), Outcome(float(right))) for doc, right in rows]
    assert composite_scores(samples)["strict"] == pytest.approx(75)
    assert composite_scores(samples[:5])["strict"] == pytest.approx(100)
    assert composite_scores(samples[:2]) == {}


def test_rows_of_one_problem_have_different_ids():
    docs = [*composite("2steps_7"), *composite("3steps_7"), *composite("2steps_8")]
    assert len({BENCHMARK.facts(doc)["id"] for doc in docs}) == len(docs)


def test_options():
    assert [run.problems for run in BENCHMARK.runs({})] == [1740]
    with pytest.raises(ValueError, match="instruction 'box' is not one of tags, none"):
        BENCHMARK.runs({"instruction": "box"})
