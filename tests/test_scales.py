"""The scales are one list: what a scale sets is a key of ``conf/scale/README.md``, and what is the same is shared."""

from __future__ import annotations

import re
from itertools import product

import pytest
from omegaconf import OmegaConf

from kawhi.base.errors import CellError
from kawhi.base.scales import scale_settings
from kawhi.runs.estimate import step_seconds
from kawhi.runs.validation import validate
from kawhi.runs.verl_command import leaves
from tests.cells import CONF, cell, options

SCALES = options("scale")
GPUS = [scale for scale in SCALES if scale != "cpu"]
ROW = re.compile(r"^\| (?P<key>[a-zA-Z_][\w.]*) \| (?P<by>all|cpu|GPUs|some) \| (?P<why>.+) \|$", re.MULTILINE)
MAY_DIFFER = {row["key"]: row["by"] for row in ROW.finditer((CONF / "scale" / "README.md").read_text())}


def set_by(scale: str) -> dict[str, object]:
    """Every key that a scale sets, with those of the scales that it builds on."""
    return dict(leaves(OmegaConf.to_container(scale_settings(CONF, scale), resolve=False)))


SET = {scale: set_by(scale) for scale in SCALES}


def under(key: str, listed: str) -> bool:
    return key == listed or key.startswith(f"{listed}.")


@pytest.mark.parametrize("scale", SCALES)
def test_a_scale_sets_only_keys_of_the_list(scale):
    assert [key for key in SET[scale] if not any(under(key, listed) for listed in MAY_DIFFER)] == []


@pytest.mark.parametrize(("listed", "by"), MAY_DIFFER.items())
def test_a_key_of_the_list_is_set_where_the_list_says(listed, by):
    setting = {scale for scale in SCALES if any(under(key, listed) for key in SET[scale])}
    if by == "all":
        assert setting == set(SCALES)
    elif by == "cpu":
        assert setting == {"cpu"}
    elif by == "GPUs":
        assert "cpu" not in setting
        assert setting
    else:
        assert setting


@pytest.mark.parametrize("scale", SCALES)
def test_a_block_has_the_same_keys_at_every_scale(tmp_path, scale):
    """A time limit that one scale forgets would be missed when its stage is started."""

    def keys(name: str) -> set[str]:
        return {key for key, _ in leaves(OmegaConf.to_container(cell(tmp_path, f"scale={name}"), resolve=False))}

    here = ("all",) if scale == "cpu" else ("all", "GPUs")
    everywhere = [key for key, by in MAY_DIFFER.items() if by in here and not key.endswith("max_pixels")]
    differ = [key for key in keys(scale) ^ keys("h200x8") if any(under(key, listed) for listed in everywhere)]
    assert [key for key in differ if not key.startswith("scale.step_seconds.credit")] == []


def test_what_every_scale_sets_to_the_same_is_shared_instead():
    everywhere = set.intersection(*(set(own) for own in SET.values()))
    same = [key for key in everywhere if all(own[key] == SET["cpu"][key] for own in SET.values())]
    assert [key for key in same if not key.startswith("scale.")] == []  # in those of a machine some numbers coincide
    shared = dict(leaves(OmegaConf.to_container(OmegaConf.load(CONF / "run.yaml"), resolve=False)))
    assert [key for own in SET.values() for key in own if key in shared] == []  # run.yaml would win, in silence


FULL = ("data=geo3k", "benchmarks=math")
FITTING = [(scale, model) for scale in GPUS for model in ("qwen2_5_vl_7b", "qwen3_vl_4b", "qwen2_5_vl_3b")]
FITTING.remove(("gpu24x1", "qwen2_5_vl_7b"))


@pytest.mark.parametrize(("scale", "model"), FITTING)
def test_every_scale_takes_its_models(tmp_path, scale, model):
    validate(cell(tmp_path, f"scale={scale}", f"model={model}", *FULL, "judge=endpoint", "judge.base_url=http://x/v1"))


@pytest.mark.parametrize(("scale", "model"), [*FITTING, ("cpu", "tiny_qwen2_5_vl"), ("cpu", "tiny_qwen3_vl")])
def test_tor_s_recipe_has_its_own_sizes_and_the_tiny_world_keeps_its_own(tmp_path, scale, model):
    full = () if scale == "cpu" else (*FULL, "judge=endpoint", "judge.base_url=http://x/v1")
    words = (f"scale={scale}", f"model={model}", "algorithm=dapo_no_kl", *full)
    asked = cell(tmp_path, *words, "recipe=tor", "credit=tor")
    validate(asked)
    pixels, evaluation = asked.verl_added.data, asked.evaluation
    buffer = asked.verl_added.reward.reward_kwargs.overlong_buffer_cfg.len
    longest = (asked.verl.data.max_prompt_length, asked.verl.data.max_response_length)
    if scale == "cpu":
        own = asked.model.image_size**2
        assert (pixels.min_pixels, pixels.max_pixels, evaluation.min_pixels, evaluation.max_pixels) == (own,) * 4
        assert (*longest, buffer) == (96, 96, cell(tmp_path).scale.overlong_buffer)
    else:
        assert (pixels.min_pixels, pixels.max_pixels, evaluation.min_pixels) == (262144, 4194304, 262144)
        assert (*longest, buffer) == (2048, 2048, 410)
    plain = cell(tmp_path, *words)
    assert "data" not in plain.verl_added
    assert plain.verl_added.reward.reward_kwargs.overlong_buffer_cfg.len == plain.scale.overlong_buffer


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    "words", [("credit=kawhi",), ("algorithm=dapo_no_kl", "recipe=tor", "credit=tor")], ids=" ".join
)
def test_a_scale_s_limits_leave_a_training_its_time(tmp_path, scale, words):
    full = () if scale == "cpu" else ("model=qwen2_5_vl_3b", *FULL)
    asked = cell(tmp_path, f"scale={scale}", *full, *words)
    seconds, limits = step_seconds(asked), asked.scale.limits
    assert seconds < limits.step
    assert seconds * asked.steps < limits.train
    assert limits.stop < asked.scale.slurm.notice


