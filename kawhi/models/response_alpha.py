"""alpha of the response tokens of one captured pass, whatever its rows were."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kawhi.credit.alignment import AlignmentOptions, attends
from kawhi.credit.statistics import Vectors, packed_head_statistic
from kawhi.models.attention_capture import AttentionCapture


@dataclass(frozen=True)
class Tokens:
    """The ``n`` tokens of all sequences of a pass, without padding, sequence after sequence.

    Attributes:
        sequence: ``(n,)`` int64, the sequence each belongs to.
        row: ``(n,)`` int64, where each is in the flattened ``(B * S)`` token axis of the pass.
        in_response: ``(n,)`` bool, the tokens that alpha is wanted of.
        sequences: how many there are.
    """

    sequence: Tensor
    row: Tensor
    in_response: Tensor
    sequences: int


@torch.no_grad()
def response_alpha(capture: AttentionCapture, options: AlignmentOptions, tokens: Tokens, selected: Tensor) -> Tensor:
    """alpha of every response token: equation 13, or another statistic.

    Args:
        capture: has seen the pass.
        selected: int64 indices into ``tokens``, the visual tokens that the responses are compared with.

    Returns:
        ``(n,)`` float32; 0 for tokens of no response and for sequences without a selected token.

    Raises:
        RuntimeError: no pass was captured.
        ValueError: a head that the model does not have, or attention of a layer that sees a window alone.
    """
    capture.require(options)
    wanted, among = selected, None
    if attends(options.statistic):  # its softmax runs over all keys that a query may see
        wanted = torch.arange(len(tokens.row), device=tokens.row.device)
        among = torch.isin(wanted, selected)
    # The state that predicts a token is the one before it; a prompt is never empty.
    asking = tokens.row[tokens.in_response] - int(options.query_position == "predicting")
    captured = capture.take(asking, tokens.row[wanted], metric=options.metric, rope=options.rope, heads=options.heads)
    per_head = packed_head_statistic(
        options.statistic,
        Vectors(captured.queries, tokens.sequence[tokens.in_response], asking),
        Vectors(captured.keys, tokens.sequence[wanted], tokens.row[wanted]),
        tokens.sequences,
        selected=among,
        metric=options.metric,
        # Chosen heads come with a key head each; all heads come as they are.
        query_heads=capture.query_heads if options.heads is None else None,
    )
    alpha = torch.zeros(len(tokens.row), device=tokens.row.device)
    alpha[tokens.in_response] = per_head.mean(dim=1)
    return alpha
