"""The lab beside verl's own FSDP2 engine: the same rollouts, and what both make of them.

    python tests/lab/engine_pair.py CHECKPOINT FAMILY OUT.json

Old log-probs are moved away from the policy's, so that ratios are clipped in both directions.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.update(
    VERL_PLATFORM="cpu",
    VERL_USE_EXTERNAL_MODULES="kawhi.verl_plugin.cpu.platform",
    VERL_ENGINE_DEVICE="cuda",
    VERL_ENGINE_VENDOR="kawhi",
)
sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a program, beside pytest

import torch
import torch.distributed as dist
from tensordict import TensorDict

from tests.lab.made import cell_of, rollouts_of

METHODS = ("kawhi", "oracle", "process", "ft_rl", "papo")
ALIGNMENTS = {
    "paper": {},
    "max_cosine": {"statistic": "max_cosine", "layer": 2},
    "attention_mass": {"statistic": "attention_mass", "heads": None},
    "max_attention": {"statistic": "max_attention", "heads": None, "layer": -2},
    "predicting": {"query_position": "predicting"},
    "predicting attention": {"query_position": "predicting", "statistic": "max_attention"},
    "key_key": {"metric": "key_key", "rope": "before"},
    "visionzip": {"strategy": "visionzip"},
}


def engine_of(folder: str):
    """verl's engine on a checkpoint, ours by its name."""
    import verl.workers.engine_workers  # noqa: F401  (the worker module registers our engine only beside it)
    from verl.trainer.config import CheckpointConfig
    from verl.workers.config import FSDPEngineConfig, FSDPOptimizerConfig, HFModelConfig
    from verl.workers.engine import EngineRegistry

    import kawhi.verl_plugin.worker  # noqa: F401

    full = {"param_dtype": "fp32", "reduce_dtype": "fp32", "buffer_dtype": "fp32"}
    engine = EngineRegistry.new(
        model_type="language_model",
        backend="fsdp2",
        model_config=HFModelConfig(
            path=folder,
            use_remove_padding=True,
            enable_gradient_checkpointing=False,
            override_config={"attn_implementation": "sdpa"},
        ),
        engine_config=FSDPEngineConfig(
            strategy="fsdp2", fsdp_size=-1, use_torch_compile=False, use_dynamic_bsz=False, mixed_precision=full
        ),
        optimizer_config=FSDPOptimizerConfig(lr=1e-6, total_training_steps=1),
        checkpoint_config=CheckpointConfig(),
    )
    engine.initialize()
    return engine