def test_the_longest_sequence_of_vllm_is_prompt_and_response(tmp_path):
    def longest(*words: str) -> int:
        return cell(tmp_path, *words).verl.actor_rollout_ref.rollout.max_model_len

    assert longest() == 96 + 96 + 64
    assert longest("scale=h200x8", "data=geo3k") == 1024 + 2048
    assert longest("scale=h200x8", "data=geo3k", "algorithm=dapo") == 1024 + 1024
    assert longest("scale=gpu24x1", "data=geo3k", "verl.data.max_response_length=512") == 1024 + 512


def test_a_scale_that_does_not_exist_is_named():
    with pytest.raises(CellError, match="scale=nope is not one of cpu, gpu24x1"):
        scale_settings(CONF, "nope")


SUMS = product(("actor", "ref"), ("reduce_dtype", "buffer_dtype"))
SHARED = {
    "evaluation.server.attempts": 5,
    "evaluation.server.tensor_parallel": 1,  # every published model fits one GPU
    "verl.trainer.nnodes": 1,
    "verl.trainer.val_before_train": False,  # evaluation is a stage of its own
    "verl.trainer.test_freq": -1,
    "verl.trainer.resume_mode": "auto",  # a job that is queued again goes on
    "verl.trainer.total_epochs": 100000,  # below it, epochs would end a run before its steps do
    "verl.trainer.v1.sampler.custom_sampler.path": "pkg://kawhi.verl_plugin/replay_buffer.py",
    "verl.trainer.v1.sampler.custom_sampler.name": "OrderedReplayBuffer",  # else a batch depends on timing
    "verl.data.image_key": "images",
    "verl.data.val_batch_size": 64,
    "verl.actor_rollout_ref.model.use_remove_padding": True,  # packed batches are cheaper
    "verl.actor_rollout_ref.actor.strategy": "fsdp2",  # the engine that ours is a class of
    "verl.actor_rollout_ref.actor.use_dynamic_bsz": True,
    "verl.actor_rollout_ref.actor.fsdp_config.strategy": "fsdp2",
    "verl.actor_rollout_ref.ref.strategy": "fsdp2",
    "verl.actor_rollout_ref.rollout.name": "vllm",
    "verl.actor_rollout_ref.rollout.calculate_log_probs": True,  # a lost weight sync shows in them alone
    "verl.actor_rollout_ref.rollout.max_num_batched_tokens": 8192,
    "verl.actor_rollout_ref.rollout.agent.agent_loop_config_path": "pkg://kawhi.verl_plugin/agent_loops.yaml",
    **{f"verl_added.actor_rollout_ref.{of}.fsdp_config.mixed_precision.{key}": "fp32" for of, key in SUMS},
    "verl_added.ray_kwargs.ray_init.address": "local",  # else a cell joins a Ray that is running there
    "verl_added.ray_kwargs.ray_init.include_dashboard": False,
    "environment_variables.VLLM_LOGGING_LEVEL": "WARNING",
}
"""What ``conf/run.yaml`` shares and no interpolation says; who removes a key there has to remove it here."""
FOLLOWS = {
    "evaluation.attention": "scale.attention",
    "verl.trainer.total_training_steps": "steps",
    "verl.data.seed": "seeds.data",
    "verl.actor_rollout_ref.rollout.seed": "seeds.rollout",
    "verl_added.actor_rollout_ref.model.override_config.attn_implementation": "scale.attention",
}
"""What follows another key."""


@pytest.mark.parametrize("scale", SCALES)
def test_what_is_shared_arrives_at_every_scale(tmp_path, scale):
    asked = cell(tmp_path, f"scale={scale}", "seeds.data=5", "seeds.rollout=6", "steps=7", "scale.attention=eager")
    found = {key: OmegaConf.select(asked, key) for key in SHARED}
    assert found == SHARED
    assert {key: OmegaConf.select(asked, key) for key in FOLLOWS} == {
        key: OmegaConf.select(asked, other) for key, other in FOLLOWS.items()
    }
    receiver = asked.verl_added.actor_rollout_ref.rollout.engine_kwargs.vllm.worker_extension_cls
    assert receiver.endswith("CpuWorkerExtension") == (scale == "cpu")


def test_the_shared_block_has_nothing_that_no_test_knows():
    blocks = ("evaluation", "verl", "verl_added", "environment_variables")
    shared = OmegaConf.to_container(OmegaConf.masked_copy(OmegaConf.load(CONF / "run.yaml"), blocks), resolve=False)
    apart = {
        "verl.actor_rollout_ref.rollout.max_model_len",
        "verl_added.actor_rollout_ref.rollout.engine_kwargs.vllm.worker_extension_cls",
    }
    assert {key for key, _ in leaves(shared)} == SHARED.keys() | FOLLOWS.keys() | apart
