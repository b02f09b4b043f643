"""A rehearsed cell is the full-scale one but for what is listed."""

from __future__ import annotations

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from omegaconf import OmegaConf

from kawhi.base.errors import CellError
from kawhi.commands.cli import main
from kawhi.rehearsal import real_model, rehearsed
from kawhi.rehearsal.substitutions import Substitution, substitute
from kawhi.runs.evaluation_settings import validate_benchmarks, validate_evaluation
from kawhi.runs.memory import validate_memory
from kawhi.runs.provenance import provenance
from kawhi.runs.training_settings import validate_batches
from kawhi.runs.verl_command import leaves
from tests.cells import cell

MAY_DIFFER = (
    *("paths.", "scale.", "benchmarks.", "gate.scores", "validity.duplicated", "judge.", "environment_variables."),
    *("model.path", "rehearsal", "steps", "evaluation.server.options", "verl.trainer.", "verl.ray_kwargs."),
    *("verl_added.ray_kwargs.", "verl.data.train_batch_size", "verl.data.val_batch_size", "verl.reward.num_workers"),
    *("verl.data.dataloader_num_workers", "verl.transfer_queue.", "verl.actor_rollout_ref.actor.ppo_mini_batch_size"),
    *("verl.actor_rollout_ref.actor.use_torch_compile", "verl.actor_rollout_ref.actor.fsdp_config.use_torch_compile"),
    *("verl.actor_rollout_ref.rollout.enforce_eager", "verl.actor_rollout_ref.rollout.free_cache_engine"),
    *("verl.actor_rollout_ref.rollout.agent.num_workers", "verl.actor_rollout_ref.rollout.max_num_seqs"),
    *("verl_added.actor_rollout_ref.rollout.enable_sleep_mode", "model.sizes."),
    "verl_added.actor_rollout_ref.rollout.engine_kwargs.vllm.num_gpu_blocks_override",
    "verl.actor_rollout_ref.actor.ppo_max_token_len_per_gpu",
)
"""Nothing of the algorithm, of the credit method, of lengths, types or samplers."""

DERIVED = (
    "benchmarks",
    "_file",
    ".attention",
    ".worker_extension_cls",
    ".attn_implementation",
    ".total_training_steps",
)
"""Ends of keys whose value is another key's, and the list of benchmarks."""


def flat(config) -> dict:
    return dict(leaves(OmegaConf.to_container(config, resolve=True)))


@pytest.fixture
def on_a_cpu(monkeypatch):
    monkeypatch.setattr(rehearsed, "visible_gpus", list)


@pytest.mark.parametrize("algorithm", ["grpo", "dapo", "gspo"])
def test_what_is_not_listed_stays(tmp_path, on_a_cpu, algorithm):
    cells, rows = rehearsed.compose([f"algorithm={algorithm}", "credit=kawhi"])
    full = flat(cells[0])
    made = rehearsed.prepared(cells[0], rows[0], tmp_path)
    here, listed = flat(made.cell), {each.key for each in made.substituted}
    differ = {key for key in full.keys() | here.keys() if full.get(key) != here.get(key)}
    derived = {key for key in differ if key.endswith(DERIVED)}
    of_blocks = {key for key in differ if any(key == each or key.startswith(f"{each}.") for each in listed)}
    assert differ == of_blocks | derived
    assert [key for key in listed if not key.startswith(MAY_DIFFER)] == []
    assert (here["verl.actor_rollout_ref.rollout.n"], here["verl.actor_rollout_ref.actor.use_kl_loss"]) == (5, True)
    assert provenance(made.cell) == provenance(made.baseline) == "tiny"


def test_logits_on_a_cpu_are_as_few_as_they_may_be(tmp_path, on_a_cpu):
    """With 48 responses to pictures of 334 visual tokens two ranks' logits took 19 GiB, and a step half an hour."""
    cells, rows = rehearsed.compose(["experiment=tor_main", "credit=tor"])
    made = rehearsed.prepared(cells[0], rows[0], tmp_path)
    assert made.cell.verl.actor_rollout_ref.actor.ppo_max_token_len_per_gpu == 2048 + 2048
    assert made.cell.verl_added.data == {"min_pixels": 3136, "max_pixels": 4194304}
    assert made.cell.evaluation.min_pixels == 262144
    assert made.cell.verl.actor_rollout_ref.rollout.n == 12
    assert (made.cell.verl.data.train_batch_size, made.cell.verl.actor_rollout_ref.actor.ppo_mini_batch_size) == (2, 1)
    checked(made)


