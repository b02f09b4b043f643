"""What a cell asks for is what lmms-eval reads."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from kawhi.base.errors import CellError
from kawhi.evaluation import TASKS
from kawhi.evaluation.benchmark import TaskRun, exists
from kawhi.evaluation.task_runs import configure_task, task_name, task_runs
from kawhi.runs import prepare
from kawhi.runs.validation import validate_benchmarks
from tests.cells import cell, options

ENTRY = {"task": "kawhi_tiny", "title": "Tiny world", "problems": 3, "seed": 0}


@pytest.mark.parametrize(
    ("temperature", "sampling"),
    [(1.0, {"do_sample": True, "top_p": 1.0, "top_k": 0}), (0.0, {"do_sample": False})],
    ids=["sampled", "greedy"],
)
def test_the_task_has_the_cell_s_decoding(tmp_path, temperature, sampling):
    asked = cell(tmp_path, f"evaluation.temperature={temperature}", "evaluation.max_new_tokens=50")
    data = tmp_path / "held out.parquet"
    assert configure_task(asked, ENTRY, TaskRun(3), data, tmp_path / "task") == "kawhi_tiny"
    written = OmegaConf.to_container(OmegaConf.load(tmp_path / "task" / "kawhi_tiny.yaml"))
    assert written["task"] == "kawhi_tiny"
    assert written["include"] == str(TASKS / "kawhi_tiny" / "kawhi_tiny.yaml")
    assert written["dataset_kwargs"] == {"data_files": {"test": str(data)}}
    decoding = {"until": [], "max_new_tokens": 50, "temperature": temperature}
    assert written["generation_kwargs"] == decoding | sampling


def test_a_pass_has_its_own_name_options_and_split(tmp_path):
    run = TaskRun(3, "cot", {"test_split": "testmini"}, {"shot_type": "cot"})
    name = configure_task(cell(tmp_path), ENTRY, run, None, tmp_path)
    assert name == task_name("kawhi_tiny", run) == "kawhi_tiny_cot"
    written = OmegaConf.to_container(OmegaConf.load(tmp_path / "kawhi_tiny_cot.yaml"))
    assert written["task"] == "kawhi_tiny_cot"
    assert written["test_split"] == "testmini"
    assert written["lmms_eval_specific_kwargs"] == {"default": {"shot_type": "cot"}}
    assert "dataset_path" not in written


def test_an_option_that_a_benchmark_does_not_have_is_refused():
    with pytest.raises(CellError, match="benchmark kawhi_tiny: unknown option splitt; known are problems, seed"):
        task_runs(ENTRY | {"splitt": "test"})


def test_a_file_of_one_s_own_needs_its_number_of_samples():
    assert [run.problems for run in task_runs({"task": "kawhi_tiny", "data_file": "x", "problems": 7, "seed": 0})] == [
        7
    ]
    with pytest.raises(CellError, match="kawhi_tiny with a data_file needs `problems`"):
        task_runs({"task": "kawhi_tiny", "data_file": "x"})


@pytest.mark.parametrize("benchmarks", options("benchmarks"))
@pytest.mark.parametrize("scale", options("scale"))
def test_every_benchmark_of_conf_has_its_task_and_its_options(tmp_path, benchmarks, scale):
    judge = ("judge=endpoint", "judge.base_url=http://here/v1")
    asked = cell(tmp_path, f"benchmarks={benchmarks}", f"scale={scale}", "model=qwen2_5_vl_7b", *judge)
    validate_benchmarks(asked)
    for benchmark in asked.benchmarks:
        assert exists(benchmark.task)
        assert (TASKS / benchmark.task / f"{benchmark.task}.yaml").is_file()


def test_a_judged_benchmark_without_a_judge_is_refused_before_the_training(tmp_path):
    with pytest.raises(CellError, match="a judge decides kawhi_mathverse, kawhi_mathvision and the cell has none"):
        validate_benchmarks(cell(tmp_path, "benchmarks=ablation"))


def test_a_judge_without_an_address_is_refused_before_the_training(tmp_path):
    with pytest.raises(CellError, match=r"judge.base_url is not set"):
        validate_benchmarks(cell(tmp_path, "benchmarks=ablation", "judge=endpoint"))
    validate_benchmarks(cell(tmp_path, "benchmarks=ablation", "judge=qwen3_vl_30b_a3b"))


@pytest.mark.parametrize("wrong", ["concurrency=0", "attempts=abc", "timeout=0", "temperature=abc", "seed=0.5"])
def test_a_judge_s_setting_that_is_none_is_refused_before_the_training(tmp_path, wrong):
    asked = cell(tmp_path, "benchmarks=ablation", "judge=endpoint", "judge.base_url=http://here/v1", f"judge.{wrong}")
    with pytest.raises(CellError, match=f"judge.{wrong.split('=')[0]}=.* must be a number of at least"):
        validate_benchmarks(asked)


def test_a_benchmark_twice_is_refused(tmp_path):
    asked = cell(tmp_path)
    asked.benchmarks.append(dict(asked.benchmarks[0]))
    with pytest.raises(CellError, match="kawhi_tiny is asked for twice"):
        validate_benchmarks(asked)


def test_a_benchmark_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(CellError, match="there is no task kawhi_nothing"):
        validate_benchmarks(cell(tmp_path, "benchmarks.0.task=kawhi_nothing"))


@pytest.mark.slow
def test_lmms_eval_loads_the_task(tmp_path):
    from lmms_eval.tasks import TaskManager, get_task_dict

    asked = cell(tmp_path)
    data = prepare.tiny_file(asked, "heldout", 3, 0)
    configure_task(asked, ENTRY, TaskRun(3), data, tmp_path / "task")
    folder, backend = str(tmp_path / "task"), asked.model.lmms_eval_model
    manager = TaskManager("ERROR", include_path=folder, include_defaults=False, model_name=backend)
    task = get_task_dict(["kawhi_tiny"], manager)["kawhi_tiny"]
    rows = list(task.test_docs())
    assert len(rows) == 3
    assert task.doc_to_text(rows[0]) == rows[0]["extra_info"]["question"]
    assert task.doc_to_visual(rows[0])[0].size == (asked.model.image_size,) * 2
    assert task.doc_to_target(rows[0]) == rows[0]["reward_model"]["ground_truth"]
    right = f"So \\boxed{{{rows[0]['reward_model']['ground_truth']}}}"
    assert task.process_results(rows[0], [right]) == {"rule": 1.0}
    assert task.process_results(rows[0], ["no answer"]) == {"rule": 0.0}
    assert task.config.generation_kwargs["max_new_tokens"] == asked.evaluation.max_new_tokens
    assert task.config.generation_kwargs["until"] == []
