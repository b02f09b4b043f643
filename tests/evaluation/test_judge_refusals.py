"""A judge that refuses single samples for good, one that reasons before it replies, and several that are one."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from kawhi.base.errors import CellError
from kawhi.evaluation.judge import FEW, FEW_REASONING, KeptReplies
from kawhi.evaluation.judge_requests import spoken
from kawhi.evaluation.judge_settings import JudgeSettings
from kawhi.evaluation.samples import REFUSED, read_samples
from kawhi.evaluation.scoring import score, score_again
from tests.evaluation.judged import (
    TOY,
    TOY_EXAMPLES,
    good_judge,
    judge_of,
    judged,
    parts_of,
    right_replies,
    toy,
    toy_prompts,  # noqa: F401  a fixture
    write_folder,
)
from tests.evaluation.stub_server import StubServer

pytestmark = pytest.mark.usefixtures("toy_prompts")
REFUSES = "What is 3?"


def refusing(task=TOY, *, how=400, which=None):
    """A good judge, but of one question."""
    known = right_replies(task)
    which = which or next(text for text, _ in known if REFUSES in text)
    return StubServer(lambda text, images: how if which in text else known[text, tuple(images)])


@pytest.mark.parametrize("how", [400, 413, 422, {"text": None, "finish_reason": "content_filter"}])
def test_a_sample_that_is_refused_for_good_is_asked_once_and_stops_the_score(tmp_path, how):
    write_folder(tmp_path, TOY)
    with refusing(how=how) as stub:
        with pytest.raises(CellError, match=f"1 of 5 samples of {TOY} have no verdict, .*because {REFUSED}the server"):
            score(tmp_path, toy, judge_of(stub))
        assert sum(REFUSES in str(body) for body in stub.requests) == 1
    assert [sample.verdict for sample in read_samples(tmp_path / "samples.parquet")][2] == "error"


def test_it_counts_as_wrong_where_that_is_asked_for_and_is_not_asked_again(tmp_path):
    write_folder(tmp_path, TOY)
    with refusing() as stub:
        with pytest.raises(CellError):
            score(tmp_path, toy, judge_of(stub))
        content = score(tmp_path, toy, judge_of(stub, on_refusal="wrong", refusals=0.2))
        asked = len(stub.requests)
        assert asked == 8, "what was refused is kept, as every reply"
        kept = KeptReplies(judge_of(stub, on_refusal="wrong", refusals=0.2).settings)
        assert score_again(tmp_path, toy, kept) == content, "nobody is asked"
        assert len(stub.requests) == asked
    assert content["judge"]["refused"] == 1
    assert content["score"] == 100 * sum(example.score for example in TOY_EXAMPLES) / 5  # the third is wrong anyway
    sample = read_samples(tmp_path / "samples.parquet")[2]
    assert (sample.score, sample.verdict, sample.judge_error, sample.refused) == (0.0, "wrong", "", True)
    with good_judge(TOY) as stub:
        assert "refused" not in score(tmp_path, toy, judge_of(stub))["judge"]


@pytest.mark.parametrize("task", judged())
def test_every_benchmark_has_a_score_with_a_refused_sample(tmp_path, task):
    write_folder(tmp_path, task)
    which = next(iter(right_replies(task)))[0]
    with refusing(task, which=which) as stub:
        content = score(tmp_path, parts_of(task)[0], judge_of(stub, on_refusal="wrong", refusals=1.0))
    assert content["judge"]["refused"] >= 1


def test_what_refuses_many_refuses_no_single_samples(tmp_path):
    write_folder(tmp_path, TOY)
    with (
        good_judge(TOY, behaviour="400") as stub,
        pytest.raises(CellError, match=r"the judge refused 8 of 8 questions of kawhi_toy for good, more than judge"),
    ):
        score(tmp_path, toy, judge_of(stub, on_refusal="wrong"))
    assert not (tmp_path / "score.json").exists()


def test_a_wrong_key_is_no_refusal_of_a_sample(tmp_path):
    write_folder(tmp_path, TOY)
    with good_judge(TOY, behaviour="401") as stub, pytest.raises(CellError, match="have no verdict") as failed:
        score(tmp_path, toy, judge_of(stub, on_refusal="wrong", refusals=1.0))
    assert REFUSED not in str(failed.value)


@pytest.mark.parametrize(
    "reply",
    [
        {"text": None, "finish_reason": "length", "reasoning_content": "Let me see"},
        {"text": "<think>Let me see", "finish_reason": "length"},
        {"text": "Hm", "reasoning": "Let me see"},
    ],
)
def test_a_judge_that_reasons_is_recognised_after_a_few_replies(tmp_path, reply):
    write_folder(tmp_path, TOY)
    told = "^stub-judge reasons before it replies, "
    with StubServer(lambda text, images: reply) as stub, pytest.raises(CellError, match=told) as seen:
        score(tmp_path, toy, judge_of(stub, concurrency=1, attempts=4))
    assert f"none of the first {FEW_REASONING} replies" in str(seen.value)
    assert "judge.extra_body={chat_template_kwargs:{enable_thinking:false}}" in str(seen.value)
    assert len(stub.requests) <= FEW_REASONING + 1, "one may have been on its way"


def test_a_judge_of_whom_no_reply_is_a_verdict_is_not_asked_thousands(tmp_path):
    write_folder(tmp_path, TOY)
    with good_judge(TOY, behaviour="garbage_with_1") as stub:
        with pytest.raises(CellError, match=f"^None of the first {FEW} replies of the judge stub-judge is a verdict"):
            score(tmp_path, toy, judge_of(stub, concurrency=1, attempts=9))
        assert FEW <= len(stub.requests) <= FEW + 1


def test_a_judge_that_reasons_can_be_used(tmp_path):
    write_folder(tmp_path, TOY)
    known = right_replies(TOY)

    def thinks(text, images):
        return f"<think>Is it 1 or 0?</think>\n\n{known[text, tuple(images)]}"

    more = {"max_tokens": 8192, "chat_template_kwargs": {"enable_thinking": True}}
    with StubServer(thinks) as stub:
        content = score(tmp_path, toy, judge_of(stub, extra_body=more))
        assert {key: stub.requests[0][key] for key in more} == more
        assert len(stub.requests) == 8
        score(tmp_path, toy, judge_of(stub, extra_body=more))
        assert len(stub.requests) == 8, "kept"
        score(tmp_path, toy, judge_of(stub))
        assert len(stub.requests) == 16, "another question to the server"
    assert content["score"] == 100 * sum(example.score for example in TOY_EXAMPLES) / 5
    lines = [json.loads(line) for file in tmp_path.glob("judge/*.jsonl") for line in file.read_text().splitlines()]
    assert {line["reasoning"] for line in lines} == {"Is it 1 or 0?"}


@pytest.mark.parametrize(
    ("text", "reply", "thought"),
    [
        ("1", "1", ""),
        ("<think>a</think>1", "1", "a"),
        ("a\nb</think>\n 1", "\n 1", "a\nb"),  # a template that opens the thought itself
        ("<think>a", "", "a"),
        ("", "", ""),
    ],
)
def test_what_is_said_and_what_is_thought(text, reply, thought):
    assert spoken(text) == (reply, thought)


def test_replicas_share_the_questions_and_one_that_dies_leaves_its_own_to_the_others(tmp_path):
    write_folder(tmp_path, TOY)
    with good_judge(TOY, delay=0.02) as one, good_judge(TOY, delay=0.02) as other:
        both = SimpleNamespace(base_url=[one.base_url, other.base_url])
        content = score(tmp_path, toy, judge_of(both))
        assert len(one.requests) == len(other.requests) == 4
        assert max(one.largest, other.largest) <= 4, "the concurrency is of all together"
        for file in tmp_path.glob("judge/*.jsonl"):
            file.unlink()
        one.lives, one.behaviour = 1, "dies_mid_run"
        assert score(tmp_path, toy, judge_of(both, attempts=9)) == content
        assert len(other.requests) > 8
        other.become("down")
        for file in tmp_path.glob("judge/*.jsonl"):
            file.unlink()
        with pytest.raises(CellError, match=r"no (reply|connection)|given up"):
            score(tmp_path, toy, judge_of(both))


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ({"on_refusal": "right"}, "judge.on_refusal=right is not one of error, wrong"),
        ({"refusals": 2}, r"judge.refusals=2 must be a number in \[0, 1\]"),
        ({"extra_body": "x"}, "judge.extra_body='x' must be keys of a request other than messages, model, n, stream"),
        ({"extra_body": {"stream": True}}, "must be keys of a request other than"),
    ],
)
def test_settings_that_are_none(block, sentence):
    fine = {"concurrency": 1, "attempts": 1, "timeout": 1, "patience": 1, "temperature": 0, "seed": 0}
    with pytest.raises(CellError, match=sentence):
        JudgeSettings.check(fine | block)
