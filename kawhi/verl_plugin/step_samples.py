"""A few prompts of every training step with the worth of each token, for ``kawhi explain RUN_DIR --step N``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from kawhi.base.files import write_atomically
from kawhi.verl_plugin.wire import PROMPT_INDEX, SELECTED_TOKENS

PROMPTS = 4
"""Prompts kept per step."""
MOST = 950_000
"""Bytes of a step's file: where responses are so long that it would have more, it has fewer prompts; one at least."""


def write_step(
    step: int,
    *,
    uids: Sequence[str],
    extra_fields: Sequence[dict[str, Any]],
    responses: Sequence[Tensor],
    advantages: Sequence[Tensor],
    rewards: Sequence[Tensor],
    weights: Sequence[Tensor],
    alpha: Sequence[Tensor] | None,
    signals: Mapping[str, Sequence[Tensor]],
) -> None:
    """Writes ``<run directory>/train/steps/<step>.json``; nothing when verl runs outside the harness.

    Args:
        uids: prompt of each response.
        extra_fields: what the agent loop said about each response.
        responses, advantages, rewards, weights, alpha: one tensor ``(T,)`` per response; advantages before weighting.
        signals: what else the method looks at, by name, as ``alpha``.
    """
    folder = os.environ.get("KAWHI_RUN_DIR")
    if folder is None:
        return
    prompts: dict[str, dict[str, Any]] = {}
    for i, uid in enumerate(uids):
        if uid not in prompts and len(prompts) == PROMPTS:
            continue
        index, selected = extra_fields[i].get(PROMPT_INDEX), list(extra_fields[i].get(SELECTED_TOKENS, []))
        prompt = prompts.setdefault(uid, {"index": index, "selected": selected, "responses": []})
        prompt["responses"].append(
            {
                "token_ids": responses[i].tolist(),
                "alpha": None if alpha is None else _rounded(alpha[i]),
                "signals": {name: _rounded(rows[i], 5) for name, rows in sorted(signals.items())},
                "weights": _rounded(weights[i]),
                "advantage": round(float(advantages[i][-1]), 6),
                "reward": round(float(rewards[i].sum()), 6),
            }
        )
    listed = list(prompts.values())
    while len(text := _text(step, listed)) > MOST and len(listed) > 1:
        listed.pop()
    write_atomically(Path(folder) / "train" / "steps" / f"{step:06d}.json", text + "\n")


def _text(step: int, prompts: list[dict[str, Any]]) -> str:
    return json.dumps({"step": step, "prompts": prompts}, separators=(",", ":"))


def _rounded(values: Tensor, digits: int = 6) -> list[float]:
    return [round(value, digits) for value in values.tolist()]