def batch_of(policy, rollouts, select) -> TensorDict:
    """The rollouts as the trainer sends them."""
    from verl.utils import tensordict_utils as tu

    from kawhi.verl_plugin.wire import PROMPT_INDEX, SELECTED_TOKENS

    prompts, responses, positions, pixels = [], [], [], []
    for row, (tokens, mask) in enumerate(zip(rollouts.tokens, rollouts.mask, strict=True)):
        item = rollouts.items[row // rollouts.group]
        alone = policy.prompts([item.image], [item.question])
        prompt, response = alone.inputs["input_ids"][0], tokens[mask]
        ids = torch.cat([prompt, response])
        found, _ = policy.model.model.get_rope_index(
            ids[None],
            mm_token_type_ids=(ids == policy.image_token).int()[None],
            image_grid_thw=alone.inputs["image_grid_thw"],
            attention_mask=torch.ones_like(ids)[None],
        )
        prompts.append(prompt)
        responses.append(response)
        positions.append(torch.cat([torch.arange(len(ids))[None], found[:, 0]]))
        pixels.append({name: alone.inputs[name] for name in ("pixel_values", "image_grid_thw")})

    def jagged(tensors):
        return torch.nested.as_nested_tensor(tensors, layout=torch.jagged)

    data = TensorDict(
        {
            "input_ids": jagged([torch.cat(pair) for pair in zip(prompts, responses, strict=True)]),
            "prompts": jagged(prompts),
            "responses": jagged(responses),
            "response_mask": jagged([torch.ones_like(each) for each in responses]),
            "loss_mask": jagged([torch.ones_like(each) for each in responses]),
            "position_ids": tu.nested_tensor_from_tensor_list(positions, ragged_idx=2),
        },
        batch_size=len(prompts),
    )
    tu.assign_non_tensor_stack(data, "multi_modal_inputs", pixels)
    fields = [
        {SELECTED_TOKENS: select(item.image, item.index, 1).tolist(), PROMPT_INDEX: item.index}
        for item in rollouts.items
        for _ in range(rollouts.group)
    ]
    tu.assign_non_tensor_stack(data, "extra_fields", fields)
    tu.assign_non_tensor(
        data,
        use_remove_padding=True,
        use_dynamic_bsz=False,
        micro_batch_size_per_gpu=len(prompts),
        temperature=1.0,
        calculate_entropy=True,
        compute_loss=True,
        pad_token_id=0,
        global_batch_size=len(prompts),
    )
    return data


def compare(folder: str, family: str) -> dict[str, float]:
    """Largest deviations of the lab from the engine; gradients beside the largest one."""
    from verl.utils import tensordict_utils as tu
    from verl.workers.utils.losses import ppo_loss
    from verl.workers.utils.padding import response_from_nested

    from kawhi.credit.methods import credit
    from kawhi.lab.losses import Objective, added_loss
    from kawhi.lab.policy import Policy
    from kawhi.lab.signals import Gatherer
    from kawhi.lab.student import Student
    from kawhi.verl_plugin.wire import ALIGNMENT_REQUEST, ALPHA, IMAGE_REQUEST, LOSS_REQUEST, PERTURBED

    engine, policy, found = engine_of(folder), Policy(folder), {}
    cells = {name: cell_of(family, f"credit={name}") for name in METHODS}
    rollouts = rollouts_of(policy, cells["kawhi"], prompts=3)
    students = {name: Student(cell, policy) for name, cell in cells.items()}
    kawhi = cells["kawhi"].kawhi
    data = batch_of(policy, rollouts, students["kawhi"].gather.select)
    for name, changed in ALIGNMENTS.items():
        own = {**_plain(kawhi), "alignment": _plain(kawhi.alignment) | changed}
        own["regions"] = own["regions"] | {"strategy": own["alignment"].pop("strategy", "sguf")}
        keep = own["regions"]["keep_ratio"] if name == "visionzip" else None
        asked = {"alignment": own["alignment"], "keep_ratio": keep}
        tu.assign_non_tensor(data, **{ALIGNMENT_REQUEST: json.dumps(asked), "compute_loss": False})
        with engine.eval_mode(), torch.no_grad():
            output = engine.infer_batch(data)["model_output"]
        alpha = _of_responses(output[ALPHA], data)
        _, mine = Gatherer(policy, own, {"alignment"})(rollouts, 1, ())
        found[f"alpha {name}"] = float((mine["alignment"] - alpha).abs().max())
        found[f"spread of alpha {name}"] = float(alpha.std())
        if name == "paper":
            log_probs, entropy = output["log_probs"], output["entropy"]
            first = alpha
    signals = _plain(cells["papo"].kawhi.signals)
    asked = {"share": signals["perturbed_share"], "seed": signals["seed"], "step": 1}
    tu.assign_non_tensor(data, **{ALIGNMENT_REQUEST: "", IMAGE_REQUEST: json.dumps(asked)})
    with engine.eval_mode(), torch.no_grad():
        beside = response_from_nested(engine.infer_batch(data)["model_output"]["log_probs"], data["response_mask"])
    data[f"{PERTURBED}_log_probs"] = beside
    theirs = {
        "perturbed_log_probs": torch.cat(beside.unbind()),
        "log_probs": torch.cat(response_from_nested(log_probs, data["response_mask"]).unbind()),
        "entropy": torch.cat(response_from_nested(entropy, data["response_mask"]).unbind()),
        "alignment": first,
    }
    needs = {"perturbed_log_probs", "log_probs", "entropy", "alignment", "reads", "reading_right"}
    _, ours = Gatherer(policy, {**_plain(kawhi), "signals": signals}, needs)(rollouts, 1, ())
    found |= {name: float((ours[name] - theirs[name]).abs().max()) for name in theirs}
    tu.assign_non_tensor(data, **{IMAGE_REQUEST: "", "compute_loss": True})

    generator = torch.Generator().manual_seed(4)
    old = theirs["log_probs"] + 0.3 * torch.randn(len(theirs["log_probs"]), generator=generator)
    lengths = rollouts.lengths.tolist()
    for name, student in students.items():
        base = Objective(cells[name]).advantages(rollouts, student.rewards(rollouts))[rollouts.mask]
        mixed = {
            source: credit(
                student.credit, rollouts.batch(policy.tokenizer, {**ours, **signals}, rollouts.rewards), base
            )
            for source, signals in (("ours", {}), ("theirs", theirs))
        }
        found[f"{name} weights"] = float((mixed["ours"][1] - mixed["theirs"][1]).abs().max())
        weighted = mixed["ours"][0] * mixed["ours"][1]
        asked = {key: _plain(cells[name].kawhi)[key] for key in ("method", "options")}
        tu.assign_non_tensor(data, **{LOSS_REQUEST: json.dumps(asked) if name == "papo" else ""})
        for algorithm in ("grpo", "dapo", "gspo"):
            objective = Objective(cell_of(family, f"credit={name}", f"algorithm={algorithm}"))
            for key, values in (("old_log_probs", old), ("advantages", weighted)):
                data[key] = torch.nested.as_nested_tensor(list(values.split(lengths)), layout=torch.jagged)
            objective.actor.global_batch_info.clear()
            with engine.train_mode():
                engine.optimizer_zero_grad()
                said = engine.forward_backward_batch(data, partial(ppo_loss, config=objective.actor))
                given = {n: p.grad for n, p in engine.module.named_parameters() if p.grad is not None}
                gradients = {n: grad.full_tensor().clone() for n, grad in given.items()}
            policy.model.zero_grad(set_to_none=True)
            log_probs, signals = student.gather(rollouts, 1, range(len(rollouts.items)))
            spread = torch.zeros(rollouts.mask.shape).masked_scatter(rollouts.mask, weighted)
            added = added_loss(student.credit, log_probs, signals)
            loss = objective.loss(rollouts, log_probs, old, spread, added)
            found[f"{name} {algorithm} added"] = 0.0 if added is None else float(added.detach().abs().mean())
            loss.backward()
            found[f"{name} {algorithm} loss"] = abs(loss.item() - float(sum(said["loss"])))
            mine = dict(policy.model.named_parameters())
            largest = max(float(each.abs().max()) for each in gradients.values())
            worst = max(float((mine[n].grad - each).abs().max()) for n, each in gradients.items())
            found[f"{name} {algorithm} gradient"] = worst / largest
            found[f"{name} {algorithm} largest gradient"] = largest
    return found


def _of_responses(jagged, data) -> torch.Tensor:
    """A field of whole sequences, without the prompts."""
    return torch.cat([row[len(p) :] for row, p in zip(jagged.unbind(), data["prompts"].unbind(), strict=True)])


def _plain(block) -> dict:
    from omegaconf import OmegaConf

    return OmegaConf.to_container(block, resolve=True)


def run(compared: Callable[[str, str], dict[str, float]], folder: str, family: str, out: str) -> None:
    """Calls a comparison in a process group of its own, and writes what it returns."""
    torch.set_num_threads(1)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in where.items()})
    dist.init_process_group("gloo")
    Path(out).write_text(json.dumps(compared(folder, family), indent=1))
    dist.destroy_process_group()


if __name__ == "__main__":
    run(compare, *sys.argv[1:])
