"""``kawhi tokens`` beside verl's own engine and the trainer: signals and every method's weights of the same responses.

    python tests/lab/token_engine_pair.py CHECKPOINT FAMILY OUT.json

The engine is asked as the trainer asks it, and the weights are those of the trainer's own method.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import MethodType, SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a program, beside pytest

from tests.lab.engine_pair import batch_of, engine_of, run  # isort: skip  # first: it names the platform to verl

import torch
from tensordict import TensorDict

from kawhi.base.checkout import configuration_folder
from tests.lab.made import SHIPPED, cell_of, rollouts_of

OF_CREDIT = sorted(file.stem for file in (configuration_folder() / "credit").glob("*.yaml"))
METHODS = [name for name in OF_CREDIT if name != "papo"]  # which weighs all tokens alike
STEP = 1


def compare(folder: str, family: str) -> dict[str, float]:
    """Largest deviations of the probe from the engine's signals and the trainer's weights, and the weights' spread."""
    from kawhi.credit.methods import configured
    from kawhi.lab.policy import Policy
    from kawhi.lab.signals import Gatherer
    from kawhi.lab.study import read_study, row_of
    from kawhi.lab.token_rows import SIGNALS, TokenProbe, weighed
    from kawhi.lab.token_run import cells
    from kawhi.verl_plugin.trainer import KawhiTrainer
    from kawhi.verl_plugin.trainer_signals import read_signals
    from kawhi.verl_plugin.wire import PROMPT_INDEX, READINGS

    engine, policy, found = engine_of(folder), Policy(folder), {}
    cell = cell_of(family, "credit=kawhi")
    rollouts = rollouts_of(policy, cell, prompts=3)
    select = Gatherer(policy, _plain(cell.kawhi), {"alignment"}).select
    batch = batch_of(policy, rollouts, select)
    study = read_study(configuration_folder() / "lab" / "bench.yaml")
    own, base = cells([row_of(name) for name in METHODS], study, [f"model={SHIPPED[family]}", "data=reading"])
    probe = TokenProbe(policy, own, base)
    rows = weighed(probe(rollouts, STEP), probe.methods, policy.tokenizer, None)

    fields = [
        {PROMPT_INDEX: item.index, READINGS: list(item.readings), "reward_extra_info": {"acc": bool(right)}}
        for item, right in zip(
            [item for item in rollouts.items for _ in range(rollouts.group)], rollouts.correct, strict=True
        )
    ]
    for name in METHODS:
        kawhi = own[name].kawhi
        method = configured(_plain(kawhi))
        data = _answered(engine, batch, SIGNALS if name == "kawhi" else method.needs, _with(kawhi, base))
        data |= _of_trainer(rollouts, fields)
        if name == "kawhi":
            theirs = read_signals(_as_batch(data), SIGNALS, tuple(data["responses"]))
            for signal, values in theirs.items():
                found[signal] = float((torch.tensor(rows[signal].to_numpy()) - torch.cat(values)).abs().max())
        trainer = SimpleNamespace(credit=method, tokenizer=policy.tokenizer)
        trainer._packed = MethodType(KawhiTrainer._packed, trainer)
        _, weights = KawhiTrainer._weighted(trainer, _as_batch(data), list(range(len(fields))))
        mine = torch.tensor(rows[f"weight {name}"].to_numpy())
        found[f"{name} weights"] = float((mine - torch.cat(weights)).abs().max())
        found[f"{name} spread"] = float(mine.std())
    return found


def _answered(engine, batch: TensorDict, needs, kawhi) -> dict[str, torch.Tensor]:
    """The engine's fields for these signals, as the trainer keeps them."""
    from verl.utils import tensordict_utils as tu
    from verl.workers.utils.padding import response_from_nested

    from kawhi.verl_plugin.trainer_signals import first_pass_requests, further_passes
    from kawhi.verl_plugin.wire import ALIGNMENT_REQUEST, ALPHA, IMAGE_REQUEST, NUCLEUS_ENTROPY, NUCLEUS_REQUEST

    def asked(requests) -> dict:
        nothing = {ALIGNMENT_REQUEST: "", NUCLEUS_REQUEST: "", IMAGE_REQUEST: ""}
        tu.assign_non_tensor(batch, **{**nothing, **requests, "compute_loss": False, "calculate_entropy": True})
        with engine.eval_mode(), torch.no_grad():
            return engine.infer_batch(batch)["model_output"]

    output = asked(first_pass_requests(needs, kawhi))
    data = {
        "old_log_probs": response_from_nested(output["log_probs"], batch["response_mask"]),
        "entropy": response_from_nested(output["entropy"], batch["response_mask"]),
        **{name: output[name] for name in (ALPHA, NUCLEUS_ENTROPY) if name in output},
    }
    for prefix, requests in further_passes(needs, kawhi, STEP):
        output = asked(requests)
        for name in ("log_probs", "entropy"):
            data[f"{prefix}_{name}"] = response_from_nested(output[name], batch["response_mask"])
    return data


def _of_trainer(rollouts, fields) -> dict:
    """What the trainer has beside the engine's fields."""
    lengths = rollouts.lengths.tolist()
    rewards = [torch.cat([torch.zeros(n - 1), r[None]]) for n, r in zip(lengths, rollouts.rewards, strict=True)]
    return {
        "responses": [tokens[mask] for tokens, mask in zip(rollouts.tokens, rollouts.mask, strict=True)],
        "advantages": [torch.ones(n) for n in lengths],
        "rm_scores": rewards,
        "uid": [f"{prompt}" for prompt in rollouts.groups],
        "extra_fields": fields,
    }


def _as_batch(data: dict) -> TensorDict:
    from verl.utils import tensordict_utils as tu

    made = TensorDict({}, batch_size=len(data["uid"]))
    for name, values in data.items():
        if name in ("uid", "extra_fields"):
            tu.assign_non_tensor_stack(made, name, values)
        elif isinstance(values, list):
            made[name] = torch.nested.as_nested_tensor(values, layout=torch.jagged)
        else:
            made[name] = values
    return made


def _plain(block) -> dict:
    from omegaconf import OmegaConf

    return OmegaConf.to_container(block, resolve=True)


def _with(kawhi, base):
    """A method's block with the settings of all signals."""
    from omegaconf import OmegaConf

    return OmegaConf.merge(OmegaConf.create({"signals": base["signals"]}), _plain(kawhi))


if __name__ == "__main__":
    run(compare, *sys.argv[1:])
