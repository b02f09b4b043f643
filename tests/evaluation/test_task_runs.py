"""What a cell asks for is what lmms-eval reads."""

from __future__ import annotations

import pytest

from kawhi.base.errors import CellError
from kawhi.evaluation.benchmark import TaskRun, exists
from kawhi.evaluation.task_runs import task_of_cell, task_runs
from kawhi.runs.evaluation_settings import validate_benchmarks
from tests.cells import cell, options
from tests.evaluation.examples.mathvista import CHOICE

ENTRY = {"task": "kawhi_tiny", "title": "Tiny world", "problems": 3, "seed": 0}


@pytest.mark.parametrize(
    ("task", "temperature", "expected"),
    [
        ("kawhi_tiny", 1.0, {"max_new_tokens": 50, "do_sample": True, "top_p": 1.0, "top_k": 0}),
        ("kawhi_tiny", 0.0, {"max_new_tokens": 50, "do_sample": False}),
        ("kawhi_chartmimic", 0.0, {"max_new_tokens": 4096, "do_sample": False}),
    ],
    ids=["sampled", "greedy", "fixed by the benchmark"],
)
def test_the_task_has_the_cell_s_decoding(tmp_path, task, temperature, expected):
    asked = cell(tmp_path, f"evaluation.temperature={temperature}", "evaluation.max_new_tokens=50")
    data = tmp_path / "held out.parquet"
    config = task_of_cell(asked, ENTRY | {"task": task}, TaskRun(3), data)
    assert config["task"] == task
    assert config["dataset_kwargs"] == {"data_files": {"test": [str(data)]}}
    assert config["generation_kwargs"] == {"until": [], "temperature": temperature} | expected


def test_a_pass_has_its_own_name_options_and_split(tmp_path):
    run = TaskRun(3, "cot", {"test_split": "testmini"}, {"prompt": "format"})
    config = task_of_cell(cell(tmp_path), ENTRY | {"task": "kawhi_mathvista"}, run, None)
    assert (config["task"], config["test_split"]) == ("kawhi_mathvista_cot", "testmini")
    assert config["dataset_path"] == "AI4Math/MathVista"
    assert config["doc_to_text"](CHOICE).endswith("from the given choices directly.")


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
    assert all(exists(benchmark.task) for benchmark in asked.benchmarks)


def test_a_benchmark_twice_is_refused(tmp_path):
    asked = cell(tmp_path)
    asked.benchmarks.append(dict(asked.benchmarks[0]))
    with pytest.raises(CellError, match="kawhi_tiny is asked for twice"):
        validate_benchmarks(asked)
