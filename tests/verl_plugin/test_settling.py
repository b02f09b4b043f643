"""A command line of verl that would train without its credit method, or stop later, is refused in one sentence."""

from __future__ import annotations

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from kawhi.base.checkout import resolve_package_paths
from kawhi.base.checkpoint_weights import weights_fingerprint
from kawhi.base.errors import CellError
from kawhi.tiny.dataset import write_split
from kawhi.verl_plugin.settling import heads_of, settle
from tests.cells import options

from .test_credit_choices import in_verl

TINY = resolve_package_paths("pkg://kawhi.tiny/checkpoints/qwen2_5_vl")


@pytest.fixture
def words(tmp_path, monkeypatch) -> list[str]:
    """Of a script that names its files and its model."""
    monkeypatch.delenv("VERL_ENGINE_VENDOR", raising=False)
    monkeypatch.delenv("VERL_FILE_LOGGER_PATH", raising=False)
    write_split(tmp_path / "some.parquet", "train", 2, 168, seed=0)
    files = [f"data.{name}_files={tmp_path / 'some.parquet'}" for name in ("train", "val")]
    return [*files, f"actor_rollout_ref.model.path={TINY}", "actor_rollout_ref.rollout.name=vllm"]


def settled(*words: str):
    config = in_verl(*words)
    OmegaConf.set_struct(config, True)  # as Hydra hands it over
    settle(config)
    return config


@pytest.mark.parametrize("name", options("credit"))
def test_every_method_is_ready_to_train(words, name):
    config = settled(f"kawhi={name}", *words)
    if "alignment" in config.kawhi:
        assert config.kawhi.alignment.heads == [1, 2]


REFUSED = {
    "no method": ([], "no credit method is chosen: add kawhi=NAME, one of anti_oracle"),
    "sequence parallel": (["actor_rollout_ref.actor.ulysses_sequence_parallel_size=2"], "needs whole sequences"),
    "strategy": (["actor_rollout_ref.actor.strategy=megatron"], "actor.strategy=megatron must be fsdp2"),
    "old trainer": (["trainer.use_v1=false"], "trainer.use_v1=False must be True"),
    "mode": (["trainer.v1.trainer_mode=separate_async"], "trainer_mode=separate_async must be sync"),
    "library": (["actor_rollout_ref.model.external_lib=mine"], "external_lib=mine leaves out the engine"),
    "vendor": (["ray_kwargs.ray_init.runtime_env.env_vars.VERL_ENGINE_VENDOR=nvidia"], "VERL_ENGINE_VENDOR=nvidia"),
    "rollout": (["actor_rollout_ref.rollout.name=sglang"], "rollout.name=sglang must be vllm"),
    "loop": (
        ["actor_rollout_ref.rollout.agent.default_agent_loop=single_turn_agent"],
        "actor_rollout_ref.rollout.agent.default_agent_loop=single_turn_agent selects no regions",
    ),
    "no rollout": (["actor_rollout_ref.rollout.name=???"], "rollout.name=None must be vllm"),
    "files": (["data.train_files=none.parquet"], "the data file none.parquet does not exist"),
    "one of many files": (["data.val_files=[none.parquet]"], "the data file none.parquet does not exist"),
    "an option": (["kawhi.options.w_min=2"], "kawhi.method=kawhi: "),
    "alignment": (["kawhi.alignment.metric=key"], "kawhi.method=kawhi: "),
    "model": (["actor_rollout_ref.model.path=/models/Other-32B"], "the model folder /models/Other-32B does not exist"),
}


