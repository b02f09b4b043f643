"""Equations 12-13 with the whole T x N_s matrix of every head."""

from __future__ import annotations

import numpy as np


def alignment(queries: np.ndarray, keys: np.ndarray, heads: list[int] | None = None) -> np.ndarray:
    """alpha of ``(T, H_q, d)`` queries and ``(N, H_k, d)`` keys; 0 without keys."""
    matrices = cosines(queries, keys, heads)
    chosen, tokens, visual = matrices.shape
    alpha = np.zeros(tokens)
    for t in range(tokens if visual else 0):
        alpha[t] = matrices[:, t].sum() / (visual * chosen)
    return alpha


def head_alignment(queries: np.ndarray, keys: np.ndarray, heads: list[int] | None = None) -> np.ndarray:
    """``(T, heads)``: equation 13 of each head by itself."""
    matrices = cosines(queries, keys, heads)
    chosen, tokens, visual = matrices.shape
    result = np.zeros((tokens, chosen))
    for row in range(chosen if visual else 0):
        for t in range(tokens):
            result[t, row] = matrices[row, t].sum() / visual
    return result


def key_key_alignment(
    own_keys: np.ndarray, keys: np.ndarray, heads: list[int] | None = None, query_heads: int | None = None
) -> np.ndarray:
    """Table 3's key-key: a query head stands for the key head that serves it, so both sides are repeated."""
    group = 1 if query_heads is None else query_heads // own_keys.shape[1]
    return alignment(np.repeat(own_keys, group, axis=1), np.repeat(keys, group, axis=1), heads)


def cosines(queries: np.ndarray, keys: np.ndarray, heads: list[int] | None = None) -> np.ndarray:
    """Equation 12, ``(heads, T, N)``."""
    queries, keys = np.asarray(queries, np.float64), np.asarray(keys, np.float64)
    expanded = np.repeat(keys, queries.shape[1] // keys.shape[1], axis=1)  # each key head g times
    chosen = list(range(queries.shape[1])) if heads is None else heads
    matrices = np.zeros((len(chosen), len(queries), len(keys)))
    for row, head in enumerate(chosen):
        for t in range(len(queries)):
            for v in range(len(keys)):
                matrices[row, t, v] = _cosine(queries[t, head], expanded[v, head])
    return matrices


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    norm = np.sqrt((a * a).sum()) * np.sqrt((b * b).sum())
    return float((a * b).sum() / norm) if norm > 0 else 0.0


def head_statistic(
    statistic: str,
    queries: np.ndarray,
    query_positions: list[int],
    keys: np.ndarray,
    key_positions: list[int],
    selected: list[bool],
    heads: list[int] | None = None,
) -> np.ndarray:
    """``(T, heads)`` of one sequence, of a statistic beside the mean; 0 without selected keys."""
    queries, keys = np.asarray(queries, np.float64), np.asarray(keys, np.float64)
    expanded = np.repeat(keys, queries.shape[1] // keys.shape[1], axis=1)
    chosen = list(range(queries.shape[1])) if heads is None else heads
    result = np.zeros((len(queries), len(chosen)))
    for row, head in enumerate(chosen):
        for t in range(len(queries)):
            looks = []
            total = 0.0
            for s in range(len(keys)):
                if statistic == "max_cosine":
                    look = _cosine(queries[t, head], expanded[s, head])
                elif key_positions[s] <= query_positions[t]:
                    look = np.exp(queries[t, head] @ expanded[s, head] / np.sqrt(queries.shape[2]))
                    total += look
                else:
                    look = 0.0
                if selected[s]:
                    looks.append(look)
            if looks and statistic == "attention_mass":
                result[t, row] = sum(looks) / total
            elif looks:
                result[t, row] = max(looks) / (1 if statistic == "max_cosine" else total)
    return result
