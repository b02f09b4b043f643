"""Equations 12-13 with the whole T x N_s matrix of every head."""

from __future__ import annotations

import numpy as np


def alignment(queries: np.ndarray, keys: np.ndarray, heads: list[int] | None = None) -> np.ndarray:
    """alpha of ``(T, H_q, d)`` queries and ``(N, H_k, d)`` keys; 0 without keys."""
    queries, keys = np.asarray(queries, np.float64), np.asarray(keys, np.float64)
    expanded = np.repeat(keys, queries.shape[1] // keys.shape[1], axis=1)  # each key head g times
    chosen = range(queries.shape[1]) if heads is None else heads
    alpha = np.zeros(len(queries))
    if len(keys) == 0:
        return alpha
    for t in range(len(queries)):
        matrix = np.zeros((len(chosen), len(keys)))
        for row, head in enumerate(chosen):
            for v in range(len(keys)):
                matrix[row, v] = _cosine(queries[t, head], expanded[v, head])
        alpha[t] = matrix.sum() / (len(keys) * len(chosen))
    return alpha


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    norm = np.sqrt((a * a).sum()) * np.sqrt((b * b).sum())
    return float((a * b).sum() / norm) if norm > 0 else 0.0
