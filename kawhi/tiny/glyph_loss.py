"""What the vision encoder of a tiny model is told directly: which glyph is drawn under each visual token."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from kawhi.tiny.batching import Batcher
from kawhi.tiny.drawing import PAGE
from kawhi.tiny.vision_batching import window_order
from kawhi.tiny.world import Problem


class GlyphLoss:
    """Cross-entropy of ``lm_head(visual token)`` against the glyphs drawn inside that token's cell."""

    def __init__(self, model, batcher: Batcher):
        self.model, self.batcher = model, batcher
        self.blank = batcher.tokenizer.convert_tokens_to_ids("<|vision_pad|>")
        self._merged: torch.Tensor | None = None
        model.model.visual.merger.register_forward_hook(self._keep)

    def _keep(self, module, inputs, output):
        self._merged = output

    def __call__(self, batch: Sequence[Problem], grid: torch.Tensor) -> torch.Tensor:
        """Loss of the batch whose forward pass has just run."""
        merged = self._merged
        assert merged is not None, "the forward pass runs first"
        order = window_order(self.model, grid)
        if order is not None:
            merged = merged[torch.argsort(order)]
        log_probs = torch.log_softmax(self.model.lm_head(merged), dim=-1)
        rows, tokens, shares = self._targets(batch)
        empty = torch.ones(len(merged), dtype=torch.bool)
        empty[rows] = False
        named = -(log_probs[rows, tokens] * shares).sum() / shares.sum()
        return named - 0.3 * log_probs[empty, self.blank].mean()

    def _targets(self, batch: Sequence[Problem]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        side = self.batcher.side
        rows, tokens, shares = [], [], []
        for i, problem in enumerate(batch):
            cells: dict[int, set[int]] = {}
            for x, y, character in problem.drawing.glyphs:
                column, row = (min(side - 1, max(0, int(v / PAGE * side))) for v in (x, y))
                token = self.batcher.tokenizer.convert_tokens_to_ids(character)
                cells.setdefault(row * side + column, set()).add(token)
            for cell, found in cells.items():
                for token in sorted(found):
                    rows.append(i * side * side + cell)
                    tokens.append(token)
                    shares.append(1.0 / len(found))
        return torch.tensor(rows), torch.tensor(tokens), torch.tensor(shares)
