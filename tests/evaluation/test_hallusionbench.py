"""HallusionBench beside lmms-eval's own scoring of the same rows; only the request to its judge is replaced."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from kawhi.evaluation.benchmark import Scored
from kawhi.evaluation.benchmarks.hallusionbench import BENCHMARK, scores
from kawhi.evaluation.prompts import prompts_of
from tests.evaluation.examples.hallusionbench import ROWS

original = pytest.importorskip("lmms_eval.tasks.hallusion_bench.evaluate_hb")
utils = pytest.importorskip("lmms_eval.tasks.hallusion_bench.utils")
RESPONSES = ["Yes", "No", "No", "It is", "Yes", "No"]


@pytest.fixture
def judge(monkeypatch):
    """Answers with the next reply; an exception is raised, and again whenever the same request is repeated."""
    state = SimpleNamespace(replies=[], asked=[])

    def post(url, *, headers, json, timeout):
        prompt = json["messages"][0]["content"]
        if prompt not in state.asked:
            state.asked.append(prompt)
        reply = state.replies[state.asked.index(prompt)]
        if isinstance(reply, Exception):
            raise reply
        body = {"choices": [{"message": {"content": reply}}]}
        return SimpleNamespace(raise_for_status=lambda: None, json=lambda: body)

    monkeypatch.setattr(utils.requests, "post", post)
    monkeypatch.setattr(utils.time, "sleep", lambda seconds: None)
    return state


def _theirs(folder, responses=RESPONSES):
    arguments = SimpleNamespace(output_path=str(folder))
    found = {}
    for name in ("aAcc", "qAcc", "fAcc"):
        rows = [original.hb_process_results(row, [text])[name] for row, text in zip(ROWS, responses, strict=True)]
        found[name] = getattr(original, f"hb_aggregation_result_{name}")(rows, arguments)
    return found


def _ours(replies, responses=RESPONSES):
    samples = []
    for row, text, reply in zip(ROWS, responses, replies, strict=True):
        facts = BENCHMARK.facts(row)
        rule = BENCHMARK.rule(facts, text)
        (question,) = BENCHMARK.questions(facts, text, rule, [])
        samples.append(Scored(facts, BENCHMARK.verdict(facts, text, rule, [question.parse(reply)])))
    return scores(samples)


@pytest.mark.parametrize(
    ("replies", "found"),
    [
        (["correct"] * 6, {"aAcc": 100.0, "qAcc": 100.0, "fAcc": 100.0}),
        (["incorrect"] * 6, {"aAcc": 0.0, "qAcc": 0.0, "fAcc": 0.0}),
        (
            ["correct", "correct", "incorrect", "correct", "correct", "unclear"],
            {"aAcc": 66.6667, "qAcc": 33.3333, "fAcc": 50.0},
        ),
    ],
)
def test_the_three_accuracies_are_lmms_evals(judge, replies, found, tmp_path):
    judge.replies = replies
    assert _theirs(tmp_path) == found
    ours = _ours(replies)
    assert ours.pop("score") == ours["aAcc"]
    assert ours == pytest.approx(found, abs=1e-4)


def test_a_dead_judge_repeats_the_last_verdict_in_lmms_eval_and_is_an_error_here(judge, tmp_path):
    judge.replies = ["correct", *[ConnectionError("down")] * 5]
    assert _theirs(tmp_path) == {"aAcc": 66.6667, "qAcc": 66.6667, "fAcc": 50.0}  # all four VD rows are right
    (question,) = BENCHMARK.questions(BENCHMARK.facts(ROWS[1]), "No", None, [])
    with pytest.raises(ValueError, match="is not one of"):
        question.parse("")


def test_another_model_gets_the_first_models_verdicts_in_lmms_eval(judge, tmp_path):
    judge.replies = ["correct"] * 6 + ["incorrect"] * 6
    assert _theirs(tmp_path)["aAcc"] == 100.0
    assert _theirs(tmp_path, ["I cannot see it"] * 6)["aAcc"] == 100.0
    assert len(judge.asked) == 6
    assert _ours(["incorrect"] * 6, ["I cannot see it"] * 6)["aAcc"] == 0.0


def test_a_reply_with_a_word_in_it_is_a_verdict_in_lmms_eval_and_an_error_here(judge, tmp_path):
    judge.replies = ["I cannot say whether it is correct"] * 6
    assert _theirs(tmp_path)["aAcc"] == 100.0
    with pytest.raises(ValueError, match="is not one of"):
        _ours(judge.replies)


def test_the_judges_question_is_the_authors_with_one_more_sentence(judge, tmp_path):
    judge.replies = ["correct"] * 6
    _theirs(tmp_path)
    added = "Reply with that one word, without quotes and with nothing else."
    for row, response, theirs in zip(ROWS, RESPONSES, judge.asked, strict=True):
        (question,) = BENCHMARK.questions(BENCHMARK.facts(row), response, None, [])
        system, ours, _ = prompts_of(BENCHMARK.name).render(question.name, question.fields)
        assert system is None
        assert ours.replace(added, "").split() == theirs.split()


@pytest.mark.parametrize("row", ROWS)
def test_the_prompt_is_lmms_evals(row):
    assert BENCHMARK.prompt(row, {}) == original.hb_doc_to_text(row, {"pre_prompt": "", "post_prompt": ""})
