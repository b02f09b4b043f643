"""How much each response token looks at the selected visual tokens: equations 12-13, in linear form.

Equation 13 averages cosines over visual tokens, and a cosine is linear in the normalised key, so

    alpha_t = mean_h( q̂_t^h . mean_v k̂_v^h )

needs one mean key per head instead of a T x N_s matrix: O(H (T + N_s) d) instead of the paper's O(H T N_s d), exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

Metric = Literal["key_query", "key_key"]
Rope = Literal["after", "before"]
QueryPosition = Literal["token", "predicting"]
METRICS: tuple[Metric, ...] = get_args(Metric)

_HEADS_AT_ONCE = 4  # bounds the float32 copies of queries and keys


@dataclass(frozen=True)
class AlignmentOptions:
    """Which vectors equation 12 compares.

    Attributes:
        heads: query heads to average over, ``None`` for all.
        metric: the response's queries or its keys, with the image's keys (table 3, block 2).
        rope: vectors after or before rotary embedding (table 3, block 5).
        query_position: the state at the response token, or the one before it, which predicts the token.

    Raises:
        ValueError: a value that does not exist; the message lists those that do.
    """

    heads: Sequence[int] | None = None
    metric: Metric = "key_query"
    rope: Rope = "after"
    query_position: QueryPosition = "token"

    def __post_init__(self) -> None:
        for name, known in (("metric", Metric), ("rope", Rope), ("query_position", QueryPosition)):
            if getattr(self, name) not in get_args(known):
                raise ValueError(f"unknown {name} {getattr(self, name)!r}; choose one of {', '.join(get_args(known))}")
        if self.heads is not None and (not self.heads or min(self.heads) < 0):
            raise ValueError(f"heads must be null for all or a list of head indices, not {list(self.heads)}")


def vision_alignment(
    queries: Tensor,
    keys: Tensor,
    heads: Sequence[int] | None = None,
    *,
    metric: Metric = "key_query",
    query_heads: int | None = None,
) -> Tensor:
    """alpha of equation 13 for one response.

    Args:
        queries: ``(T, H_q, d)`` of the response tokens, any float type; for ``key_key`` their keys ``(T, H_k, d)``.
        keys: ``(N, H_k, d)`` of the selected visual tokens; ``H_q`` is a multiple of ``H_k`` (GQA: each key head serves
            ``H_q / H_k`` consecutive query heads).
        heads: query-head indices to average over; ``None`` for all.
        metric: ``key_query`` is the paper's; ``key_key`` compares keys with keys (table 3, block 2).
        query_heads: ``H_q`` of the model, which ``heads`` counts; by default the number of heads of ``queries``.
            Needed for ``key_key`` under GQA, where a query head stands for the key head that serves it.

    Returns:
        ``(T,)`` float32 in [-1, 1]; zeros when ``N == 0``.  A zero vector has cosine 0 with everything.

    Raises:
        ValueError: shapes that do not fit, a head that does not exist, or an unknown metric.
    """
    queries, keys = torch.as_tensor(queries), torch.as_tensor(keys)
    segment = torch.zeros(len(queries), dtype=torch.long, device=queries.device)
    key_segment = torch.zeros(len(keys), dtype=torch.long, device=keys.device)
    return packed_alignment(queries, segment, keys, key_segment, 1, heads, metric=metric, query_heads=query_heads)


def packed_alignment(
    queries: Tensor,
    query_sequence: Tensor,
    keys: Tensor,
    key_sequence: Tensor,
    sequences: int,
    heads: Sequence[int] | None = None,
    *,
    metric: Metric = "key_query",
    query_heads: int | None = None,
) -> Tensor:
    """:func:`vision_alignment` for a packed batch: every query meets the keys of its own sequence only.

    Args:
        queries: ``(T, H_q, d)`` of all sequences, concatenated; for ``key_key`` ``(T, H_k, d)``.
        query_sequence: ``(T,)`` int64, the sequence each query belongs to.
        keys: ``(N, H_k, d)`` selected visual keys of all sequences, concatenated.
        key_sequence: ``(N,)`` int64, the sequence each key belongs to.
        sequences: number of sequences.
        heads, metric, query_heads: as there.

    Returns:
        ``(T,)`` float32; 0 for the tokens of a sequence without selected keys.

    Raises:
        ValueError: as there.
    """
    per_head = packed_head_alignment(
        queries, query_sequence, keys, key_sequence, sequences, heads, metric=metric, query_heads=query_heads
    )
    return per_head.mean(dim=1)


def packed_head_alignment(
    queries: Tensor,
    query_sequence: Tensor,
    keys: Tensor,
    key_sequence: Tensor,
    sequences: int,
    heads: Sequence[int] | None = None,
    *,
    metric: Metric = "key_query",
    query_heads: int | None = None,
) -> Tensor:
    """:func:`packed_alignment` before its mean over heads: ``(T, len(heads))`` float32."""
    own, served = _head_indices(queries, keys, heads, metric, query_heads)
    if len(queries) != len(query_sequence) or len(keys) != len(key_sequence):
        raise ValueError(
            f"{len(queries)} queries with {len(query_sequence)} sequence numbers, "
            f"{len(keys)} keys with {len(key_sequence)}: each needs one of its own"
        )
    count = torch.bincount(key_sequence, minlength=sequences).clamp(min=1)[:, None, None]
    result = torch.empty(len(queries), len(own), dtype=torch.float32, device=queries.device)
    for start in range(0, len(own), _HEADS_AT_ONCE):
        part = slice(start, start + _HEADS_AT_ONCE)
        unit_keys = F.normalize(keys[:, served[part]].float(), dim=-1)
        mean_key = unit_keys.new_zeros(sequences, *unit_keys.shape[1:]).index_add_(0, key_sequence, unit_keys) / count
        asked = queries[:, own[part]].float()
        # The dot product is divided by the query's length afterwards, which saves a normalised copy of the queries.
        if sequences == 1:
            dot = torch.einsum("thd,hd->th", asked, mean_key[0])
        else:
            dot = torch.einsum("thd,thd->th", asked, mean_key[query_sequence])
        result[:, part] = dot / asked.norm(dim=-1).clamp(min=1e-12)
    return result


def _head_indices(
    queries: Tensor, keys: Tensor, heads: Sequence[int] | None, metric: str, query_heads: int | None
) -> tuple[Tensor, Tensor]:
    """For each chosen head, its index among the heads of ``queries`` and of ``keys``."""
    if queries.ndim != 3 or keys.ndim != 3:
        raise ValueError(f"queries {tuple(queries.shape)} and keys {tuple(keys.shape)} must be (tokens, heads, width)")
    given, key_heads = queries.shape[1], keys.shape[1]
    if metric not in METRICS:
        raise ValueError(f"unknown metric {metric!r}; choose one of {', '.join(METRICS)}")
    total = given if query_heads is None else query_heads
    fits = given == total if metric == "key_query" else given in (key_heads, total)
    if not key_heads or total % key_heads or not fits or queries.shape[2] != keys.shape[2]:
        raise ValueError(
            f"{metric}: {tuple(queries.shape)} and {tuple(keys.shape)} do not fit grouped attention of {total} heads"
        )
    chosen = list(range(total)) if heads is None else list(heads)
    if not chosen or min(chosen) < 0 or max(chosen) >= total:
        raise ValueError(f"heads {chosen} are not a choice out of {total} query heads")
    index = torch.tensor(chosen, device=queries.device)
    return index // (total // given), index // (total // key_heads)
