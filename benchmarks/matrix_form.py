"""Equations 12-13 as they are printed: a matrix of response tokens times visual tokens, per head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def matrix_alignment(queries: Tensor, keys: Tensor, heads: Sequence[int]) -> Tensor:
    """alpha ``(T,)`` of one response, in float32 as :func:`kawhi.vision_alignment`.

    Args:
        queries: ``(T, H_q, d)``.
        keys: ``(N, H_k, d)``, ``H_q`` a multiple of ``H_k``.
        heads: query heads to average over.  Only these are normalised and, for GQA, repeated, and all cosines are one
            batched product of matrices: nothing is done here that the equations do not ask for.
    """
    own = torch.tensor(heads)
    served = own // (queries.shape[1] // keys.shape[1])
    unit_queries = F.normalize(queries[:, own].float(), dim=-1).transpose(0, 1)
    unit_keys = F.normalize(keys[:, served].float(), dim=-1).transpose(0, 1)
    cosines = torch.bmm(unit_queries, unit_keys.transpose(1, 2))  # (H, T, N)
    return cosines.mean(dim=(0, 2))