@pytest.mark.parametrize(("given", "told"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_refused(words, given, told):
    chosen = ["kawhi=kawhi"] if given else []
    with pytest.raises(CellError) as refused:
        settled(*chosen, *words, *given)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_another_version_of_verl_is_refused(words, monkeypatch):
    monkeypatch.setattr("kawhi.base.pins.version", lambda package: "0.8.0")
    with pytest.raises(CellError, match=r"verl is 0\.8\.0 and must be 0\.9\.1"):
        settled("kawhi=kawhi", *words)


def test_a_method_without_regions_takes_any_loop(words):
    settled("kawhi=uniform", *words, "actor_rollout_ref.rollout.agent.default_agent_loop=single_turn_agent")


def test_libraries_of_one_s_own_stand_beside_ours(words):
    settled("kawhi=kawhi", *words, "actor_rollout_ref.model.external_lib=[mine,kawhi.verl_plugin.worker]")


def test_data_that_choose_an_agent_loop_are_refused(words, tmp_path):
    file = tmp_path / "some.parquet"
    table = pq.read_table(file)
    pq.write_table(table.append_column("agent_name", pa.array(["tool_agent"] * len(table))), file)
    with pytest.raises(CellError, match=r"some.parquet names an agent loop for each row .*: drop the column"):
        settled("kawhi=kawhi", *words)
    settled("kawhi=uniform", *words)


def test_the_folder_of_the_metrics_is_made(words, tmp_path, monkeypatch):
    monkeypatch.setenv("VERL_FILE_LOGGER_PATH", str(tmp_path / "a" / "b" / "metrics.jsonl"))
    settled("+kawhi.method=off", *words)
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize(
    "model",
    [
        "Qwen/Qwen2.5-VL-7B-Instruct",
        "/m/Qwen2.5-VL-7B-Instruct",
        "/models--Qwen--Qwen2.5-VL-7B-Instruct/snapshots/a",
    ],
)
def test_heads_are_those_of_the_model_s_own_file(model, capsys):
    assert heads_of(model) == [0, 1, 3, 22, 23, 24, 25, 26, 27]
    assert "qwen2_5_vl_7b.yaml has them for qwen2.5-vl-7b" in capsys.readouterr().out


def test_a_model_whose_file_names_no_heads_has_all(capsys):
    assert heads_of("Qwen/Qwen2.5-VL-3B-Instruct") is None
    assert heads_of(TINY) == [1, 2]


@pytest.fixture
def other(tmp_path) -> str:
    """A checkpoint that no file of ``conf/model`` is about, in a folder that is called as one of theirs."""
    folder = shutil.copytree(TINY, tmp_path / "models" / "qwen2_5_vl")
    with (folder / "config.json").open("a") as file:
        file.write("\n")
    return str(folder)


def test_no_model_gets_another_one_s_heads(other):
    for model in ("Qwen/Qwen2.5-VL-32B-Instruct", other):
        with pytest.raises(CellError) as refused:
            heads_of(model)
        assert f"which heads of {model} look at the image: `kawhi heads {model} --data" in str(refused.value)
        assert "kawhi.alignment.heads=null" in str(refused.value)


def test_a_model_that_verl_is_to_fetch_needs_its_heads_on_the_command_line(words):
    remote = "actor_rollout_ref.model.path=hdfs://models/of/Mine-7B"
    with pytest.raises(CellError, match=r"which heads of hdfs://models/of/Mine-7B look .* add kawhi.alignment.heads="):
        settled("kawhi=kawhi", *words, remote)
    assert settled("kawhi=kawhi", *words, remote, "kawhi.alignment.heads=[0]").kawhi.alignment.heads == [0]


@pytest.mark.parametrize(("found", "taken"), [([0, 2], [0, 2]), ([], None)])
def test_heads_that_were_measured_of_these_weights_are_taken(tmp_path, monkeypatch, capsys, other, found, taken):
    monkeypatch.setenv("KAWHI_RECORDS", str(tmp_path / "records"))
    (tmp_path / "records").mkdir()
    record = {"model": {"weights": weights_fingerprint(other)}, "heads": {"critical_heads": found}}
    (tmp_path / "records" / "any_heads-0.json").write_text(json.dumps(record))
    assert heads_of(other) == taken
    assert f"kawhi.alignment.heads={taken}, as `kawhi heads` has measured" in capsys.readouterr().out
