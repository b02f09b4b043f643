"""What a method looked at, token by token: of ToR, VPPO and FT-RL as it was recorded."""

from __future__ import annotations

import math
import re

import pytest

from kawhi.explain.page import render
from kawhi.explain.token_view import rows, strips
from kawhi.explain.training_step import explain_run
from tests.explain.conftest import ANSWERS, own_signals, record


def recorded(run, step: int = 1, prompt: int = 0) -> list[dict]:
    return run.step(step)["prompts"][prompt]["responses"]


def test_tor_shows_its_two_measures_and_the_weight_of_every_token(tor_run):
    found, _ = explain_run(tor_run.path, 1, prompt=1)
    for answer, response, text in zip(found.answers, recorded(tor_run), ANSWERS, strict=True):
        own, signals = answer.tokens, response["signals"]
        assert "".join(own.texts) == text + "<|im_end|>"
        assert own.weights == response["weights"]
        assert own.measures["nucleus_entropy"] == pytest.approx(signals["nucleus_entropy"], abs=1e-5)
        added = [a - b for a, b in zip(signals["log_probs"], signals["blank_log_probs"], strict=True)]
        assert own.measures["logp_diff"] == pytest.approx(added, abs=2e-5)
        assert set(own.measures) == {"nucleus_entropy", "logp_diff"}
        at = 0
        for paragraph in answer.paragraphs:
            inside = added[at : (at := at + paragraph.tokens)]
            assert paragraph.measures["logp_diff"] == pytest.approx(sum(inside) / len(inside), abs=2e-5)
    assert found.notes == [
        "ToR gives credit by nucleus entropy and log-prob difference: there is no alpha, and no heat map."
    ]


def test_tor_by_probability_shows_that_difference(tmp_path):
    run = own_signals(record(tmp_path, "credit=tor", "kawhi.options.proxy=prob", steps=(1,)))
    (answer, *_) = explain_run(run.path, prompt=1)[0].answers
    signals = recorded(run)[0]["signals"]
    assert set(answer.tokens.measures) == {"nucleus_entropy", "prob_diff"}
    expected = math.exp(signals["log_probs"][0]) - math.exp(signals["blank_log_probs"][0])
    assert answer.tokens.measures["prob_diff"][0] == pytest.approx(expected, abs=2e-5)


def test_vppo_shows_how_far_tokens_depend_on_the_image(tmp_path):
    run = own_signals(record(tmp_path, "credit=vppo", steps=(1,)))
    found, _ = explain_run(run.path, prompt=1)
    signals = recorded(run)[0]["signals"]
    d = signals["perturbed_log_probs"][2] - signals["log_probs"][2]
    assert found.answers[0].tokens.measures["dependency"][2] == pytest.approx(math.exp(d) - d - 1, abs=1e-4)
    assert set(found.answers[0].tokens.measures) == {"dependency"}
    assert found.notes == ["VPPO gives credit by image dependency: there is no alpha, and no heat map."]


def test_ft_rl_shows_the_entropy(tmp_path):
    run = own_signals(record(tmp_path, "credit=ft_rl", steps=(1,)))
    found, _ = explain_run(run.path, prompt=1)
    assert found.answers[1].tokens.measures == {"entropy": recorded(run)[1]["signals"]["entropy"]}
    assert found.notes == ["FT-RL gives credit by entropy, without looking at the image: there is no alpha."]


def test_kawhi_by_token_shows_alpha_by_token_and_by_paragraph_it_does_not(training_run, tmp_path):
    assert {answer.tokens for answer in explain_run(training_run.path, 1)[0].answers} == {None}
    run = record(tmp_path, "credit=kawhi", "kawhi.options.granularity=token", steps=(1,))
    (answer, *_) = explain_run(run.path, prompt=1)[0].answers
    assert answer.tokens.measures == {"alignment": recorded(run)[0]["alpha"]}
    assert answer.paragraphs[0].measures == {}


@pytest.mark.parametrize("method", ["tor", "vppo", "ft_rl"])
def test_a_step_that_kept_no_signals_is_told(tmp_path, method):
    found, _ = explain_run(record(tmp_path, f"credit={method}", steps=(1,)).path)
    assert re.fullmatch(r"This step kept no signals of \S+, which has no alpha: weights are all .*", found.notes[0])
    assert {answer.tokens for answer in found.answers} == {None}
    assert found.course is None
    assert "token by token" not in render(found)


def test_strips_have_the_whole_text_and_the_darkest_token_is_the_largest(tor_run):
    found, _ = explain_run(tor_run.path, 1, prompt=1)
    for answer in found.answers:
        drawn = strips(found, answer)
        assert [strip.words for strip in drawn] == ["nucleus entropy", "log-prob difference", "weight"]
        for strip in drawn:
            assert "".join(text for _, text in strip.runs) == "".join(answer.tokens.texts).replace("\n\n", "\n")
            assert all(first[0] != second[0] for first, second in zip(strip.runs, strip.runs[1:], strict=False))
    longest = found.answers[0]
    entropies = longest.tokens.measures["nucleus_entropy"]
    red = [int(colour[3:5], 16) for colour, text in strips(found, longest)[0].runs]  # green falls as vermilion fills
    largest = longest.tokens.texts[entropies.index(max(entropies))]
    assert largest in strips(found, longest)[0].runs[red.index(min(red))][1]


def test_every_token_stands_in_the_table_with_its_numbers(tor_run):
    found, _ = explain_run(tor_run.path, 1, prompt=1)
    heads, listed = rows(found.answers[0].tokens)
    assert heads == ["nucleus entropy", "log-prob difference", "weight"]
    tokens = found.answers[0].tokens
    assert [float(cells[0]) for _, cells in listed] == pytest.approx(tokens.measures["nucleus_entropy"], abs=5e-4)
    assert [float(cells[2]) for _, cells in listed] == pytest.approx(tokens.weights, abs=5e-4)
    assert [listed[at][0] for at in (0, 1, 4, 9)] == ["We", " need", ".⏎⏎", "␣"]
    page = render(found)
    assert page.count("token by token") == len(ANSWERS)
    for _, cells in listed:
        assert f"<td>{cells[0]}</td>" in page
