"""What a log-prob pass can tell besides alpha: the entropy of the nucleus, and log-probs beside blackened images."""

from __future__ import annotations

import json
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor
from verl.utils import tensordict_utils as tu

from kawhi.credit.entropy import nucleus_entropy
from kawhi.models.blacken import blacken, random_rows
from kawhi.regions.seeds import stable_seed
from kawhi.verl_plugin.wire import PROMPT_INDEX


def response_rows(micro_batch: TensorDict, *, packed: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Where a micro-batch's response tokens are.

    Returns:
        ``(total,)`` sequence of each token, ``(total,)`` its row in the flattened pass (``(1, total)`` if packed, else
        right-padded ``(B, S)``), ``(total,)`` bool whether it is a response token.
    """
    offsets = micro_batch["input_ids"].offsets()
    lengths = offsets.diff()
    device = offsets.device
    sequence = torch.repeat_interleave(torch.arange(len(lengths), device=device), lengths)
    position = torch.arange(int(offsets[-1]), device=device)
    column = position - offsets[:-1][sequence]
    row = position if packed else sequence * int(lengths.max()) + column
    prompt = torch.as_tensor(micro_batch["prompts"].offsets().diff(), device=device)
    return sequence, row, column >= prompt[sequence]


def request(micro_batch: TensorDict, key: str) -> Any:
    """What the trainer asked for under a key of :mod:`kawhi.verl_plugin.wire`; ``None`` when it did not ask."""
    text = tu.get_non_tensor_data(micro_batch, key=key, default=None)
    return json.loads(text) if text else None


def nucleus_of_responses(logits: Tensor | None, micro_batch: TensorDict, p: float, *, packed: bool) -> Tensor:
    """Entropy of the nucleus that each response token was drawn from, shifted as verl's own entropy and log-probs are.

    Args:
        logits: ``(1, total, V)`` or ``(B, S, V)``, not yet divided by the temperature.

    Returns:
        ``(total,)`` float32 at the states that predict response tokens, 0 elsewhere.

    Raises:
        RuntimeError: fused kernels keep no logits.
    """
    if logits is None:
        raise RuntimeError(
            "the entropy of the nucleus needs logits: set actor_rollout_ref.model.use_fused_kernels=false"
        )
    sequence, row, in_response = response_rows(micro_batch, packed=packed)
    temperature = micro_batch["temperature"]
    predicting = torch.nonzero(in_response)[:, 0] - 1  # a prompt is never empty
    if isinstance(temperature, Tensor):
        temperature = temperature.to(logits.device)[sequence[predicting]]
    entropy = torch.zeros(len(row), device=logits.device)
    flat = logits.reshape(-1, logits.shape[-1])
    entropy[predicting] = nucleus_entropy(flat, p, rows=row[predicting], temperature=temperature)
    return entropy


def blacken_images(
    inputs: dict[str, Any],
    micro_batch: TensorDict,
    asked: dict[str, Any],
    fields: list[dict],
    processor,
    image_token: int,
) -> None:
    """Blackens patches of ``inputs["pixel_values"]`` as asked; a prompt's responses get the same ones.

    Raises:
        RuntimeError: the patches do not belong to the prompts' image tokens.
    """
    if inputs.get("pixel_values") is None:
        return
    images = processor.image_processor
    sequence, _, in_response = response_rows(micro_batch, packed=True)
    visual = (micro_batch["input_ids"].values() == image_token) & ~in_response
    counts = torch.bincount(sequence[visual], minlength=len(fields)) * images.merge_size**2
    if not int(counts.sum()):
        return  # verl's dummy image, which no prompt shows
    if int(counts.sum()) != len(inputs["pixel_values"]):
        raise RuntimeError(f"{len(inputs['pixel_values'])} patches for prompts whose images have {int(counts.sum())}")
    rows = torch.cat(
        [
            random_rows(count, asked["share"], stable_seed(asked["seed"], own.get(PROMPT_INDEX, 0), asked["step"]))
            for count, own in zip(counts.tolist(), fields, strict=True)
        ]
    )
    inputs["pixel_values"] = blacken(inputs["pixel_values"], rows, mean=images.image_mean, std=images.image_std)
