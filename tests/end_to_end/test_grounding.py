"""The grounding controls as a cell: prepared, measured, recorded, without a trainer."""

import pytest

pytestmark = pytest.mark.slow

SMALL = ("study=grounding", "study.problems=6", "model=tiny_qwen3_vl")


@pytest.mark.parametrize("image", ["true_image", "wrong_image"])
def test_a_condition_is_measured_and_not_measured_again(workspace, image):
    workspace.run(*SMALL, f"study.image={image}", timeout=200)
    record = workspace.record()
    assert record["study"] == "grounding"
    measured = record["grounding"]
    assert (measured["image"], measured["responses"]) == (image, 6)
    assert measured["paragraphs"] >= 6
    assert measured["reading_responses"] <= 6
    assert measured["reading_responses"] == 0 or measured["reading_chance"] == 0.25
    if image == "true_image":
        assert (measured["order"], measured["same_top"], measured["weight_shift"]) == (1.0, 1.0, 0.0)
    else:
        assert measured["order"] < 1.0
        assert measured["weight_shift"] > 0
    assert not (workspace.run_directory() / "train").exists()
    workspace.run(*SMALL, f"study.image={image}", timeout=60)
    assert workspace.record() == record


def test_a_method_without_alignment_has_nothing_to_control(workspace):
    done = workspace.run(*SMALL, "credit=uniform", timeout=200, code=1)
    assert "credit=uniform has no alignment to control" in done.stderr
