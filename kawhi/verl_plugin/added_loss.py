"""verl's loss of a micro-batch and what a credit method adds to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor
from verl.trainer.ppo.core_algos import agg_loss
from verl.utils.metric import Metric
from verl.workers.config import ActorConfig
from verl.workers.utils.padding import no_padding_2_padding

from kawhi.base.included import run_methods
from kawhi.credit.methods import AddsLoss, CreditMethod, build
from kawhi.verl_plugin.trainer_signals import read_signals
from kawhi.verl_plugin.wire import ADDED_LOSS


def with_added_loss(loss_function: partial, asked: dict[str, Any]) -> Callable[..., tuple[Tensor, dict[str, Any]]]:
    """A loss function for verl's engine: the one given, plus a credit method's own.

    Args:
        loss_function: ``ppo_loss`` with the actor's configuration, as verl's worker hands it to the engine.
        asked: what travels under :data:`kawhi.verl_plugin.wire.LOSS_REQUEST`.
    """
    method = _built(json.dumps(asked))

    def loss(model_output: dict[str, Tensor], data: TensorDict, dp_group=None) -> tuple[Tensor, dict[str, Any]]:
        total, metrics = loss_function(model_output=model_output, data=data, dp_group=dp_group)
        added = averaged(method, model_output, data, loss_function.keywords["config"])
        # Each micro-batch has its part of a mini-batch's mean, in verl's losses as in this one.
        metrics[ADDED_LOSS] = Metric(metrics["actor/pg_loss"].aggregation, added)
        return total + added, metrics

    return loss


@cache
def _built(asked: str) -> CreditMethod:
    """Once for a process, and not for every micro-batch."""
    run_methods()
    said = json.loads(asked)
    return build(said["method"], **said["options"])


def averaged(method: CreditMethod, model_output: dict[str, Tensor], data: TensorDict, config: ActorConfig) -> Tensor:
    """The method's loss of a micro-batch, a number, averaged over its tokens by the actor's ``loss_agg_mode``.

    Args:
        config: of the actor; ``ppo_loss`` leaves the sizes of the mini-batch in it.
    """
    assert isinstance(method, AddsLoss), "the trainer asks for a loss of those methods alone that have one"
    responses = data["responses"].unbind()
    signals = {name: torch.cat(rows) for name, rows in read_signals(data, method.needs, responses).items()}
    log_probs = no_padding_2_padding(model_output["log_probs"], data)
    lengths = torch.tensor([len(row) for row in responses], device=log_probs.device)
    real = torch.arange(log_probs.shape[1], device=log_probs.device) < lengths[:, None]
    added = method.added_loss(log_probs[real], signals)
    mask = data.select("response_mask").to_padded_tensor()["response_mask"].bool()
    return agg_loss(
        loss_mat=torch.zeros_like(log_probs).masked_scatter(real, added.to(log_probs.dtype)),
        loss_mask=mask,
        loss_agg_mode=config.loss_agg_mode,
        **config.global_batch_info,
    )
