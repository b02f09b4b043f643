"""One cell from configuration to record, with the real verl, vLLM and lmms-eval, in both families.

The first family's is a sweep behind the baseline gate, the second's a plain run.
"""

import json
import shlex
import shutil

import pytest
from safetensors import safe_open

from kawhi.base.rundir import RunDirectory
from kawhi.records.folder import parse_record
from kawhi.runs.record import rebuilt

from .conftest import BASELINE, SMALL, TRAINED, Workspace

pytestmark = pytest.mark.slow


# Both families, and both places where visual tokens are selected: the agent loop and the engine.
@pytest.fixture(scope="module", params=[("tiny_qwen2_5_vl", "sguf"), ("tiny_qwen3_vl", "visionzip")])
def finished(request, tmp_path_factory):
    """A finished KAWHI cell and its workspace."""
    model, strategy = request.param
    if strategy == "sguf":
        return request.getfixturevalue("undisturbed")
    workspace = Workspace(tmp_path_factory.mktemp(model))
    workspace.run(f"model={model}", f"kawhi.regions.strategy={strategy}", *SMALL)
    return workspace


def test_a_baseline_outside_its_interval_stops_the_sweep_before_any_training(undisturbed):
    code, stdout, stderr = undisturbed.kept("refused")
    assert code == 1
    assert "1 untrained models to evaluate before anything is trained" in stdout
    assert "error: the untrained model does not have the paper's score, so nothing is trained" in stderr
    assert "set gate.stop=false to go on" in stderr
    assert undisturbed.kept("after the refusal") == ["evaluation"]


def test_a_baseline_inside_its_interval_is_not_evaluated_again(undisturbed):
    code, stdout, _ = undisturbed.kept("passed")
    assert code == 0
    assert "is in [" in stdout
    assert "untrained models to evaluate" not in stdout
    assert [record["study"] for record in undisturbed.records()] == ["training", "evaluation", "evaluation"]


def test_the_untrained_model_is_evaluated_without_training(undisturbed):
    (record,) = undisturbed.records(BASELINE)
    assert record["config"]["of"]["study"] == "baseline"
    assert record["result"]["n"] == 32
    assert record["config"].keys() == {"of", "model", "benchmark", "evaluation", "study", "scale"}
    assert not (undisturbed.run_directory(BASELINE) / "train").exists()
    undisturbed.run("study=baseline", "credit=vppo", "algorithm=dapo", *SMALL[-2:])
    assert len(undisturbed.records()) == 3, "no method and no algorithm is part of it"


def test_the_record_holds_what_a_table_needs(finished):
    record = finished.record()
    assert record["provenance"] == "tiny"
    assert record["benchmarks"]["kawhi_tiny"]["n"] == 32
    assert len(record["training"]["reward"]) == 2
    assert record["health"]["correlation_min"] > 0.999
    assert record["health"]["kl_max"] < 0.02
    assert record["health"]["grad_norm_max"] > 0
    assert 0.1 < record["training"]["weight_mean"][0] < 1.0


def test_the_record_is_sound_and_says_what_made_it(finished):
    found, evaluation = map(parse_record, finished.records(TRAINED))
    assert evaluation.result.verdicts.scores().sum() == evaluation.result.correct
    assert evaluation.datasets.keys() == {"kawhi_tiny"}
    assert evaluation.config["of"] == {"study": "training", "hash": found.cell.hash}
    assert evaluation.run.seconds.keys() == {"generate", "score"}
    assert found.datasets.keys() == {"train"}
    assert sum(found.training.paragraph_counts.values()) == 2 * 4 * 4  # steps, recorded prompts, responses
    assert sum(found.training.weight_histogram) > 0
    assert found.training.examples[0].paragraphs
    assert found.run.duration_s > 0
    assert found.run.peak_memory_gib > 1
    assert found.run.launches >= 4
    assert found.run.attention == evaluation.run.attention == "sdpa"
    assert len(found.run.git.commit) == 40


def test_a_record_can_be_built_again_from_its_run(finished):
    before = finished.records(TRAINED)
    for folder, record in zip((finished.run_directory(TRAINED), finished.evaluation(TRAINED)), before, strict=True):
        assert RunDirectory(folder).record.exists()
        assert json.loads(rebuilt(folder).read_text()) == record


def test_kawhi_parts_are_timed(finished):
    timing = finished.record()["run"]["timing_s"]
    assert {"timing_s/kawhi_regions", "timing_s/kawhi_alignment", "timing_s/kawhi_weights"} <= timing.keys()


