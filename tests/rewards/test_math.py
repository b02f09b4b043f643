"""verl's entry points."""

from __future__ import annotations

from pathlib import Path

import pytest

from kawhi.rewards import chart, math

RIGHT = "<think>half of ten</think> So \\boxed{5 \\text{ cm}}"
CHOICES = {"question": "How long is AB?\nChoices:\n(A) 4 cm\n(B) 5 cm", "index": 3}


def test_right_and_wrong():
    assert math.compute_score("geo3k", RIGHT, "5") == {"score": 1.0, "acc": 1.0, "format": 1.0, "refused": 0.0}
    assert math.compute_score("geo3k", RIGHT, "6") == {"score": 0.0, "acc": 0.0, "format": 1.0, "refused": 0.0}
    assert math.compute_score("geo3k", "5 cm", "5") == {"score": 0.0, "acc": 0.0, "format": 0.0, "refused": 0.0}


def test_weight_of_the_format():
    assert math.compute_score("geo3k", RIGHT, "5", format_weight=0.1)["score"] == pytest.approx(1.0)
    assert math.compute_score("geo3k", RIGHT, "6", format_weight=0.1)["score"] == pytest.approx(0.1)
    assert math.compute_score("geo3k", "\\boxed{5}", "5", format_weight=0.1)["score"] == pytest.approx(0.9)
    with pytest.raises(ValueError, match="format_weight"):
        math.compute_score("geo3k", RIGHT, "5", format_weight=2)


def test_choices_come_from_extra_info():
    assert math.compute_score("virl39k", RIGHT, "B", CHOICES)["acc"] == 1.0
    assert math.compute_score("virl39k", RIGHT, "A", CHOICES)["acc"] == 0.0
    assert math.compute_score("virl39k", "\\boxed{B}", "5 cm", extra_info=CHOICES)["acc"] == 1.0
    assert math.compute_score("virl39k", "\\boxed{A}", "5 cm", extra_info=CHOICES)["acc"] == 0.0
    assert math.compute_score("virl39k", "\\boxed{5}", "B", {"choices": ["A. 4 cm", "B. 5 cm"]})["acc"] == 1.0


def test_the_last_box_counts():
    assert math.compute_score("geo3k", "\\boxed{5} or rather \\boxed{6}", "6")["acc"] == 1.0
    assert math.compute_score("geo3k", "\\boxed{5} or rather \\boxed{6}", "5")["acc"] == 0.0


def test_numbers_as_ground_truth():
    assert math.compute_score("geo3k", RIGHT, 5)["acc"] == 1.0
    assert chart.compute_score("chartqa", "\\boxed{5.1}", 5)["acc"] == 1.0


def test_chart():
    assert chart.compute_score("chartqa", "<think></think>\\boxed{104}", "100", format_weight=0.5) == {
        "score": 1.0,
        "acc": 1.0,
        "format": 1.0,
    }
    assert chart.compute_score("chartqa", "\\boxed{106}", "100")["acc"] == 0.0
    assert chart.compute_score("chartqa", "100", "100")["acc"] == 0.0


def test_a_year_counts_as_one_unless_the_question_asks_for_none():
    year, members = {"question": "In which year did it peak?"}, {"question": "How many members are there?"}
    for more, acc in ((None, 0.0), (year, 0.0), (members, 1.0)):
        assert chart.compute_score("chartqa", "\\boxed{2008}", "1998", more)["acc"] == acc
    assert chart.compute_score("chartqa", "\\boxed{2008}", "1998", year, years="relaxed")["acc"] == 1.0
    assert chart.compute_score("chartqa", "\\boxed{54\\%}", "54")["acc"] == 1.0
    assert chart.compute_score("chartqa", "\\boxed{54\\%}", "54", percent="quantity")["acc"] == 0.0
    with pytest.raises(ValueError, match="years='close'"):
        chart.compute_score("chartqa", "\\boxed{5}", "5", years="close")


@pytest.mark.parametrize("reward", [math, chart])
def test_an_empty_ground_truth_stops_the_run(reward):
    with pytest.raises(ValueError, match="empty"):
        reward.compute_score("geo3k", RIGHT, " ")


@pytest.mark.slow
@pytest.mark.parametrize(("reward", "answer"), [("math", "\\boxed{\\frac{10}{2}}"), ("chart", "\\boxed{5.2}")])
def test_verl_loads_them_by_path_with_a_weight(reward, answer):
    from omegaconf import OmegaConf
    from verl.trainer.ppo.reward import get_custom_reward_fn

    path = Path(math.__file__).with_name(f"{reward}.py")
    function = {"path": str(path), "name": "compute_score", "reward_kwargs": {"format_weight": 0.1}}
    score = get_custom_reward_fn(OmegaConf.create({"reward": {"custom_reward_function": function}}))
    result = score(data_source="geo3k", solution_str=answer, ground_truth="5", extra_info={"num_turns": None})
    assert result["score"] == pytest.approx(0.9)
    assert result["acc"] == 1.0
