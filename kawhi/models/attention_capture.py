"""Queries and keys of a decoder layer, caught while a forward pass runs anyway.

Hooks sit on projections rather than on the attention function, so they work with flash-attention, with packed batches
and under FSDP2, and cost nothing while the capture is not armed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from kawhi.credit.alignment import AlignmentOptions, Layer, Metric, Rope, attends
from kawhi.models.capture import Capture, unwrapped
from kawhi.models.families import family_of


@dataclass(frozen=True)
class Captured:
    """Selected rows of a layer's attention inputs, float32.

    Attributes:
        queries: ``(R_q, H_q, d)`` after normalisation, and after rotary embedding unless it was asked for before; for
            ``key_key`` the keys ``(R_q, H_k, d)`` of these rows.
        keys: ``(R_k, H_k, d)`` likewise; not repeated for GQA unless heads were chosen.
    """

    queries: Tensor
    keys: Tensor


class AttentionCapture(Capture):
    """Records one layer of a model of a known family while armed: the last one, or another.

    Use: ``arm()``, run the model without gradients, ``take(query_rows, key_rows)``.

    Attributes:
        query_heads: of the layer.
        window: how many keys a query of the layer sees; ``None`` for all before it.

    Raises:
        ValueError: a layer that the model does not have, or a family that is not known.
    """

    def __init__(self, model: PreTrainedModel | nn.Module, layer: Layer = "last"):
        super().__init__()
        family = family_of(model)
        language_model: Any = unwrapped(model).model.language_model
        count = len(language_model.layers)
        if layer != "last" and not -count <= layer < count:
            raise ValueError(f"kawhi.alignment.layer={layer}: the model has {count} decoder layers, 0 to {count - 1}")
        attention = language_model.layers[-1 if layer == "last" else layer].self_attn
        self._head_dim: int = attention.head_dim
        self.window: int | None = getattr(attention, "sliding_window", None)
        self.query_heads: int = language_model.config.num_attention_heads
        projections = family.projections(attention)
        self._rotate = projections.rotate
        self.keep_inputs(attention, positions="position_embeddings")
        self.keep_output("queries", projections.queries)
        self.keep_output("keys", projections.keys)

    def arm(self) -> None:
        """Keeps the next forward pass.

        Raises:
            RuntimeError: gradients are on; the capture is for log-prob passes, where layers run once.
        """
        if torch.is_grad_enabled():
            raise RuntimeError("attention capture was armed in a pass with gradients; it belongs to log-prob passes")
        super().arm()

    def require(self, options: AlignmentOptions) -> None:
        """
        Raises:
            ValueError: a head that the model does not have, or attention of a layer that sees a window alone.
        """
        if options.heads is not None and max(options.heads) >= self.query_heads:
            raise ValueError(
                f"kawhi.alignment.heads={list(options.heads)}: the model has {self.query_heads} query heads"
            )
        if attends(options.statistic) and self.window is not None:
            raise ValueError(
                f"kawhi.alignment.statistic={options.statistic}: layer {options.layer} attends within {self.window} "
                "tokens, and only layers that see all tokens are known"
            )

    def take(
        self,
        query_rows: Tensor,
        key_rows: Tensor,
        *,
        metric: Metric = "key_query",
        rope: Rope = "after",
        heads: Sequence[int] | None = None,
    ) -> Captured:
        """The captured pass, reduced to the rows that matter before anything is computed on them.

        Args:
            query_rows, key_rows: int64 indices into the flattened ``(B * S)`` token axis of the pass: ``B = 1`` and
                ``S`` the total length in packed batches.
            metric: ``key_query`` takes the queries of ``query_rows``, ``key_key`` their keys.
            rope: ``after`` rotary embedding, as attention compares them, or ``before`` it (table 3, block 5).
            heads: query heads wanted; nothing is computed for the others.  Keys then come once per wanted query head.

        Raises:
            RuntimeError: the capture was not armed, or no forward pass ran since.
        """
        missing = {"queries", "keys", "positions"} - self.seen.keys()
        if missing:
            raise RuntimeError(f"no {', '.join(sorted(missing))} were captured: the armed pass did not run")
        asking = self._rows("queries" if metric == "key_query" else "keys", query_rows, rope, heads)
        keys = self._rows("keys", key_rows, rope, heads)
        self.disarm()
        return Captured(asking, keys)

    def _rows(self, name: str, rows: Tensor, rope: Rope, wanted: Sequence[int] | None) -> Tensor:
        states = self.seen[name]
        batch = states.shape[:2]
        states = states.reshape(states.shape[0] * states.shape[1], -1, self._head_dim)
        if wanted is None:
            heads = states[rows].float()
        else:
            served = torch.tensor(wanted, device=states.device) // (self.query_heads // states.shape[1])
            heads = states[rows[:, None], served].float()
        if rope == "before":
            return heads
        cos, sin = self.seen["positions"]
        # cos and sin are (B, S, d), or (3, B, S, d) where mRoPE sections are mixed by the rotary function itself.
        # Rows that have the same positions may share them: (1, S, d).
        cos, sin = (x.expand(*x.shape[:-3], *batch, x.shape[-1]) for x in (cos, sin))
        cos, sin = (x.flatten(-3, -2)[..., rows, :].unsqueeze(-3).float() for x in (cos, sin))
        heads = heads.transpose(0, 1).unsqueeze(0)  # (1, H, R, d), the layout of the library's rotary functions
        rotated, _ = self._rotate(heads, heads[:, :1], cos, sin)
        return rotated[0].transpose(0, 1)