def test_every_step_keeps_samples(finished):
    steps = sorted((finished.run_directory() / "train" / "steps").glob("*.json"))
    assert [file.name for file in steps] == ["000001.json", "000002.json"]
    prompts = json.loads(steps[0].read_text())["prompts"]
    assert [len(prompt["responses"]) for prompt in prompts] == [4] * 4
    assert len({prompt["index"] for prompt in prompts}) == 4
    for response in (response for prompt in prompts for response in prompt["responses"]):
        assert len(response["token_ids"]) == len(response["alpha"]) == len(response["weights"])
        assert min(response["weights"]) >= 0.1


def test_an_image_is_analysed_once(finished):
    """32 prompts in two steps of 8: 16 images, or none where the engine selects."""
    maps = list((finished.run_directory() / "train" / "regions").rglob("*.npz"))
    strategy = finished.record()["config"]["kawhi"]["regions"]["strategy"]
    assert len(maps) == (16 if strategy == "sguf" else 0)


def test_the_merged_checkpoint_is_a_hugging_face_model(finished):
    merged = finished.run_directory() / "train" / "merged"
    (weights,) = merged.glob("*.safetensors")
    with safe_open(weights, "pt") as tensors:
        assert any("layers.3.self_attn.q_proj" in name for name in tensors.keys())
    assert (merged / "config.json").exists()
    assert list(merged.glob("*processor_config.json"))


def test_samples_are_kept(finished):
    import pyarrow.parquet as pq

    rows = pq.read_table(finished.evaluation(TRAINED) / "samples.parquet").to_pylist()
    assert [row["id"] for row in rows] == [str(i) for i in range(32)]
    assert sum(row["score"] for row in rows) == finished.record()["benchmarks"]["kawhi_tiny"]["correct"]


def test_tensorboard_has_every_step_once_and_the_scores(finished):
    events = finished.run_directory() / "tensorboard"
    record = finished.record()
    if record["model"]["family"] == "qwen3_vl":
        assert not events.exists()  # logger=file
        return
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(events)).Reload()
    curve = {name: [(each.step, each.value) for each in read.Scalars(name)] for name in read.Tags()["scalars"]}
    for name, values in (("kawhi/weight/mean", "weight_mean"), ("response_length/mean", "response_length")):
        expected = enumerate(record["training"][values], start=1)
        assert curve[name] == [(step, pytest.approx(value)) for step, value in expected]
    assert curve["score/kawhi_tiny"] == [(2, pytest.approx(record["benchmarks"]["kawhi_tiny"]["score"]))]


def test_the_command_of_the_record_names_this_cell_and_a_second_run_does_nothing(finished):
    before = finished.record()
    record_file, launches = (finished.run_directory() / name for name in ("record.json", "launches.json"))
    stamps = record_file.stat().st_mtime_ns, launches.stat().st_mtime_ns
    words = shlex.split(before["command"])
    assert words[:2] == ["python", "experiments/run.py"]
    done = finished.run(*words[2:])
    assert done.stdout.startswith("done: ")
    assert finished.record() == before
    assert (record_file.stat().st_mtime_ns, launches.stat().st_mtime_ns) == stamps, "no stage was started"


def test_another_decoding_or_benchmark_trains_nothing(finished):
    """They are evaluations of the same training, in folders of their own."""
    run_directory, before = finished.run_directory(TRAINED), finished.records(TRAINED)
    trained = (run_directory / "train" / "metrics.jsonl").stat().st_mtime_ns
    words = shlex.split(before[0]["command"])[2:]
    done = finished.run(*words, "evaluation.temperature=0", "benchmarks.0.problems=16")
    assert "(n = 16, " in done.stdout
    after = finished.records(TRAINED)
    assert [record["study"] for record in after] == ["training", "evaluation", "evaluation"]
    assert [record for record in after if record in before] == before
    assert (run_directory / "train" / "metrics.jsonl").stat().st_mtime_ns == trained
    for evaluation in run_directory.glob("eval/*"):  # as it was, for whoever looks next
        if evaluation.name.rpartition("-")[2] not in [record["cell"]["hash"] for record in before]:
            shutil.rmtree(evaluation)
    for file in (finished.folder / "records").glob("*.json"):
        if json.loads(file.read_text()) not in before:
            file.unlink()


def test_nothing_is_left_running(finished):
    assert finished.processes() == []
