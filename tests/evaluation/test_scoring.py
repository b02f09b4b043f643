"""``score.json``: what it holds, when it is written, and when not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kawhi.base.errors import CellError
from kawhi.evaluation.samples import read_samples, write_samples
from kawhi.evaluation.scoring import numbers, score
from tests.evaluation.judged import (
    TOY,
    TOY_RULES,
    good_judge,
    judge_of,
    toy,
    toy_prompts,  # noqa: F401  a fixture
    write_folder,
)

pytestmark = pytest.mark.usefixtures("toy_prompts")
RULE_ONLY = replace(toy, questions=None)


def change(folder, index, **more):
    samples = read_samples(folder / "samples.parquet")
    samples[index] = replace(samples[index], **more)
    write_samples(folder / "samples.parquet", samples)


def test_a_judged_benchmark(tmp_path):
    write_folder(tmp_path, TOY)
    change(tmp_path, 2, finish_reason="length")
    with good_judge(TOY) as stub:
        judge = judge_of(stub)
        content = score(tmp_path, toy, judge)
        assert score(tmp_path, toy, judge_of(stub)) == content
    assert len(stub.requests) == 8  # the second time nothing is asked
    again = numbers(toy, read_samples(tmp_path / "samples.parquet"))
    assert again == {key: content[key] for key in again}
    assert json.loads((tmp_path / "score.json").read_text()) == content
    record = content.pop("judge")
    assert content == {
        "metric": "accuracy",
        "n": 5,
        "problems": 5,
        "correct": 3,
        "score": 60.0,
        "scores": {"score": 60.0},
        "rule_score": 20.0,
        "rule_scores": {"score": 20.0},
        "truncated": 1,
        "empty": 1,
        "rules": TOY_RULES,
        "judge_rule_agreement": 0.6,
    }
    assert record["identity"] == read_samples(tmp_path / "samples.parquet")[0].replies[0].judge
    assert (record["name"], record["questions"], record["asked_again"]) == ("stub", 8, 0)


def test_a_benchmark_that_its_rule_decides(tmp_path):
    write_folder(tmp_path, TOY)
    content = score(tmp_path, RULE_ONLY, None)
    assert (content["score"], content["correct"]) == (20.0, 1)
    assert content["judge"] is content["judge_rule_agreement"] is None
    assert [sample.verdict for sample in read_samples(tmp_path / "samples.parquet")] == ["right"] + ["wrong"] * 4


def test_a_score_between_right_and_wrong_has_no_count_of_right_ones(tmp_path):
    write_folder(tmp_path, TOY)
    change(tmp_path, 0, rule_score=1 / 3)
    content = score(tmp_path, RULE_ONLY, None)
    assert (content["metric"], content["correct"], content["score"]) == ("score", None, 6.6667)


def test_points_are_no_accuracy(tmp_path):
    write_folder(tmp_path, TOY)
    points = replace(RULE_ONLY, scores=lambda samples: {"score": 1234.56789, "perception": 1000.0})
    content = score(tmp_path, points, None)
    assert (content["metric"], content["score"]) == ("score", 1234.5679)
    assert content["scores"] == {"score": 1234.5679, "perception": 1000.0}


def test_a_judged_benchmark_needs_a_judge_and_loses_its_old_score(tmp_path):
    write_folder(tmp_path, TOY)
    (tmp_path / "score.json").write_text("{}")
    with pytest.raises(CellError, match=f"{TOY} is decided by a judge and none is configured: set judge="):
        score(tmp_path, toy, None)
    assert not (tmp_path / "score.json").exists()


def test_samples_without_a_verdict_are_counted_and_the_others_kept(tmp_path):
    write_folder(tmp_path, TOY)
    with good_judge(TOY, behaviour="dies_mid_run", lives=4) as stub, pytest.raises(CellError) as refused:
        score(tmp_path, toy, judge_of(stub, concurrency=1))
    kept = [sample.score for sample in read_samples(tmp_path / "samples.parquet")]
    assert kept == [1.0, 1.0, None, 0.0, None]
    assert f"2 of 5 samples of {TOY} have no verdict, the first (2/3) because no reply from" in str(refused.value)
    assert f"3 verdicts are kept in {tmp_path}: run the same command again" in str(refused.value)


def test_no_samples_are_no_score(tmp_path):
    write_samples(tmp_path / "samples.parquet", [])
    with pytest.raises(CellError, match="has no samples"):
        score(tmp_path, RULE_ONLY, None)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), None])
def test_a_score_that_is_none_is_not_averaged(tmp_path, value):
    samples = [replace(sample, score=value) for sample in write_folder(tmp_path, TOY)]
    with pytest.raises(ValueError, match="sample 0/1 has the score"):
        numbers(toy, samples)
