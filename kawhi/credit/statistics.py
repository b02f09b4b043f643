"""What a response token's looks at the selected visual tokens amount to, beside equation 13's mean of cosines.

``max_cosine``
    The largest cosine with one selected token.
``attention_mass``
    The share of the model's own attention, ``softmax(q k / sqrt(d))`` over all keys that the token may see, that falls
    on the selected tokens.
``max_attention``
    The largest share that falls on one selected token.

Each is taken per head and averaged over heads, as in equation 13.  None of them is linear in the keys, so a score is
computed for each pair of tokens of a sequence, in blocks of rows: the whole matrix is never there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from kawhi.credit.alignment import SHORTEST, Metric, Statistic, attends, head_indices, packed_head_alignment

# Scores that are in memory at once.  A processor takes one head at a time, so that a block has many rows; on an
# accelerator launching many small kernels would cost more than memory does.
_SCORES_ON_CPU, _SCORES_ELSEWHERE = 1 << 18, 1 << 24


@dataclass(frozen=True)
class Vectors:
    """Queries or keys of a packed batch.

    Attributes:
        states: ``(R, H, d)``, any float type.
        sequence: ``(R,)`` int64, the sequence each belongs to.
        position: ``(R,)`` int64, growing within a sequence: attention sees the keys up to the query's own position.
    """

    states: Tensor
    sequence: Tensor
    position: Tensor

    def __getitem__(self, rows: Tensor) -> Vectors:
        return Vectors(self.states[rows], self.sequence[rows], self.position[rows])


@torch.no_grad()
def packed_head_statistic(
    statistic: Statistic,
    queries: Vectors,
    keys: Vectors,
    sequences: int,
    heads: Sequence[int] | None = None,
    *,
    selected: Tensor | None = None,
    metric: Metric = "key_query",
    query_heads: int | None = None,
) -> Tensor:
    """A statistic of every query of a packed batch, for each head by itself.

    Args:
        queries: of the response tokens; for ``key_key`` their keys.
        keys: of the selected visual tokens; for attention of all tokens.
        selected: ``(N,)`` bool, which of ``keys`` are of selected visual tokens; ``None`` for all.
        sequences, heads, metric, query_heads: as in :func:`kawhi.packed_alignment`.

    Returns:
        ``(T, len(heads))`` float32, without gradients; 0 for the tokens of a sequence without selected keys.

    Raises:
        ValueError: as there.
    """
    if selected is not None and not attends(statistic):
        keys, selected = keys[selected], None
    if statistic == "mean_cosine":
        own = queries.sequence, keys.states, keys.sequence, sequences
        return packed_head_alignment(queries.states, *own, heads, metric=metric, query_heads=query_heads)
    chosen, served = head_indices(queries.states, keys.states, heads, metric, query_heads)
    found = torch.zeros(len(queries.states), len(chosen), dtype=torch.float32, device=queries.states.device)
    at_once = 1 if found.device.type == "cpu" else len(chosen)
    for asking, looked_at in _of_each_sequence(queries.sequence, keys.sequence, sequences):
        columns = torch.arange(len(looked_at), device=found.device)
        columns = columns if selected is None else columns[selected[looked_at]]
        if not len(columns):
            continue
        later = keys.position[looked_at], queries.position[asking]
        for part in torch.arange(len(chosen), device=found.device).split(at_once):
            asked = queries.states[asking[:, None], chosen[part]].float().transpose(0, 1)
            shared = keys.states[looked_at[:, None], served[part]].float().permute(1, 2, 0)
            found[asking[:, None], part] = _largest_or_sum(statistic, asked, shared, columns, *later)
    return found


def _largest_or_sum(
    statistic: Statistic, asked: Tensor, shared: Tensor, columns: Tensor, key_position: Tensor, query_position: Tensor
) -> Tensor:
    """``(T, H)`` of one sequence, from ``(H, T, d)`` queries and ``(H, d, N)`` keys; ``columns`` are the selected keys.

    Only so many rows are computed at once that their scores fit.
    """
    if not attends(statistic):
        asked, shared = (F.normalize(each, dim=dim, eps=SHORTEST) for each, dim in ((asked, -1), (shared, 1)))
    room = _SCORES_ON_CPU if asked.device.type == "cpu" else _SCORES_ELSEWHERE
    found = []
    for rows in torch.arange(asked.shape[1], device=asked.device).split(
        max(1, room // (len(shared) * shared.shape[2]))
    ):
        if attends(statistic):
            looks = _attention(asked[:, rows], shared, key_position > query_position[rows, None])
            looks = looks.index_select(-1, columns)
        else:
            looks = torch.bmm(asked[:, rows], shared)
        found.append(looks.sum(dim=-1) if statistic == "attention_mass" else looks.amax(dim=-1))
    return torch.cat(found, dim=1).T


def attention_shares(queries: Vectors, keys: Vectors) -> Tensor:
    """``(H, T, N)`` softmax attention of all heads in one sequence, for pictures and studies of short texts."""
    served = torch.arange(queries.states.shape[1]) // (queries.states.shape[1] // keys.states.shape[1])
    shared = keys.states[:, served].float().permute(1, 2, 0)
    return _attention(queries.states.float().transpose(0, 1), shared, keys.position > queries.position[:, None])


def _attention(asked: Tensor, shared: Tensor, later: Tensor) -> Tensor:
    """``(H, R, N)`` softmax attention of ``(H, R, d)`` queries to ``(H, d, N)`` keys, ``later (R, N)`` ones unseen."""
    scores = torch.bmm(asked * asked.shape[-1] ** -0.5, shared)
    return scores.masked_fill_(later, float("-inf")).softmax(dim=-1)


def _of_each_sequence(asking: Tensor, looked_at: Tensor, sequences: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Indices of each sequence's queries and keys, of which it has both."""
    parts = (
        torch.argsort(of, stable=True).split(torch.bincount(of, minlength=sequences).tolist())
        for of in (asking, looked_at)
    )
    for mine, its in zip(*parts, strict=True):
        if len(mine) and len(its):
            yield mine, its
