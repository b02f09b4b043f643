"""A step of a run: what was recorded is shown as recorded, and what is not recorded is said to be recomputed."""

from __future__ import annotations

import json
import shutil

import pytest

from kawhi.base.checkout import resolve_package_paths
from kawhi.explain.settings import SHIPPED
from kawhi.explain.training_step import explain_run
from tests.explain.conftest import ANSWERS, record, rows


def test_the_last_step_is_the_default(training_run):
    assert explain_run(training_run.path)[1].startswith("tiny-run-0123_step5_prompt")


def test_the_prompt_whose_responses_differ_most_in_credit_is_the_default(tmp_path):
    run = record(tmp_path, "credit=uniform", steps=(1,))
    file = run.path / "train" / "steps" / "000001.json"
    said = json.loads(file.read_text())
    first, second = said["prompts"]
    for prompt, advantages in ((first, (0.0, 0.0)), (second, (1.0, -1.0))):
        for response, advantage in zip(prompt["responses"], advantages, strict=False):
            response["advantage"] = advantage
    first["responses"], second["responses"] = first["responses"][:2], second["responses"][:2]
    file.write_text(json.dumps(said))
    assert explain_run(run.path)[1] == "tiny-run-0123_step1_prompt2"
    for response in second["responses"]:  # the same advantages, of which the method leaves nothing
        response["weights"] = [0.0] * len(response["weights"])
    first["responses"][0]["advantage"] = 0.1
    file.write_text(json.dumps(said))
    assert explain_run(run.path)[1] == "tiny-run-0123_step1_prompt1"
    assert explain_run(run.path, prompt=2)[1] == "tiny-run-0123_step1_prompt2"


def test_weights_and_alpha_are_the_recorded_ones(training_run):
    found, _ = explain_run(training_run.path, 2, prompt=2)
    recorded = training_run.step(2)["prompts"][1]
    assert found.scene.kept == recorded["selected"]
    for answer, response, text in zip(found.answers, recorded["responses"], ANSWERS, strict=True):
        assert (answer.reward, answer.advantage) == (response["reward"], response["advantage"])
        assert [p.text for p in answer.paragraphs] == text.split("\n\n")
        at = 0
        for paragraph in answer.paragraphs:
            own = slice(at, at := at + paragraph.tokens)
            assert paragraph.weight == pytest.approx(response["weights"][own][0], abs=1e-6)
            assert paragraph.alpha == pytest.approx(sum(response["alpha"][own]) / paragraph.tokens, abs=1e-6)


def test_question_and_image_are_those_of_the_row(training_run):
    found, _ = explain_run(training_run.path, 1, prompt=1)
    example = rows(training_run.path.parents[2] / "train.parquet")[4]
    assert found.question == example["extra_info"]["question"]


def test_at_step_1_the_initial_model_is_the_policy(training_run):
    found, _ = explain_run(training_run.path, 1)
    assert "was the policy of this step: its alpha agrees with the recorded one" in found.notes[0]
    assert SHIPPED in found.notes[0]


def test_later_the_page_says_that_the_model_is_another_one(training_run):
    found, _ = explain_run(training_run.path, 2)
    assert "the model that training began with, not with the policy of this step" in found.notes[0]


def test_a_merged_model_is_taken_where_there_is_one(tmp_path):
    run = record(tmp_path, "credit=kawhi", steps=(1, 2))
    shutil.copytree(resolve_package_paths(SHIPPED), run.path / "train" / "merged")
    assert "train/merged, the model after the last step" in explain_run(run.path)[0].notes[0]
    assert SHIPPED in explain_run(run.path, 1)[0].notes[0]


def test_a_recorded_alpha_that_cannot_be_met_at_step_1_is_told(tmp_path):
    run = record(tmp_path, "credit=kawhi", steps=(2,))
    steps = run.path / "train" / "steps"
    (steps / "000002.json").rename(steps / "000001.json")
    assert "differs from the recorded one by up to 0.02: trust the recorded one" in explain_run(run.path)[0].notes[0]


def test_one_response(training_run):
    found, name = explain_run(training_run.path, 5, 1, response=2)
    assert [answer.name for answer in found.answers] == ["Response 2 of 3"]
    assert name.endswith("_response2")


def test_a_method_without_alignment_has_weights_alone(uniform_run):
    found, _ = explain_run(uniform_run.path)
    assert found.heads == []
    assert found.scene.rows == 0
    for answer in found.answers:
        assert answer.controls == []
        assert all((p.weight, p.alpha, p.heat, p.head_alpha) == (1.0, None, [], []) for p in answer.paragraphs)
    assert found.notes == ["GRPO gives credit without looking at the image: there is no alpha."]


@pytest.mark.parametrize(("granularity", "unit"), [("token", "paragraph"), ("sentence", "sentence")])
def test_other_granularities(tmp_path, granularity, unit):
    found, _ = explain_run(record(tmp_path, f"kawhi.options.granularity={granularity}", steps=(1,)).path)
    assert found.unit == unit
    assert [len(answer.paragraphs) for answer in found.answers] == [4, 1, 2]
    assert ("Credit is given per token" in " ".join(found.notes)) == (granularity == "token")


def test_visionzip_selects_again_because_nothing_was_recorded(tmp_path):
    run = record(tmp_path, "kawhi.regions.strategy=visionzip", steps=(1,))
    assert len(explain_run(run.path)[0].scene.kept) == 18


def test_what_does_not_exist_is_told_with_what_does(training_run):
    with pytest.raises(ValueError, match="step 5 has the prompts 1 to 2"):
        explain_run(training_run.path, 5, 3)
    with pytest.raises(ValueError, match="prompt 2 of step 5 has the responses 1 to 3"):
        explain_run(training_run.path, 5, 2, 4)


def test_a_run_without_steps_or_data(tmp_path):
    run = record(tmp_path, "credit=uniform", steps=())
    with pytest.raises(ValueError, match="has recorded no step yet"):
        explain_run(run.path)
    run = record(tmp_path / "second", "credit=uniform", steps=(1,))
    (tmp_path / "second" / "train.parquet").unlink()
    with pytest.raises(ValueError, match=r"the training data .* of this run are gone"):
        explain_run(run.path)
    (run.path / "data.json").unlink()
    with pytest.raises(ValueError, match=r"has no data\.json"):
        explain_run(run.path)
