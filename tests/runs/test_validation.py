"""A wrong credit method is a sentence before anything is trained."""

import subprocess
import sys

import pytest

from kawhi.base.errors import CellError
from kawhi.runs.validation import validate_algorithm, validate_benchmarks, validate_credit
from tests.cells import ROOT, cell, options


@pytest.mark.parametrize("credit", options("credit"))
def test_shipped_methods_are_fine(tmp_path, credit):
    validate_credit(cell(tmp_path, f"credit={credit}"))


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("kawhi.method=nope", "unknown credit method 'nope'; known: .*kawhi.*uniform"),
        ("kawhi.options.temperature=0", "need temperature > 0"),
        ("kawhi.options.granularity=word", "choose one of paragraph, sentence, token"),
        ("+kawhi.options.lambda=0.1", "lambda"),
        ("kawhi.regions.strategy=best", "is not one of sguf, all, random, inverse"),
        ("kawhi.regions.skip_ratio=1.5", "outside"),
        ("~kawhi.regions", "needs the blocks"),
        ("+kawhi.also.ft_rl.keep=0.2", "scope"),
        ("+kawhi.also.tor={types:none}", "unknown|missing"),
    ],
)
def test_mistakes_are_named(tmp_path, override, sentence):
    with pytest.raises(CellError, match=sentence):
        validate_credit(cell(tmp_path, override))


def test_stock_verl_needs_nothing(tmp_path):
    validate_credit(cell(tmp_path, "kawhi.method=off", "~kawhi.regions"))


def test_a_benchmark_without_a_task_is_found_before_the_training(tmp_path):
    validate_benchmarks(cell(tmp_path))
    with pytest.raises(CellError, match="there is no task kawhi_nothing in kawhi/evaluation/benchmarks"):
        validate_benchmarks(cell(tmp_path, "benchmarks.0.task=kawhi_nothing"))


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["verl.actor_rollout_ref.rollout.n=1"], "a prompt needs at least 2 responses"),
        (["algorithm=dapo", "scale.overlong_buffer=96"], "overlong_buffer=96 must be below the response's 96"),
        (["verl.actor_rollout_ref.actor.ppo_mini_batch_size=3"], "must be a multiple of actor.ppo_mini_batch_size"),
    ],
)
def test_settings_with_which_nothing_can_be_learnt(tmp_path, overrides, sentence):
    validate_algorithm(cell(tmp_path))
    validate_algorithm(cell(tmp_path, "scale.overlong_buffer=96"))  # which GRPO does not read
    with pytest.raises(CellError, match=sentence):
        validate_algorithm(cell(tmp_path, *overrides))


RECEIVER = "verl_new.actor_rollout_ref.rollout.engine_kwargs.vllm.worker_extension_cls"
STOCK = "verl.workers.rollout.vllm_rollout.utils.vLLMColocateWorkerExtension"


@pytest.mark.parametrize("method", ["kawhi", "off"])
@pytest.mark.parametrize("change", [f"{RECEIVER}={STOCK}", f"~{RECEIVER}"])
def test_a_vllm_that_would_listen_on_another_socket(tmp_path, change, method):
    validate_algorithm(cell(tmp_path, f"kawhi.method={method}"))
    with pytest.raises(CellError, match="does not listen where our actor sends"):
        validate_algorithm(cell(tmp_path, change, f"kawhi.method={method}"))


def test_another_data_set_class_would_show_other_pixels(tmp_path):
    with pytest.raises(CellError, match=r"custom_cls cannot be chosen: .*actor and rollout see different pixels"):
        validate_algorithm(cell(tmp_path, "+verl.data.custom_cls.path=mine.py"))


def test_it_is_one_sentence_before_anything_starts(tmp_path):
    paths = [f"paths.{name}={tmp_path / name}" for name in ("runs", "records", "data")]
    command = [
        sys.executable,
        str(ROOT / "experiments" / "run.py"),
        "-m",
        "credit=uniform,kawhi",
        f"{RECEIVER}={STOCK}",
    ]
    done = subprocess.run([*command, *paths], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {RECEIVER}={STOCK} does not listen where")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("runs/*/*"))
