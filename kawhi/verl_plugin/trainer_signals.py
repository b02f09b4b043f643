"""Gathers the signals that a credit method needs: exactly those, each under the name that methods know it by."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import transfer_queue as tq
from omegaconf import DictConfig, OmegaConf
from tensordict import TensorDict
from torch import Tensor
from verl.workers.utils.padding import response_from_nested

from kawhi.credit.readings import TRUTH
from kawhi.verl_plugin.wire import (
    ALIGN_SECONDS,
    ALIGNMENT_REQUEST,
    ALPHA,
    BLANK,
    IMAGE_REQUEST,
    IMAGES,
    NUCLEUS_ENTROPY,
    NUCLEUS_REQUEST,
    NUCLEUS_SECONDS,
    PERTURBED,
    PROMPT_INDEX,
    READINGS,
)

# Name of a signal -> TransferQueue field.  The first two are what verl computes in any case.
FIELDS = {
    "log_probs": "old_log_probs",
    "entropy": "entropy",
    "nucleus_entropy": NUCLEUS_ENTROPY,
    "alignment": ALPHA,
    "perturbed_log_probs": f"{PERTURBED}_log_probs",
    "blank_log_probs": f"{BLANK}_log_probs",
    "blank_entropy": f"{BLANK}_entropy",
}

ALWAYS = frozenset({"entropy"})
"""What is kept of every step beside the method's own signals: verl has computed it."""

# Signals that the engine computes in verl's own pass -> the field with the seconds that took.
SECONDS = {"alignment": ALIGN_SECONDS, "nucleus_entropy": NUCLEUS_SECONDS}


def first_pass_requests(needs: frozenset[str], kawhi: DictConfig) -> dict[str, Any]:
    """What to ask of verl's own old-log-prob pass."""
    requests: dict[str, Any] = {}
    if "alignment" in needs:
        alignment = OmegaConf.to_container(kawhi.alignment, resolve=True)
        keep = kawhi.regions.keep_ratio if kawhi.regions.strategy == "visionzip" else None
        requests[ALIGNMENT_REQUEST] = json.dumps({"alignment": alignment, "keep_ratio": keep})
    if "nucleus_entropy" in needs:
        requests[NUCLEUS_REQUEST] = json.dumps(float(kawhi.signals.nucleus_p))
    return requests


def further_passes(needs: frozenset[str], kawhi: DictConfig, step: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Prefix and requests of each pass with other images that is needed."""
    for prefix, share in ((PERTURBED, None), (BLANK, 1.0)):
        wanted = {name for name in needs if FIELDS.get(name, "").startswith(prefix)}
        if wanted:
            share = float(kawhi.signals.perturbed_share) if share is None else share
            image = {"share": share, "seed": int(kawhi.signals.seed), "step": step}
            entropy = f"{prefix}_entropy" in {FIELDS[name] for name in wanted}
            yield prefix, {IMAGE_REQUEST: json.dumps(image), "calculate_entropy": entropy, "compute_loss": False}


def keep_pass(batch, prefix: str, *, entropy: bool) -> Any:
    """Moves what a further pass wrote from verl's fields to fields of its own; returns the fresh batch handle."""
    names = ["log_probs", *(["entropy"] if entropy else [])]
    data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=[*names, "response_mask"])
    mask = data["response_mask"]
    own = {f"{prefix}_{name}": response_from_nested(data[name], mask) for name in names}
    put = TensorDict(own, batch_size=len(batch))
    return tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=put)


def read_signals(data: TensorDict, needs: frozenset[str], responses: tuple[Tensor, ...]) -> dict[str, list[Tensor]]:
    """Name -> one ``(T,)`` per response, of the signals that come of passes."""
    signals = {}
    for name in needs - TRUTH:
        rows = data[FIELDS[name]].unbind()
        if name == "alignment":
            rows = response_alpha(data, responses)
        if name == "nucleus_entropy":  # full length, at the states that predict
            rows = response_from_nested(data[NUCLEUS_ENTROPY], data["responses"]).unbind()
        lengths = [len(row) for row in rows]
        if lengths != [len(response) for response in responses]:
            raise RuntimeError(f"the signal {name} has {lengths} values for responses of {list(map(len, responses))}")
        signals[name] = list(rows)
    return signals


def signals_there(data: TensorDict, needs: frozenset[str], responses: tuple[Tensor, ...]) -> dict[str, list[Tensor]]:
    """As :func:`read_signals`, of what a method needs and of :data:`ALWAYS`, as far as it is there; computes none."""
    return read_signals(data, frozenset(n for n in (needs | ALWAYS) - TRUTH if FIELDS[n] in data.keys()), responses)


def known_readings(fields: Sequence[dict[str, Any]]) -> list[list[int]]:
    """What each response had to read.

    Args:
        fields: what the agent loop said about each response.

    Raises:
        RuntimeError: the data does not say it.
    """
    without = sorted({own[PROMPT_INDEX] for own in fields if READINGS not in own})
    if without:
        raise RuntimeError(
            f"the credit method compares what is read with the truth, and the data has none for prompt {without[0]} "
            f"(of {len(without)} such in this step): take data with extra_info.readings, e.g. data=reading"
        )
    return [own[READINGS] for own in fields]


def refuse_without_images(needs: frozenset[str], fields: Sequence[dict[str, Any]]) -> None:
    """A prompt without an image is the same beside any other one: its signal would be a tie.

    Args:
        fields: what the agent loop said about each response.

    Raises:
        RuntimeError: the method compares with other images, and a prompt has none.
    """
    compared = sorted(name for name in needs if name.startswith(("perturbed", "blank")))
    without = sorted({own[PROMPT_INDEX] for own in fields if not own.get(IMAGES, 1)})
    if compared and without:
        raise RuntimeError(
            f"{', '.join(compared)} need an image in every prompt, and prompt {without[0]} (of {len(without)} such in "
            "this step) has none: drop these prompts, or take another credit method"
        )


def needed_fields(needs: frozenset[str]) -> list[str]:
    """TransferQueue fields behind the signals.

    Raises:
        ValueError: a signal that nobody can gather; the message lists those that exist.
    """
    unknown = needs - FIELDS.keys() - TRUTH
    if unknown:
        raise ValueError(f"unknown signals {', '.join(sorted(unknown))}; known: {', '.join(sorted({*FIELDS, *TRUTH}))}")
    return [FIELDS[name] for name in sorted(needs - TRUTH)] + [SECONDS[name] for name in sorted(needs & SECONDS.keys())]


def response_alpha(data: TensorDict, responses: tuple[Tensor, ...]) -> list[Tensor]:
    """alpha of the response tokens, which are the last of each sequence: one ``(T,)`` per response."""
    return [alpha[-len(response) :] for alpha, response in zip(data[ALPHA].unbind(), responses, strict=True)]
