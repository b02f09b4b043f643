"""verl's loss of a micro-batch and what a credit method adds to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tensordict import TensorDict
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
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
    run_methods()
    method = build(asked["method"], **asked["options"])

    def loss(model_output: dict[str, Tensor], data: TensorDict, dp_group=None) -> tuple[Tensor, dict[str, Any]]:
        total, metrics = loss_function(model_output=model_output, data=data, dp_group=dp_group)
        added = averaged(method, model_output, data, loss_function.keywords["config"])
        # Each micro-batch has its part of a mini-batch's mean, in verl's losses as in this one.
        metrics[ADDED_LOSS] = Metric(metrics["actor/pg_loss"].aggregation, added)
        return total + added, metrics

    return loss


def averaged(method: CreditMethod, model_output: dict[str, Tensor], data: TensorDict, config: ActorConfig) -> Tensor:
    """The method's loss of a micro-batch, a number, averaged over its tokens as verl has just done with its own.

    Args:
        config: of the actor; ``ppo_loss`` leaves the sizes of the mini-batch in it.
    """
    assert isinstance(method, AddsLoss), "the trainer asks for a loss of those methods alone that have one"
    rows = read_signals(data, method.needs, data["responses"].unbind())
    signals = {name: pad_sequence(own, batch_first=True) for name, own in rows.items()}
    log_probs = no_padding_2_padding(model_output["log_probs"], data)
    mask = data.select("response_mask").to_padded_tensor()["response_mask"].bool()
    return agg_loss(
        loss_mat=method.added_loss(log_probs, signals),
        loss_mask=mask,
        loss_agg_mode=config.loss_agg_mode,
        **config.global_batch_info,
    )
