"""What a model compares in forward passes that somebody else runs: the way into any trainer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel

from kawhi.credit.alignment import AlignmentOptions
from kawhi.models.attention_capture import AttentionCapture
from kawhi.models.capture import unwrapped
from kawhi.models.response_alpha import Tokens, response_alpha

Selection = Sequence[int] | NDArray[np.int64] | Tensor
"""Which visual tokens of a sequence count, by their place among all that its prompt has."""


@contextmanager
def capture(model: PreTrainedModel | nn.Module, **alignment: Any) -> Iterator[Passes]:
    """Catches queries and keys of a decoder layer in the forward passes that run while the context is open.

    With or without gradients; alpha itself never has any.  What is yielded holds one layer's queries and keys of every
    pass, ``B * S * (H_q + H_k) * d`` numbers in the model's precision.

    Args:
        model: of a known family, also inside DDP, FSDP or PEFT.
        alignment: options of :class:`kawhi.AlignmentOptions`: ``heads``, the model's critical heads, by default all of
            them; ``layer``, ``metric``, ``statistic``, ``rope``, ``query_position``.

    Raises:
        ValueError: a family that is not known, a head, a layer or an option that does not exist.
    """
    options = AlignmentOptions(**alignment)
    passes = Passes(model, options)
    try:
        yield passes
    finally:
        passes.close()


class Passes:
    """The passes of one :func:`capture`, in the order in which they ran."""

    def __init__(self, model: PreTrainedModel | nn.Module, options: AlignmentOptions):
        inner = unwrapped(model)
        self._image_token: int = inner.config.image_token_id
        self._capture, self._options = AttentionCapture(model, options.layer), options
        self._capture.require(options)
        self._seen: list[tuple[Tensor | None, Tensor, dict[str, Any]]] = []
        self._hooks = [
            inner.model.register_forward_pre_hook(self._begins, with_kwargs=True),
            inner.model.register_forward_hook(self._ends, with_kwargs=True),
        ]

    def __len__(self) -> int:
        return len(self._seen)

    def alpha(
        self, responses: Tensor, selected: Sequence[Selection] | None = None, input_ids: Tensor | None = None
    ) -> Tensor:
        """alpha of equation 13, of responses that are the end of padded rows.

        Args:
            responses: ``(B, T)`` bool or int, which of the last ``T`` tokens of each row belong to its response; the
                rows of all passes, in their order.
            selected: of each row, its selected visual tokens (:func:`kawhi.select_visual_tokens`); ``None`` for all.
            input_ids: ``(B, S)`` of the whole rows, where the model was given ``inputs_embeds`` in their place.

        Returns:
            ``(B, T)`` float32, 0 where ``responses`` is 0 and in rows without an image.

        Raises:
            RuntimeError: no pass was seen, not this many rows, or tokens that nobody has said.
            ValueError: a visual token that a row does not have.
        """
        mask = responses.bool()
        rows = [len(attended) for _, attended, _ in self._seen]
        if not rows or sum(rows) != len(mask):
            raise RuntimeError(f"{len(mask)} responses for {len(rows)} passes of {sum(rows)} rows: run the model first")
        chosen = [None] * len(mask) if selected is None else list(selected)
        if len(chosen) != len(mask):
            raise ValueError(f"{len(chosen)} selections for {len(mask)} rows: each row needs its own")
        found, first = [], 0
        for one, count in zip(self._seen, rows, strict=True):
            part = slice(first, first + count)
            found.append(self._of_rows(one, mask[part], chosen[part], None if input_ids is None else input_ids[part]))
            first += count
        return torch.cat(found)

    def packed_alpha(self, responses: Tensor, offsets: Tensor, selected: Sequence[Selection] | None = None) -> Tensor:
        """:meth:`alpha` where one pass had ``B`` sequences in one row ``(1, S)``, one after the other.

        Args:
            responses: ``(S,)`` bool or int, which tokens belong to a response.
            offsets: ``(B + 1,)`` int64, where each sequence starts; the last entry is ``S``.
            selected: of each sequence, as there.

        Returns:
            ``(S,)`` float32.

        Raises:
            RuntimeError, ValueError: as there.
        """
        rows = [(ids[0], states) for ids, _, states in self._seen if ids is not None]
        if [len(ids) for ids, _ in rows] != [len(responses)]:
            raise RuntimeError(f"packed sequences of {len(responses)} tokens need one pass of one row of input_ids")
        ((ids, states),) = rows
        offsets = offsets.to(responses.device)
        lengths = offsets.diff()
        sequence = torch.repeat_interleave(torch.arange(len(lengths), device=offsets.device), lengths)
        tokens = Tokens(sequence, torch.arange(len(responses), device=offsets.device), responses.bool(), len(lengths))
        return self._alpha(ids, tokens, states, [None] * len(lengths) if selected is None else list(selected))

    def close(self) -> None:
        """Takes all hooks off the model; what was seen stays."""
        self._capture.remove()
        for hook in self._hooks:
            hook.remove()

    def _of_rows(
        self, seen: Any, responses: Tensor, selected: Sequence[Selection | None], given: Tensor | None
    ) -> Tensor:
        ids, mask, states = seen
        ids = ids if given is None else given
        if ids is None or ids.shape != mask.shape:
            raise RuntimeError("the model was given no input_ids, or others: pass those of the whole rows to alpha()")
        here = torch.zeros_like(mask)
        here[:, mask.shape[1] - responses.shape[1] :] = responses
        row = torch.nonzero(mask.flatten())[:, 0]
        tokens = Tokens(row // mask.shape[1], row, here.flatten()[row], len(ids))
        alpha = torch.zeros(mask.numel(), device=mask.device)
        alpha[row] = self._alpha(ids.flatten()[row], tokens, states, selected)
        return alpha.reshape(mask.shape)[:, mask.shape[1] - responses.shape[1] :]

    def _alpha(
        self, ids: Tensor, tokens: Tokens, states: dict[str, Any], selected: Sequence[Selection | None]
    ) -> Tensor:
        visual = (ids == self._image_token) & ~tokens.in_response
        keys = []
        for number, chosen in enumerate(selected):
            own = torch.nonzero(visual & (tokens.sequence == number))[:, 0]
            if chosen is not None:
                wanted = torch.as_tensor(chosen, dtype=torch.long, device=own.device)
                if len(wanted) and int(wanted.max()) >= len(own):
                    raise ValueError(f"row {number} has {len(own)} visual tokens, and {int(wanted.max())} is selected")
                own = own[wanted]
            keys.append(own)
        self._capture.seen = states
        return response_alpha(self._capture, self._options, tokens, torch.cat(keys))

    def _begins(self, module, args, given) -> None:
        with torch.no_grad():  # a layer that is run again for its gradients is run after the capture is over
            self._capture.arm()

    def _ends(self, module, args, given, output) -> None:
        ids, mask = given.get("input_ids", args[0] if args else None), given.get("attention_mask")
        shape = self._capture.seen["queries"].shape[:2]
        if mask is None or mask.shape != shape:  # none in packed passes; others are made of one by the trainer
            mask = torch.ones(shape, device=self._capture.seen["queries"].device)
        self._seen.append((ids, mask.bool(), self._capture.seen))
        self._capture.disarm()
