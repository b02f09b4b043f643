"""A training of adapters: vLLM samples with them, alpha is read with them, and what is evaluated has them."""

from __future__ import annotations

import json

import pytest
from safetensors.torch import load_file

from kawhi.tiny.reading_heads import CHECKPOINTS

from .conftest import SMALL

pytestmark = pytest.mark.slow

LEARNT = (  # so much in three steps that vLLM without the adapters would be far from the actor
    "steps=3",
    "verl.actor_rollout_ref.actor.optim.lr=1e-3",
    "verl.actor_rollout_ref.actor.use_kl_loss=true",  # the reference is the actor without its adapters
)


def test_adapters_are_trained_sampled_with_merged_and_evaluated(workspace):
    workspace.run("credit=kawhi", "lora=r64", *SMALL[1:], *LEARNT)
    record = workspace.record("*_lora64-*")
    assert record["health"]["weights_changed"] is True
    assert record["health"]["correlation_min"] > 0.999
    assert record["config"]["verl"]["actor_rollout_ref"]["model"]["lora_rank"] == 64
    assert record["benchmarks"]["kawhi_tiny"]["n"] == 32

    run_directory = workspace.run_directory()
    rows = [json.loads(line) for line in (run_directory / "train" / "metrics.jsonl").read_text().splitlines()]
    kl = [row.get("data", row)["actor/kl_loss"] for row in rows]
    assert kl[0] == pytest.approx(0, abs=1e-4)
    assert kl[-1] > 0.01
    before = load_file(CHECKPOINTS / "qwen2_5_vl" / "model.safetensors")
    after = load_file(run_directory / "train" / "merged" / "model.safetensors")
    assert before.keys() == after.keys()
    changed = {name for name in before if not before[name].equal(after[name])}
    projections = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    linear = {name for name in before if name.startswith("model.layers") and name.endswith(".weight")}
    assert changed == {name for name in linear if name.split(".")[-2] in projections}
