"""Verdicts, intervals and weights, read from a run directory."""

import json

import numpy as np
import pytest
from scipy.stats import binomtest

from kawhi.base.files import write_json
from kawhi.base.rundir import RunDirectory
from kawhi.credit.segments import segment_response
from kawhi.evaluation.samples import write_samples
from kawhi.runs.record_parts import BINS, dataset_fingerprint, response_parts, verdict_parts
from tests.cells import cell
from tests.evaluation.made import TINY, sample


def evaluated(folder, scores, problems=None, score=None):
    """A folder with samples of these scores; ``problems`` names what each belongs to."""
    samples = []
    for i, value in enumerate(scores):
        made = sample(TINY, 0, "It is \\boxed{1}", "1")
        made.id, made.score = str(i), value
        made.images, made.cluster = [str(i)], str(problems[i]) if problems else ""
        made.facts = {**made.facts, "id": str(i)}
        samples.append(made)
    folder.mkdir()
    write_samples(folder / "samples.parquet", samples)
    write_json(folder / "score.json", {"score": 100 * float(np.mean(scores)) if score is None else score})
    return samples


def test_right_and_wrong_are_digits_with_wilsons_interval(tmp_path):
    evaluated(tmp_path / "eval", [1.0, 0.0, 1.0, 1.0])
    found = verdict_parts(tmp_path / "eval", TINY)
    assert found["verdicts"]["values"] == "1011"
    assert found["verdicts"]["problems"] is None
    assert found["verdicts"]["clusters"] == [0, 1, 2, 3]  # of samples without a name it is the picture
    assert found["effective"] == 4
    expected = binomtest(3, 4).proportion_ci(method="wilson")
    assert found["interval"] == pytest.approx([100 * expected.low, 100 * expected.high], abs=1e-3)
    assert found["judge_errors"] == 0


def test_items_of_one_problem_count_together(tmp_path):
    scores = [float(i // 5 % 2) for i in range(200)]  # the five versions of a problem are right or wrong together
    evaluated(tmp_path / "eval", scores, problems=[i // 5 for i in range(200)])
    evaluated(tmp_path / "single", scores)
    together, alone = (verdict_parts(tmp_path / name, TINY)["interval"] for name in ("eval", "single"))
    assert verdict_parts(tmp_path / "eval", TINY)["verdicts"]["clusters"][:6] == [0, 0, 0, 0, 0, 1]
    assert verdict_parts(tmp_path / "eval", TINY)["effective"] == pytest.approx(40, rel=0.03)
    ratio = (together[1] - together[0]) / (alone[1] - alone[0])
    assert ratio == pytest.approx(5**0.5, rel=0.15)


def test_items_that_are_asked_several_times_are_one_problem(tmp_path):
    samples = evaluated(tmp_path / "eval", [1.0, 0.0, 1.0])
    for made, name in zip(samples, "aba", strict=True):
        made.facts = {**made.facts, "id": name}
    write_samples(tmp_path / "eval" / "samples.parquet", samples)
    assert verdict_parts(tmp_path / "eval", TINY)["verdicts"]["problems"] == [0, 1, 0]


def test_fractions_stay_numbers_and_a_score_that_is_no_mean_has_no_interval(tmp_path):
    evaluated(tmp_path / "eval", [0.25, 0.5, 1.0])
    assert verdict_parts(tmp_path / "eval", TINY)["verdicts"]["values"] == [0.25, 0.5, 1.0]
    assert verdict_parts(tmp_path / "eval", TINY)["interval"] is not None
    evaluated(tmp_path / "points", [1.0, 0.0], score=1437.5)
    assert verdict_parts(tmp_path / "points", TINY)["interval"] is None


def test_a_data_set_is_what_was_asked_not_what_was_answered(tmp_path):
    samples = evaluated(tmp_path / "eval", [1.0, 0.0])
    before = dataset_fingerprint(samples)
    samples[0].response, samples[0].score = "another", 0.0
    assert dataset_fingerprint(samples) == before
    samples[0].prompt += "?"
    assert dataset_fingerprint(samples) != before


def step(folder, number, prompts):
    write_json(folder / f"{number:06d}.json", {"step": number, "prompts": prompts})


def response(tokenizer, text, weights, alpha=None, reward=1.0):
    ids = tokenizer(text)["input_ids"]
    shared = np.resize(weights, len(ids)).tolist()
    own = None if alpha is None else [alpha] * len(ids)
    return {"token_ids": ids, "weights": shared, "alpha": own, "advantage": 0.5, "reward": reward}


def test_weights_paragraphs_and_examples(tmp_path, tokenizer):
    run = RunDirectory(tmp_path)
    two = response(tokenizer, "The bar is 4.\n\nAnswer: \\boxed{4}", [0.5], alpha=0.25)
    one = response(tokenizer, "\\boxed{4}", [0.0, 1.0, 1.5])
    step(tmp_path / "train" / "steps", 1, [{"index": 7, "selected": [], "responses": [one, one]}])
    step(tmp_path / "train" / "steps", 2, [{"index": 8, "selected": [], "responses": [one, two]}])
    found = response_parts(cell(tmp_path), run)
    lengths = [len(each["token_ids"]) for each in (one, two)]
    weights = np.concatenate([each["weights"] for each in (one, one, one, two)])
    assert found["weight_histogram"][BINS // 2] == lengths[1]
    assert found["weight_histogram"][BINS] == (weights > 1).sum()
    assert found["weight_histogram"][BINS - 1] == (weights == 1).sum()
    assert sum(found["weight_histogram"]) == len(weights) == 3 * lengths[0] + lengths[1]
    assert found["paragraph_counts"] == {"1": 3, "2": 1}
    (example,) = found["examples"]  # of the last step, one of each prompt: the one with the most paragraphs
    assert (example["step"], example["index"], example["reward"]) == (2, 8, 1.0)
    assert [each["text"] for each in example["paragraphs"]] == ["The bar is 4.", "Answer: \\boxed{4}"]
    assert [(each["weight"], each["alpha"]) for each in example["paragraphs"]] == [(0.5, 0.25)] * 2
    assert segment_response(two["token_ids"], tokenizer).max() == 1


def test_verls_own_trainer_leaves_nothing(tmp_path):
    assert response_parts(cell(tmp_path), RunDirectory(tmp_path)) == {}


def test_they_are_json(tmp_path):
    evaluated(tmp_path / "eval", [0.5, 1.0], problems=["a", "a"])
    json.dumps(verdict_parts(tmp_path / "eval", TINY), allow_nan=False)