def test_a_rehearsal_is_never_measured_on_a_gpu_either(tmp_path):
    full = cell(tmp_path, "scale=h200x8", "model=qwen2_5_vl_7b", "data=geo3k", "benchmarks=math")
    assert provenance(full) == "measured"
    substitute(full, [Substitution("rehearsal", True, "why")])
    assert provenance(full) == "tiny"


def test_one_gpu_has_one_rank(tmp_path, monkeypatch):
    monkeypatch.setattr(rehearsed, "visible_gpus", lambda: ["0"])
    cells, rows = rehearsed.compose(["algorithm=grpo", "credit=kawhi"])
    made = rehearsed.prepared(cells[0], rows[0], tmp_path)
    changed = {each.key: each.after for each in made.substituted}
    assert made.cell.verl.trainer.n_gpus_per_node == changed["verl.trainer.n_gpus_per_node"] == 1
    assert made.cell.verl.actor_rollout_ref.rollout.tensor_model_parallel_size == 1
    kept = ("scale.attention", "verl.actor_rollout_ref.rollout.enforce_eager", "scale.device", "judge.base_url")
    assert not changed.keys() & set(kept)


def checked(made, *checks) -> None:
    for each in (*checks, validate_batches, validate_memory, validate_benchmarks):
        each(made.cell)


@pytest.mark.parametrize("gpus", [1, 2, 8])
@pytest.mark.parametrize("scale", ["h200x8", "gpu80x8", "gpu80x1", "gpu24x1"])
def test_a_rehearsal_fits_the_gpus_that_are_here(tmp_path, monkeypatch, gpus, scale):
    """The published model does not fit one GPU, eight cannot share two prompts, and the judge is elsewhere."""
    monkeypatch.setattr(rehearsed, "visible_gpus", lambda: [str(number) for number in range(gpus)])
    monkeypatch.setattr(rehearsed, "write_rows", lambda task, file: 3)
    cells, rows = rehearsed.compose([f"scale={scale}", "algorithm=grpo", "credit=kawhi"])
    made = rehearsed.prepared(cells[0], rows[0], tmp_path)
    checked(made, validate_evaluation)
    assert made.cell.verl.trainer.n_gpus_per_node == gpus
    assert (made.cell.scale.needs.memory_gib, made.cell.judge.base_url) == (0, None)
    assert made.cell.judge.serve.device == "cuda"


def test_real_leaves_the_published_model_in_its_place(tmp_path, monkeypatch):
    monkeypatch.setattr(rehearsed, "visible_gpus", lambda: ["0"])
    monkeypatch.setattr(rehearsed, "write_rows", lambda task, file: 3)
    cells, rows = rehearsed.compose(["algorithm=grpo", "credit=kawhi"], "3b")
    assert len(cells) == 1  # of two models in the table
    made = rehearsed.prepared(cells[0], rows[0], tmp_path, real=True)
    checked(made)
    for each in (made.cell, made.baseline):
        assert (each.model.path, each.model.sizes.layers) == ("Qwen/Qwen2.5-VL-3B-Instruct", 36)
    assert not {each.key for each in made.substituted} & {"model.path", "model.sizes.layers"}


def test_real_without_a_hub_or_a_gpu_is_refused_before_anything_starts(tmp_path, monkeypatch, capsys):
    def unreachable(*_, **__):
        raise LocalEntryNotFoundError("Cannot find the requested files\nin the cache")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    command = ["rehearse", "--real", "3b", "--out", str(tmp_path / "out")]
    assert main(command) == 1
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert "--real 3b takes Qwen/Qwen2.5-VL-3B-Instruct from the Hugging Face hub, which cannot be had here" in told.err
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: "")
    monkeypatch.setattr(real_model, "visible_gpus", list)
    assert main(command) == 1
    assert "--real 3b needs a GPU, and there is none" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_cell_of_no_table_can_be_asked_for():
    cells, rows = rehearsed.compose(["experiment=null", "model=qwen3_vl_4b", "data=geo3k", "benchmarks=math"])
    assert ([each.table for each in cells], rows[0][0]) == (["none"], "scale=h200x8")


def test_a_table_that_trains_nothing_is_refused():
    with pytest.raises(CellError, match="trains nothing that could be rehearsed"):
        rehearsed.compose(["study=baseline"])


def test_a_model_without_a_stand_in_is_refused():
    with pytest.raises(CellError, match=r"nobody stands in for pkg://kawhi\.tiny"):
        rehearsed.compose(["ablation=selector", "scale=cpu"])
