"""What lmms-eval returns is believed only when it is complete and consistent."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from kawhi.data import prepare
from kawhi.evaluation.run import TASKS, _sample, check, configure_task, write_samples
from kawhi.runs.identity import CellError
from kawhi.runs.validation import validate_benchmarks
from tests.cells import cell, options


def samples(*correct: bool, **changes_of_the_last) -> list[dict]:
    rows = [{"id": i, "response": "\\boxed{7}", "correct": each} for i, each in enumerate(correct)]
    rows[-1] |= changes_of_the_last
    return rows


def test_a_complete_and_consistent_result_is_believed():
    check(samples(True, True, False, False), 0.5, 4)


@pytest.mark.parametrize(
    ("rows", "reported", "sentence"),
    [
        (samples(True, True), 1.0, r"returned 2 samples \(2 different\) instead of 3"),
        (samples(True, True, True, id=1), 1.0, r"returned 3 samples \(2 different\) instead of 3"),
        (samples(True, True, True, True), 1.0, r"returned 4 samples \(4 different\) instead of 3"),
        (
            samples(True, True, False, response="[LMMS_EVAL_REQUEST_FAILED after 5 retries]"),
            2 / 3,
            "^1 requests to the model failed, the first for sample 2; run again$",
        ),
        (samples(True, False, True), 0.5, "reports an accuracy of 0.5, its samples give 0.666"),
    ],
    ids=["missing", "duplicate", "too many", "failed request", "inconsistent"],
)
def test_any_other_is_refused(rows, reported, sentence):
    with pytest.raises(CellError, match=sentence):
        check(rows, reported, 3)


def raw(**changes) -> dict:
    """A sample as lmms-eval logs it."""
    return {
        "doc_id": 4,
        "doc": {"extra_info": {"question": "Q?", "task": "chart"}},
        "target": "7",
        "resps": [["\\boxed{7}"]],
        "accuracy": 1.0,
    } | changes


def test_a_sample_in_our_form():
    assert _sample(raw(), len) == {
        "id": 4,
        "question": "Q?",
        "task": "chart",
        "answer": "7",
        "response": "\\boxed{7}",
        "correct": True,
        "tokens": 9,
    }


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"resps": ["flat"]}, "response", "flat"),
        ({"accuracy": 0.0}, "correct", False),
        ({"resps": [["four"]]}, "tokens", 4),
    ],
)
def test_what_a_sample_may_look_like(changes, field, value):
    assert _sample(raw(**changes), len)[field] == value


def test_samples_are_written_whole(tmp_path):
    path = tmp_path / "new" / "samples.parquet"
    write_samples(path, [_sample(raw(doc_id=i), len) for i in range(3)])
    assert [row["id"] for row in pq.read_table(path).to_pylist()] == [0, 1, 2]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("temperature", "sampling"),
    [(1.0, {"do_sample": True, "top_p": 1.0, "top_k": 0}), (0.0, {"do_sample": False})],
    ids=["sampled", "greedy"],
)
def test_the_task_has_the_cell_s_decoding(tmp_path, temperature, sampling):
    asked = cell(tmp_path, f"evaluation.temperature={temperature}", "evaluation.max_new_tokens=50")
    configure_task(asked, "kawhi_tiny", tmp_path / "held out.parquet", tmp_path / "task")
    written = OmegaConf.to_container(OmegaConf.load(tmp_path / "task" / "kawhi_tiny.yaml"))
    assert written["task"] == "kawhi_tiny"
    assert written["include"] == str(TASKS / "kawhi_tiny" / "kawhi_tiny.yaml")
    assert written["dataset_kwargs"] == {"data_files": {"test": str(tmp_path / "held out.parquet")}}
    decoding = {"until": [], "max_new_tokens": 50, "temperature": temperature}
    assert written["generation_kwargs"] == decoding | sampling


@pytest.mark.parametrize("benchmarks", options("benchmarks"))
def test_every_benchmark_has_its_task_or_is_refused_before_the_training(tmp_path, benchmarks):
    asked = cell(tmp_path, f"benchmarks={benchmarks}")
    there = [(TASKS / benchmark.task / f"{benchmark.task}.yaml").is_file() for benchmark in asked.benchmarks]
    if all(there):
        validate_benchmarks(asked)
    else:
        with pytest.raises(CellError, match=f"there is no task {asked.benchmarks[there.index(False)].task}"):
            validate_benchmarks(asked)


def test_the_drawn_benchmark_has_its_task(tmp_path):
    validate_benchmarks(cell(tmp_path))


@pytest.mark.slow
def test_lmms_eval_loads_the_task(tmp_path):
    from lmms_eval.tasks import TaskManager, get_task_dict

    asked = cell(tmp_path)
    data = prepare.tiny_file(asked, "heldout", 3, 0)
    configure_task(asked, "kawhi_tiny", data, tmp_path / "task")
    manager = TaskManager("ERROR", include_path=str(tmp_path / "task"), model_name=asked.model.lmms_eval_model)
    task = get_task_dict(["kawhi_tiny"], manager)["kawhi_tiny"]
    rows = list(task.test_docs())
    assert len(rows) == 3
    assert task.doc_to_text(rows[0]) == rows[0]["extra_info"]["question"]
    assert task.doc_to_visual(rows[0])[0].size == (asked.model.image_size,) * 2
    assert task.doc_to_target(rows[0]) == rows[0]["reward_model"]["ground_truth"]
    right = f"So \\boxed{{{rows[0]['reward_model']['ground_truth']}}}"
    assert task.process_results(rows[0], [right]) == {"accuracy": 1.0}
    assert task.process_results(rows[0], ["no answer"]) == {"accuracy": 0.0}
    assert task.config.generation_kwargs["max_new_tokens"] == asked.evaluation.max_new_tokens
    assert task.config.generation_kwargs["until"] == []
