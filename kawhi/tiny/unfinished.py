"""Decodes the responses of a batch that have not ended.

transformers 5.9 computes every row of a batch until its last response ends.  At 250 rows, whose responses have 30
tokens on average and 96 at most, two thirds of an evaluation's tokens are computed and thrown away.  The rows that are
left have the numbers that they have among all (``tests/tiny/test_unfinished.py``).  Used by the evaluation.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from transformers import PreTrainedModel

FEWEST = 16
"""Rows that are computed in any case: matrix products of one to three rows round differently."""
_WORTH = 0.85  # of the rows at most must be left: leaving some out copies the keys and values of the others


def decode_unfinished(model: PreTrainedModel, end: int) -> None:
    """Replaces ``forward`` of this one model instance, for ``generate`` with a cache.

    Args:
        end: the token that ends a response; what ``generate`` makes of a row after it is thrown away.
    """
    forward = model.forward
    rows = ended = torch.empty(0, dtype=torch.long)

    @functools.wraps(forward)  # `generate` reads the signature
    def decoding(input_ids=None, past_key_values=None, attention_mask=None, position_ids=None, **others: Any):
        nonlocal rows, ended
        cache, given = past_key_values, {"past_key_values": past_key_values, **others}
        if cache is None or cache.get_seq_length() == 0:
            count = 0 if input_ids is None else len(input_ids)
            rows, ended = torch.arange(count), torch.zeros(count, dtype=torch.bool)
            return forward(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, **given)
        ended |= input_ids[:, -1] == end
        over = ended[rows]
        left = max(int((~over).sum()), min(FEWEST, len(over)))
        if left <= _WORTH * len(over):
            kept = over.byte().argsort(stable=True)[:left].sort().values
            cache.batch_select_indices(kept)
            rows = rows[kept]
        output = forward(
            input_ids=input_ids[rows], attention_mask=attention_mask[rows], position_ids=position_ids[:, rows], **given
        )
        logits = output.logits.new_zeros(len(input_ids), *output.logits.shape[1:])
        logits[rows] = output.logits
        output.logits = logits
        return output

    model.forward = decoding  # type: ignore[method-assign]
