"""ChartQA beside lmms-eval's own scoring of the same rows."""

from __future__ import annotations

import pytest

from kawhi.evaluation.benchmark import Outcome, Scored
from kawhi.evaluation.benchmarks.chartqa import BENCHMARK
from tests.evaluation.examples.chartqa import ROWS

original = pytest.importorskip("lmms_eval.tasks.chartqa.utils")
COUNT, BAR, SHARE, LEADER, ZERO = ROWS


def _ours(row, response):
    return BENCHMARK.rule(BENCHMARK.facts(row), response).score


def _theirs(row, response):
    return original.chartqa_process_results(row, [response])["relaxed_overall"]


@pytest.mark.parametrize("row", ROWS)
def test_the_prompt_is_lmms_evals(row):
    asked = {"pre_prompt": "", "post_prompt": "\nAnswer the question with a single word."}  # its chartqa.yaml
    assert BENCHMARK.prompt(row, {}) == original.chartqa_doc_to_text(row, asked)


@pytest.mark.parametrize(
    ("row", "response", "score"),
    [
        (COUNT, "14", 1.0),
        (COUNT, "14.5", 1.0),
        (COUNT, "15", 0.0),
        (COUNT, "14%", 0.0),
        (SHARE, "60.16", 1.0),
        (SHARE, "60.17", 0.0),
        (SHARE, "-57.3", 0.0),
        (BAR, "yes", 1.0),
        (BAR, "No", 0.0),
        (LEADER, "UNITED STATES", 1.0),
        (LEADER, "Canada", 0.0),
        (ZERO, "0", 1.0),
        (COUNT, "", 0.0),
    ],
)
def test_a_bare_answer_scores_as_in_lmms_eval(row, response, score):
    assert _theirs(row, response) == score
    assert _ours(row, response) == score


@pytest.mark.parametrize(
    ("row", "response"),
    [
        (COUNT, "I count seven and seven.\n\nThe answer is 14."),
        (COUNT, r"Seven and seven: \boxed{14}"),
        (COUNT, "There are 14 items."),
        (BAR, "Yes, it ends at 62."),
        (SHARE, "In 2015 it was 57.3."),
        (SHARE, "60.165"),  # exactly 5 %, but not in binary
        (LEADER, "**United States**"),
        (ZERO, "0.0"),
    ],
)
def test_a_right_answer_that_lmms_eval_scores_wrong(row, response):
    assert _theirs(row, response) == 0.0
    assert _ours(row, response) == 1.0


def test_the_two_splits_have_their_scores():
    samples = [Scored(BENCHMARK.facts(row), Outcome(float(row is not COUNT))) for row in ROWS]
    assert BENCHMARK.scores(samples) == {"score": 80.0, "human": pytest.approx(200 / 3), "augmented": 100.0}
    assert set(BENCHMARK.scores(samples[:1])) == {"score", "human"}
