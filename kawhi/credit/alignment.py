"""How much each response token looks at the selected visual tokens: equations 12-13, in linear form.

Equation 13 averages cosines over visual tokens, and a cosine is linear in the normalised key, so

    alpha_t = mean_h( q̂_t^h . mean_v k̂_v^h )

needs one mean key per head instead of a T x N_s matrix: O(H (T + N_s) d) instead of the paper's O(H T N_s d), exactly.
Statistics that are not linear are in :mod:`kawhi.credit.statistics`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from kawhi.credit.options import check_choice

Metric = Literal["key_query", "key_key"]
Rope = Literal["after", "before"]
QueryPosition = Literal["token", "predicting"]
Statistic = Literal["mean_cosine", "max_cosine", "attention_mass", "max_attention"]
Layer = Literal["last"] | int

# Queries and keys are read in blocks of so many numbers.  A processor works on a block of float32 while it is in its
# cache (512 KB); on an accelerator launching many small kernels would cost more than memory does.
_BLOCK_ON_CPU, _BLOCK_ELSEWHERE = 1 << 17, 1 << 20
SHORTEST = 1e-12
"""Length below which a vector counts as zero."""


@dataclass(frozen=True)
class AlignmentOptions:
    """Which vectors equation 12 compares, and what is made of their comparisons.

    Attributes:
        heads: query heads to average over, ``None`` for all.
        metric: the response's queries or its keys, with the image's keys (table 3, block 2).
        rope: vectors after or before rotary embedding (table 3, block 5).
        query_position: the state at the response token, or the one before it, which predicts the token.
        statistic: equation 13's mean of cosines over the selected visual tokens, or another one: see
            :mod:`kawhi.credit.statistics`.
        layer: the decoder layer whose vectors these are: ``last``, as in the paper, a number from 0, or one from -2
            downwards, which counts from the end.

    Raises:
        ValueError: a value that does not exist; the message lists those that do.
    """

    heads: Sequence[int] | None = None
    metric: Metric = "key_query"
    rope: Rope = "after"
    query_position: QueryPosition = "token"
    statistic: Statistic = "mean_cosine"
    layer: Layer = "last"

    def __post_init__(self) -> None:
        known = {"metric": Metric, "rope": Rope, "query_position": QueryPosition, "statistic": Statistic}
        for name, choices in known.items():
            check_choice(name, getattr(self, name), choices)
        if self.heads is not None and (not self.heads or min(self.heads) < 0):
            raise ValueError(f"heads must be null for all or a list of head indices, not {list(self.heads)}")
        _check_layer(self.layer)
        if attends(self.statistic) and (self.metric, self.rope) != ("key_query", "after"):
            raise ValueError(
                f"statistic {self.statistic} is the model's own attention: it has metric key_query and rope after, "
                f"not {self.metric} and {self.rope}"
            )


def _check_layer(layer: Layer) -> None:
    if layer != "last" and (type(layer) is not int or layer == -1):
        raise ValueError(
            f"layer must be last, a number from 0 or one from -2 downwards that counts from the end, not {layer!r}"
        )


def attends(statistic: Statistic) -> bool:
    """Whether a statistic is one of softmax attention, which needs the keys of all tokens that a query may see."""
    return statistic in ("attention_mass", "max_attention")


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
    return head_alignment(queries, keys, heads, metric=metric, query_heads=query_heads).mean(dim=1)


def head_alignment(
    queries: Tensor,
    keys: Tensor,
    heads: Sequence[int] | None = None,
    *,
    metric: Metric = "key_query",
    query_heads: int | None = None,
) -> Tensor:
    """:func:`vision_alignment` before its mean over heads: ``(T, len(heads))``."""
    queries, keys = torch.as_tensor(queries), torch.as_tensor(keys)
    query_sequence, key_sequence = (torch.zeros(len(x), dtype=torch.long, device=x.device) for x in (queries, keys))
    return packed_head_alignment(
        queries, query_sequence, keys, key_sequence, 1, heads, metric=metric, query_heads=query_heads
    )


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


@torch.no_grad()
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
    """:func:`packed_alignment` before its mean over heads: ``(T, len(heads))`` float32, without gradients."""
    own, served = head_indices(queries, keys, heads, metric, query_heads)
    if len(queries) != len(query_sequence) or len(keys) != len(key_sequence):
        raise ValueError(
            f"{len(queries)} queries with {len(query_sequence)} sequence numbers, "
            f"{len(keys)} keys with {len(key_sequence)}: each needs one of its own"
        )
    # Heads that share a key head (GQA) share its mean.
    kinds, which = torch.unique(served, return_inverse=True)
    mean_keys = _mean_unit_keys(keys, kinds, key_sequence, sequences)[:, which]
    dot = torch.empty(len(queries), len(own), dtype=torch.float32, device=queries.device)
    length = torch.empty_like(dot)
    for part, asked in _blocks(queries, own):
        torch.linalg.vector_norm(asked, dim=-1, out=length[part])
        asked *= mean_keys if sequences == 1 else mean_keys.index_select(0, query_sequence[part])
        torch.sum(asked, dim=-1, out=dot[part])
    # Dividing the dot product by the query's length afterwards saves a normalised copy of the queries.
    return dot.div_(length.clamp_(min=SHORTEST))


def _mean_unit_keys(keys: Tensor, heads: Tensor, sequence: Tensor, sequences: int) -> Tensor:
    """``(sequences, len(heads), d)``; zeros for a sequence without keys."""
    total = torch.zeros(sequences, len(heads), keys.shape[2], dtype=torch.float32, device=keys.device)
    for part, unit in _blocks(keys, heads):
        unit /= torch.linalg.vector_norm(unit, dim=-1, keepdim=True).clamp_(min=SHORTEST)
        total.index_add_(0, sequence[part], unit)
    return total.div_(torch.bincount(sequence, minlength=sequences).clamp_(min=1)[:, None, None])


def _blocks(states: Tensor, heads: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """All rows, some at a time: which ones, and their ``heads`` in float32.

    The next block overwrites the last one, because fresh memory for each would cost more than the arithmetic.
    """
    numbers = _BLOCK_ON_CPU if states.device.type == "cpu" else _BLOCK_ELSEWHERE
    rows = min(len(states), max(1, numbers // (len(heads) * states.shape[2])))
    taken = states.new_empty(rows, len(heads), states.shape[2])
    block = taken.float()  # the same memory where nothing has to be converted
    for start in range(0, len(states), max(1, rows)):
        part = slice(start, min(start + rows, len(states)))
        size = part.stop - start
        torch.index_select(states[part], 1, heads, out=taken[:size])
        if block is not taken:
            block[:size].copy_(taken[:size])
        yield part, block[:size]


def head_indices(
    queries: Tensor, keys: Tensor, heads: Sequence[int] | None, metric: Metric, query_heads: int | None
) -> tuple[Tensor, Tensor]:
    """For each chosen head, its index among the heads of ``queries`` and of ``keys``."""
    total = _query_heads(queries, keys, metric, query_heads)
    chosen = list(range(total)) if heads is None else list(heads)
    if not chosen or min(chosen) < 0 or max(chosen) >= total:
        raise ValueError(f"heads {chosen} are not a choice out of {total} query heads")
    index = torch.tensor(chosen, device=queries.device)
    return index // (total // queries.shape[1]), index // (total // keys.shape[1])


def _query_heads(queries: Tensor, keys: Tensor, metric: Metric, query_heads: int | None) -> int:
    """``H_q`` of the model, if the shapes fit it."""
    if queries.ndim != 3 or keys.ndim != 3:
        raise ValueError(f"queries {tuple(queries.shape)} and keys {tuple(keys.shape)} must be (tokens, heads, width)")
    given, key_heads = queries.shape[1], keys.shape[1]
    check_choice("metric", metric, Metric)
    total = given if query_heads is None else query_heads
    fits = given == total if metric == "key_query" else given in (key_heads, total)
    if not key_heads or total % key_heads or not fits or queries.shape[2] != keys.shape[2]:
        raise ValueError(
            f"{metric}: {tuple(queries.shape)} and {tuple(keys.shape)} do not fit grouped attention of {total} heads"
        )
    return total
