"""How much each response token looks at the selected visual tokens: equations 12-13, in linear form.

Equation 13 averages cosines over visual tokens, and a cosine is linear in the normalised key, so

    alpha_t = mean_h( q̂_t^h . mean_v k̂_v^h )

needs one mean key per head instead of a T x N_s matrix: O(H (T + N_s) d) instead of the paper's O(H T N_s d), exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def vision_alignment(queries: Tensor, keys: Tensor, heads: Sequence[int] | None = None) -> Tensor:
    """alpha of equation 13 for one response.

    Args:
        queries: ``(T, H_q, d)`` of the response tokens, any float type.
        keys: ``(N, H_k, d)`` of the selected visual tokens; ``H_q`` is a multiple of ``H_k`` (GQA: each key head serves
            ``H_q / H_k`` consecutive query heads).
        heads: query-head indices to average over; ``None`` for all.

    Returns:
        ``(T,)`` float32 in [-1, 1]; zeros when ``N == 0``.  A zero vector has cosine 0 with everything.

    Raises:
        ValueError: shapes that do not fit, or a head that does not exist.
    """
    segment = torch.zeros(len(queries), dtype=torch.long, device=queries.device)
    key_segment = torch.zeros(len(keys), dtype=torch.long, device=keys.device)
    return packed_alignment(queries, segment, keys, key_segment, 1, heads)


def packed_alignment(
    queries: Tensor,
    query_sequence: Tensor,
    keys: Tensor,
    key_sequence: Tensor,
    sequences: int,
    heads: Sequence[int] | None = None,
) -> Tensor:
    """:func:`vision_alignment` for a packed batch: every query meets the keys of its own sequence only.

    Args:
        queries: ``(T, H_q, d)`` of all sequences, concatenated.
        query_sequence: ``(T,)`` int64, the sequence each query belongs to.
        keys: ``(N, H_k, d)`` selected visual keys of all sequences, concatenated.
        key_sequence: ``(N,)`` int64, the sequence each key belongs to.
        sequences: number of sequences.
        heads: query-head indices to average over; ``None`` for all.

    Returns:
        ``(T,)`` float32; 0 for the tokens of a sequence without selected keys.

    Raises:
        ValueError: shapes that do not fit, or a head that does not exist.
    """
    query_heads, key_heads = queries.shape[1], keys.shape[1]
    if query_heads % key_heads or queries.shape[2] != keys.shape[2]:
        raise ValueError(f"queries {tuple(queries.shape)} and keys {tuple(keys.shape)} do not fit grouped attention")
    chosen = list(range(query_heads)) if heads is None else list(heads)
    if not chosen or min(chosen) < 0 or max(chosen) >= query_heads:
        raise ValueError(f"heads {chosen} are not a choice out of {query_heads} query heads")
    index = torch.tensor(chosen, device=queries.device)
    unit_keys = F.normalize(keys.float(), dim=-1)
    mean_key = unit_keys.new_zeros(sequences, key_heads, keys.shape[2])
    mean_key.index_add_(0, key_sequence, unit_keys)
    count = torch.bincount(key_sequence, minlength=sequences).clamp(min=1)
    mean_key = mean_key / count[:, None, None]
    mean_key = mean_key[:, index // (query_heads // key_heads)]
    unit_queries = F.normalize(queries[:, index].float(), dim=-1)
    return torch.einsum("thd,thd->t", unit_queries, mean_key[query_sequence]) / len(chosen)
