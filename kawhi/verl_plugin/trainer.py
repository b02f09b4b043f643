"""verl's synchronous trainer, multiplying the base advantages by a credit method's weights."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import torch
import transfer_queue as tq
from omegaconf import OmegaConf
from tensordict import TensorDict
from torch import Tensor
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils import tensordict_utils as tu
from verl.utils.debug import marked_timer

from kawhi.base.included import run_methods
from kawhi.credit.methods import AddsLoss, ResponseBatch, ShapesRewards, configured, credit
from kawhi.credit.readings import TRUTH, truth_signals
from kawhi.verl_plugin.lost_responses import stop_for_lost
from kawhi.verl_plugin.step_samples import write_step
from kawhi.verl_plugin.step_tokens import write_tokens
from kawhi.verl_plugin.stopping import stop_if_asked
from kawhi.verl_plugin.trainer_signals import (
    ALWAYS,
    SECONDS,
    first_pass_requests,
    further_passes,
    keep_pass,
    known_readings,
    needed_fields,
    read_signals,
    refuse_without_images,
    signals_there,
)
from kawhi.verl_plugin.wire import ADDED_LOSS, LOSS_REQUEST, PROMPT_DRAW, PROMPT_INDEX, REGION_SECONDS


class KawhiTrainer(PPOTrainerSync):
    """Gathers the signals the configured method needs, and refuses to train when one is missing."""

    def __init__(self, config):
        super().__init__(config)
        kawhi: Any = OmegaConf.to_container(config.kawhi, resolve=True)
        run_methods()
        self.credit = configured(kawhi)
        self._drawn_in, self._drawn = -1, Counter[int]()  # prompts that this step has drawn, by index
        needed_fields(self.credit.needs)  # refuses a signal that nobody can gather before anything is trained

    def step(self, metrics, timing_raw):
        batch = super().step(metrics, timing_raw)
        stop_if_asked(self)
        return batch

    def _next_train_batch(self, num_prompts=None):
        batch = super()._next_train_batch(num_prompts)
        if self._drawn_in != self.global_steps:
            self._drawn_in, self._drawn = self.global_steps, Counter()
        draws = []
        for index in (int(getattr(value, "data", value)) for value in batch["index"]):
            draws.append(self._drawn[index])
            self._drawn[index] += 1
        tu.assign_non_tensor_stack(batch, PROMPT_DRAW, draws)
        return batch

    def _compute_old_log_prob(self, batch, metrics):
        needs, kawhi = self.credit.needs, self.config.kawhi
        batch.extra_info.update(first_pass_requests(needs, kawhi))
        batch = super()._compute_old_log_prob(batch, metrics)
        temperature = self.config.actor_rollout_ref.rollout.temperature
        for prefix, request in further_passes(needs, kawhi, self.global_steps):
            with marked_timer(f"{prefix}_pass", self.timing_raw):
                stock = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["entropy"])
                batch.extra_info.update({**request, "temperature": temperature})
                self.actor_rollout_wg.compute_log_prob(batch)
                batch = keep_pass(batch, prefix, entropy=request["calculate_entropy"])
                # The pass has overwritten the entropy of the responses beside their true images.
                batch = tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=stock)
        return batch

    def _compute_advantage(self, batch, metrics):
        refuse_lost_responses(batch.tags)
        if isinstance(self.credit, ShapesRewards):
            batch = self._shape_rewards(batch, self.credit, metrics)
        batch = super()._compute_advantage(batch, metrics)
        with marked_timer("kawhi_weights", self.timing_raw):
            fields = ["advantages", "responses", "rm_scores", "uid", "extra_fields"]
            signals = needed_fields(self.credit.needs)
            fields += needed_fields(self.credit.needs | ALWAYS)
            data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=fields)
            missing = [field for field in signals if field not in data.keys()]
            if missing:
                raise RuntimeError(
                    f"{self.config.kawhi.method} needs {', '.join(missing)}, which the old-log-prob pass did not "
                    "return: set VERL_ENGINE_VENDOR=kawhi, actor.strategy=fsdp2, external_lib=kawhi.verl_plugin.worker"
                )
            responses = data["responses"].unbind()
            weighted, weights = self._weighted(data, order_of_submission(batch.keys, extra_fields(data)))
            jagged = torch.nested.as_nested_tensor(weighted, layout=torch.jagged)
            put = TensorDict({"advantages": jagged}, batch_size=len(batch))
            # A put returns a fresh handle; passing the old one on would hide the new field from the workers.
            batch = tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=put)
        with marked_timer("kawhi_kept", self.timing_raw):  # of every method, and no part of what one costs
            self._keep_step(data, responses, weights)
        metrics.update(weight_metrics(weights))
        self._time_signals(data)
        return batch

    def _update_actor(self, batch, metrics):
        if not isinstance(self.credit, AddsLoss):
            return super()._update_actor(batch, metrics)
        kawhi: Any = OmegaConf.to_container(self.config.kawhi, resolve=True)
        batch.extra_info[LOSS_REQUEST] = json.dumps({"method": kawhi["method"], "options": kawhi["options"]})
        batch = super()._update_actor(batch, metrics)
        if ADDED_LOSS not in metrics:
            raise RuntimeError(
                f"{kawhi['method']} adds to the loss, and the update knew nothing of it: set VERL_ENGINE_VENDOR=kawhi"
            )
        return batch

    def _shape_rewards(self, batch, credit: ShapesRewards, metrics):
        """Replaces the rewards; the base reward stays in the metrics, where tables look for it."""
        fields = ["responses", "rm_scores", "uid", "extra_fields"]
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=fields)
        order = order_of_submission(batch.keys, extra_fields(data))
        packed = self._packed(data, {}, order)
        shaped = credit.shaped_rewards(packed)[torch.tensor(order).argsort()]
        metrics["kawhi/base_reward/mean"] = torch.stack([row.sum() for row in data["rm_scores"].unbind()]).mean().item()
        scores = [torch.zeros_like(row) for row in data["rm_scores"].unbind()]
        for row, reward in zip(scores, shaped, strict=True):
            row[-1] = reward
        put = TensorDict({"rm_scores": torch.nested.as_nested_tensor(scores, layout=torch.jagged)}, len(batch))
        return tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=put)

    def _packed(self, data, signals: dict[str, list[Tensor]], order: list[int]) -> ResponseBatch:
        """What a credit method sees, responses in this order."""
        responses, rewards, groups = data["responses"].unbind(), data["rm_scores"].unbind(), uids(data)
        return ResponseBatch(
            torch.cat([responses[i] for i in order]),
            torch.tensor([0, *(len(responses[i]) for i in order)]).cumsum(0),
            {name: torch.cat([rows[i] for i in order]) for name, rows in signals.items()},
            self.tokenizer,
            groups=[groups[i] for i in order],
            correct=None if (correct := verdicts(extra_fields(data))) is None else correct[order],
            rewards=torch.stack([rewards[i].sum() for i in order]),
        )

    def _weighted(self, data, order: list[int]) -> tuple[list[Tensor], list[Tensor]]:
        """Advantages of each response as the method credits them, and its weights, in the order of ``data``."""
        fields, responses = extra_fields(data), data["responses"].unbind()
        refuse_without_images(self.credit.needs, fields)
        packed = self._packed(data, read_signals(data, self.credit.needs, responses), order)
        if wanted := self.credit.needs & TRUTH:
            known = known_readings([fields[i] for i in order])
            found = truth_signals(known, packed.token_ids, packed.offsets, self.tokenizer)
            packed = replace(packed, signals={**packed.signals, **{name: found[name] for name in wanted}})
        base = data["advantages"].unbind()
        advantages, weights = credit(self.credit, packed, torch.cat([base[i] for i in order]))
        lengths, back = packed.offsets.diff().tolist(), torch.tensor(order).argsort().tolist()
        of_submission = [values.split(lengths) for values in (advantages * weights, weights)]
        weighted, own = ([rows[i] for i in back] for rows in of_submission)
        return weighted, own

    def _keep_step(self, data, responses: tuple[Tensor, ...], weights: list[Tensor]) -> None:
        """A few prompts with all that is known of their tokens, and all tokens in histograms and means."""
        there, fields = signals_there(data, self.credit.needs, responses), extra_fields(data)
        own = {name: rows for name, rows in there.items() if name in self.credit.needs}
        write_tokens(self.global_steps, there, weights, groups=uids(data), correct=verdicts(fields))
        write_step(
            self.global_steps,
            uids=uids(data),
            extra_fields=fields,
            responses=responses,
            advantages=data["advantages"].unbind(),
            rewards=data["rm_scores"].unbind(),
            weights=weights,
            alpha=own.pop("alignment", None),
            signals=own,
        )

    def _time_signals(self, data) -> None:
        """Seconds of the parts that run elsewhere; region selection overlaps with generation."""
        ranks = max(1, self.config.trainer.n_gpus_per_node * self.config.trainer.nnodes)
        for name in SECONDS.keys() & self.credit.needs:
            spent = sum(float(s.sum()) for s in data[SECONDS[name]].unbind())
            self.timing_raw[f"kawhi_{name}"] = spent / ranks
        if "alignment" in self.credit.needs:
            self.timing_raw["kawhi_regions"] = float(sum(row.get(REGION_SECONDS, 0.0) for row in extra_fields(data)))


def uids(data: TensorDict) -> list[str]:
    """Prompt of each response."""
    return [str(getattr(uid, "data", uid)) for uid in data["uid"]]


def extra_fields(data: TensorDict) -> list[dict[str, Any]]:
    """What the agent loop said about each response."""
    return [getattr(row, "data", row) for row in data["extra_fields"]]


def order_of_submission(keys: list[str], fields: list[dict[str, Any]]) -> list[int]:
    """Rows by prompt, then response.  A batch comes as it was dealt out to the ranks, and ties must not depend on that.

    Args:
        keys: verl's ``{uid}_{session}_{index}``, whose uid is random.
        fields: what the agent loop said about each response.
    """

    def place(row: int) -> tuple[int, int, str, int, int]:
        uid, session, index = keys[row].rsplit("_", 2)
        own = fields[row]
        return own.get(PROMPT_INDEX, 0), own.get(PROMPT_DRAW, 0), uid, int(session), int(index)

    return sorted(range(len(keys)), key=place)


def verdicts(fields: list[dict[str, Any]]) -> Tensor | None:
    """``(B,)`` bool: what the reward function called ``acc``, which verl stores for one that returns a number only.

    ``None`` for a reward function that returns a dictionary without it: few credit methods ask whether a response is
    right, and those say so.

    Raises:
        RuntimeError: some responses have an ``acc``, and others have none.
    """
    missing = sum("acc" not in row.get("reward_extra_info", {}) for row in fields)
    if missing == len(fields):
        return None
    if missing:
        raise RuntimeError(f"the rewards of {missing} responses have no 'acc': let the reward function return it")
    return torch.tensor([bool(row["reward_extra_info"]["acc"]) for row in fields])


def refuse_lost_responses(tags: list[dict]) -> None:
    """verl pads a batch whose agent loops failed and trains on; this stops instead.

    Raises:
        RuntimeError: any row of the batch is padding.
    """
    lost = sum(bool(tag.get("is_padding", False)) for tag in tags)
    if lost:
        stop_for_lost(f"{lost} of {len(tags)} responses of this step were")


def weight_metrics(weights: list[Tensor]) -> dict[str, float]:
    """Summary of a batch's weights, logged as ``kawhi/...``."""
    flat = torch.cat(weights)
    return {
        "kawhi/weight/mean": flat.mean().item(),
        "kawhi/weight/min": flat.min().item(),
        "kawhi/weight/max": flat.max().item(),
        "kawhi/weight/std": flat.std(unbiased=False).item(),
        "kawhi/weight/zero_share": (flat == 0).float().mean().item(),
    }
