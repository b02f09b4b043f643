"""Every way in which a training run is known to go wrong without stopping."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import save_file

from kawhi.base.health import CORRELATION, GRADIENT, KL, STOPPED, sickness, training_problems, weights_changed
from tests.cells import metrics_row

LIMITS = {"correlation": 0.999, "kl": 0.02}
GOOD_LOG = """\
{'data': {'truncation': 'error', 'val_files': 'x.parquet'}}
\x1b[36m(KawhiTaskRunner pid=12)\x1b[0m {'on_error': 'ERRORS', 'level': 'error'}
\x1b[36m(WorkerDict pid=13)\x1b[0m WARNING:2026-11-22 10:00:00,000:no error here
step:1 - critic/rewards/mean:0.25 - actor/error:0.0
"""


def problems(metrics, log=GOOD_LOG, steps=3):
    return training_problems(metrics, log, steps=steps, limits=LIMITS)


def rows(**changes_of_step_2):
    return [metrics_row(1), metrics_row(2, **changes_of_step_2), metrics_row(3)]


FAREWELL = "(vLLMHttpServer pid=7) ERROR 11-22 10:00:00 [async_llm.py:724] AsyncLLM output_handler failed.\n"
TRAINED = "(KawhiTaskRunner pid=12) 'Final validation metrics: None'\n"


def test_a_healthy_run_has_no_problems_and_vllm_may_die_after_the_last_step_but_not_before():
    assert problems(rows()) == []
    assert problems(rows(), log=GOOD_LOG + TRAINED + FAREWELL) == []
    assert problems(rows(), log=GOOD_LOG + FAREWELL + TRAINED) == [f"a worker logged an error: {FAREWELL.strip()}"]
    assert problems(rows(), log=FAREWELL) == [f"a worker logged an error: {FAREWELL.strip()}"]
    stopped = f"(KawhiTaskRunner pid=12) {STOPPED} 2\n"
    assert problems(rows(), log=GOOD_LOG + stopped + FAREWELL) == []
    other = "(WorkerDict pid=9) ERROR:2026-11-22 10:00:00,000:dtype mismatch"
    assert problems(rows(), log=TRAINED + FAREWELL + other) == [f"a worker logged an error: {other}"]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (CORRELATION, 0.06, f"{CORRELATION} is 0.06 at step 2 (1 such steps); it must be > 0.999"),
        (CORRELATION, 0.999, f"{CORRELATION} is 0.999 at step 2 (1 such steps); it must be > 0.999"),
        (CORRELATION, math.nan, f"{CORRELATION} is nan at step 2 (1 such steps); it must be > 0.999"),
        (KL, 0.5, f"{KL} is 0.5 at step 2 (1 such steps); it must be within ±0.02"),
        (KL, -0.5, f"{KL} is -0.5 at step 2 (1 such steps); it must be within ±0.02"),
        (KL, math.nan, f"{KL} is nan at step 2 (1 such steps); it must be within ±0.02"),
        (GRADIENT, math.inf, f"{GRADIENT} is inf at step 2 (1 such steps); it must be finite"),
        (GRADIENT, math.nan, f"{GRADIENT} is nan at step 2 (1 such steps); it must be finite"),
    ],
)
def test_one_bad_step_is_a_problem(name, value, sentence):
    assert problems(rows(**{name: value})) == [sentence]


def test_bad_steps_are_counted():
    bad = [metrics_row(step, **{KL: 1.0}) for step in (1, 2, 3)]
    assert problems(bad) == [f"{KL} is 1 at step 1 (3 such steps); it must be within ±0.02"]


@pytest.mark.parametrize("name", [CORRELATION, KL, GRADIENT])
def test_a_metric_that_was_not_logged_is_a_problem_and_verl_writes_nan_as_null(name):
    (sentence,) = problems(rows(**{name: None}))
    assert sentence.startswith(f"{name} is nan at step 2 ")
    metrics = rows()
    del metrics[1][name]
    assert problems(metrics) == [f"{name} was not logged"]


def test_one_step_without_gradient_is_fine_but_not_all():
    assert problems(rows(**{GRADIENT: 0.0})) == []
    still = [metrics_row(step, **{GRADIENT: 0.0}) for step in (1, 2, 3)]
    assert problems(still) == ["the gradient norm is 0 in every step: nothing was learnt"]


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ([1, 2], "metrics cover 2 steps instead of 1 to 3"),
        ([1, 3], "metrics cover 2 steps instead of 1 to 3"),
        ([2, 3, 4], "metrics cover 3 steps instead of 1 to 3"),
        ([], "metrics cover 0 steps instead of 1 to 3"),
    ],
)
def test_missing_steps_are_a_problem(steps, sentence):
    assert problems([metrics_row(step) for step in steps]) == [sentence]


@pytest.mark.parametrize(
    "line",
    [
        "\x1b[36m(AgentLoopWorkerTQ pid=1)\x1b[0m ERROR:2026-11-22 10:00:00,000:Error in _run_prompt",
        "ERROR:2026-11-22 10:00:00,000:Error in _run_prompt",
        "(EngineCore_0 pid=7) ERROR 11-22 10:00:00 [core.py:710] EngineCore failed to start.",
        "[rank0] ERROR 11-22 10:00:00 something",
        "[2026-11-22 10:00:00]ERROR: something",
        "\x1b[36m(WorkerDict pid=9)\x1b[0m bucket: dtype mismatch for lm_head.weight",
    ],
)
def test_an_error_that_a_worker_only_logs_is_a_problem(line):
    found = problems(rows(), log=f"{GOOD_LOG}{line}\nmore text\n")
    assert found == [f"a worker logged an error: {line}"]


def test_the_first_line_of_the_log_counts_and_a_long_one_is_cut():
    found = problems(rows(), log="ERROR: " + "x" * 1000)
    assert found == ["a worker logged an error: ERROR: " + "x" * 193]


def test_all_problems_are_listed():
    bad = [metrics_row(1, **{KL: 1.0, CORRELATION: 0.0})]
    assert len(problems(bad, log="ERROR: no")) == 4


@pytest.mark.parametrize("bad", [{KL: 1.0}, {CORRELATION: None}, {GRADIENT: math.inf}])
def test_two_steps_in_a_row_outside_a_band_are_a_sickness(bad):
    healthy, ill = {}, dict(bad)
    for steps, sick in [((healthy, ill, healthy, ill), False), ((healthy, ill, ill), True), ((ill, ill), True)]:
        found = sickness([metrics_row(i, **each) for i, each in enumerate(steps, 1)], GOOD_LOG, limits=LIMITS)
        assert bool(found) == sick, found
    assert not sickness([metrics_row(2, **ill), metrics_row(3, **ill)], "", limits=LIMITS, accepted=2)
    assert not sickness([metrics_row(2, **ill), metrics_row(4, **ill)], "", limits=LIMITS)


def test_a_logged_error_is_a_sickness_at_once_and_vllm_s_farewell_is_none():
    assert sickness([], "ERROR: x\n", limits=LIMITS) == ["a worker logged an error: ERROR: x"]
    assert sickness([], TRAINED + FAREWELL, limits=LIMITS) == []
    without = metrics_row(1)
    del without[KL]
    (told,) = sickness([without, {**without, "step": 2}], "", limits=LIMITS)
    assert told.endswith(f"step 1: {KL} was not logged; step 2: {KL} was not logged")


def checkpoint(folder, **tensors):
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_weights_changed(tmp_path):
    weights = {"a": torch.ones(4), "b": torch.arange(4.0)}
    before = checkpoint(tmp_path / "before", **weights)
    same = checkpoint(tmp_path / "same", a=weights["a"].bfloat16(), b=weights["b"].bfloat16())
    moved = checkpoint(tmp_path / "moved", a=weights["a"], b=weights["b"] + torch.tensor([0, 0, 0, 0.5]))
    assert not weights_changed(before, before)
    assert not weights_changed(before, same)  # rounding when saving is no training
    assert weights_changed(before, moved)


def test_weights_are_compared_over_all_shards(tmp_path):
    weights = {"a": torch.ones(4), "b": torch.arange(4.0)}
    before = checkpoint(tmp_path / "before", **weights)
    after = checkpoint(tmp_path / "after", a=weights["a"])
    save_file({"b": weights["b"] + 1}, after / "model-2.safetensors")
    assert weights_changed(before, after)
