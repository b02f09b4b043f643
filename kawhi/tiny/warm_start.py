"""Makes a tiny checkpoint from nothing: supervised training on the tiny world, one core, under 15 minutes.

    python -m kawhi.tiny.warm_start qwen2_5_vl        # -> kawhi/tiny/checkpoints/qwen2_5_vl

First every demonstration is worked out in four paragraphs, then half of them give the boxed answer at once.  All are
correct; the short ones are right less often when the model imitates them, which is what RL has to find out.

On one machine and one torch build two runs give the same bytes (single thread, seeded).
"""

from __future__ import annotations

import argparse
import math
import random
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.nn import functional as F

from kawhi.tiny.architectures import FAMILIES, Family, build_model, build_processor
from kawhi.tiny.batching import IGNORE, Batcher
from kawhi.tiny.drawing import PAGE
from kawhi.tiny.tokenizer import train_tokenizer
from kawhi.tiny.vision_batching import batch_vision_attention, window_order
from kawhi.tiny.world import Problem, problems

CHECKPOINTS = Path(__file__).parent / "checkpoints"


@dataclass(frozen=True)
class WarmStart:
    """The recipe.  All values are our choice; the reasons are given where they are not obvious.

    Attributes:
        steps: optimiser steps.
        short_from: share of the steps after which half of the demonstrations are short.  Reading the image is learnt
            from worked answers only, so they come first.
        batch_size: problems per step.
        learning_rate: peak of a cosine schedule with ``warmup`` linear steps.
        digit_weight: loss weight of digit tokens, which carry what was read and computed.
        glyph_weight: weight of the auxiliary loss that names the glyph under each visual token, decayed to zero over
            ``glyph_steps``: a direct signal for the vision encoder, which otherwise hears only from the answers.
    """

    steps: int = 1200
    short_from: float = 0.75
    batch_size: int = 24
    learning_rate: float = 1.5e-3
    warmup: int = 60
    digit_weight: float = 4.0
    glyph_weight: float = 1.0
    glyph_steps: int = 1000
    weight_decay: float = 0.02
    seed: int = 0


class GlyphLoss:
    """Cross-entropy of ``lm_head(visual token)`` against the glyphs drawn inside that token's cell."""

    def __init__(self, model, batcher: Batcher):
        self.model, self.batcher = model, batcher
        self.blank = batcher.tokenizer.convert_tokens_to_ids("<|vision_pad|>")
        self._merged: torch.Tensor | None = None
        model.model.visual.merger.register_forward_hook(self._keep)

    def _keep(self, module, inputs, output):
        self._merged = output

    def __call__(self, batch: list[Problem], grid: torch.Tensor) -> torch.Tensor:
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

    def _targets(self, batch: list[Problem]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
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


@dataclass(frozen=True)
class Part:
    """Problems of a batch that are answered in one style, and what is to be learnt from their answers.

    Attributes:
        known: which places of the shifted labels are answers.
        target, weight: tokens at these places and how much they count.
    """

    problems: list[Problem]
    inputs: dict[str, torch.Tensor]
    known: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor


class Trainer:
    """A tiny model that learns from demonstrations."""

    def __init__(self, family: Family, recipe: WarmStart):
        self.recipe, self.tokenizer = recipe, train_tokenizer()
        self.batcher = Batcher(family, self.tokenizer)
        self.model = build_model(family, self.tokenizer, recipe.seed)
        batch_vision_attention(self.model)
        self.glyph_loss = GlyphLoss(self.model, self.batcher)
        self.model.train()
        matrices = [p for p in self.model.parameters() if p.ndim >= 2]
        vectors = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True)
        self.digits = torch.zeros(len(self.tokenizer), dtype=torch.bool)
        self.digits[[self.tokenizer.convert_tokens_to_ids(d) for d in "0123456789"]] = True

    def step(self, step: int, batch: list[Problem], short: list[bool]) -> tuple[float, float]:
        """One update; returns the answers' loss and the share of their digits that was predicted.

        Raises:
            RuntimeError: a loss that is not finite.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, step)
        # Short and worked answers run apart: padding the short ones to the worked length would double their cost.
        # Both are divided by the weight of the whole batch, so the model learns the styles' true shares.
        parts = list(filter(None, (self._part(batch, short, wanted) for wanted in (True, False))))
        total_weight = sum(part.weight.sum() for part in parts)
        glyph = self.recipe.glyph_weight * max(0.0, 1 - step / self.recipe.glyph_steps)
        total, language, hits = 0.0, 0.0, []
        for part in parts:
            hidden = self.model.model(**part.inputs)[0][:, :-1]
            logits = self.model.lm_head(hidden[part.known])
            loss = (F.cross_entropy(logits, part.target, reduction="none") * part.weight).sum() / total_weight
            language += loss.item()
            if glyph > 0:
                named = self.glyph_loss(part.problems, part.inputs["image_grid_thw"])
                loss = loss + glyph * len(part.problems) / len(batch) * named
            loss.backward()
            total += loss.item()
            hits += (logits.argmax(-1) == part.target)[self.digits[part.target]].float().tolist()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if not math.isfinite(total):
            raise RuntimeError(f"the loss is {total} at step {step}: lower WarmStart.learning_rate")
        return language, sum(hits) / max(1, len(hits))

    def _part(self, batch: list[Problem], short: list[bool], wanted: bool) -> Part | None:
        """The problems that are answered shortly, or the others; ``None`` where there are none."""
        chosen = [problem for problem, each in zip(batch, short, strict=True) if each is wanted]
        if not chosen:
            return None
        inputs, labels = self.batcher.supervised(chosen, [p.short if wanted else p.worked for p in chosen])
        known = labels[:, 1:] != IGNORE
        target = labels[:, 1:][known]
        weight = 1 + (self.recipe.digit_weight - 1) * self.digits[target].float()
        return Part(chosen, inputs, known, target, weight)


def train(family: Family, out: Path, recipe: WarmStart = WarmStart()) -> None:
    """Runs the recipe and writes a bf16 Hugging Face checkpoint with its processor to ``out``."""
    torch.set_num_threads(1)
    trainer = Trainer(family, recipe)
    stream = problems("warmup", seed=recipe.seed + 1)
    style = random.Random(recipe.seed)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("digit accuracy {task.fields[digits]:.2f}  loss {task.fields[loss]:.3f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        bar = progress.add_task(family, total=recipe.steps, digits=0.0, loss=float("nan"))
        read = 0.0
        for step in range(recipe.steps):
            batch = list(islice(stream, recipe.batch_size))
            short = [step >= recipe.short_from * recipe.steps and style.random() < 0.5 for _ in batch]
            language, right = trainer.step(step, batch, short)
            read = 0.95 * read + 0.05 * right if step else 0.0
            progress.update(bar, advance=1, digits=read, loss=language)
            if step % 50 == 49 and not progress.console.is_terminal:
                print(f"{family} step {step + 1}/{recipe.steps} loss {language:.3f} digits {read:.3f}", flush=True)
    save(trainer.model.to(torch.bfloat16), family, trainer.tokenizer, out)


def learning_rate(recipe: Any, step: int) -> float:
    """Of a step: linear up over ``recipe.warmup`` steps, then a cosine down to a twentieth of the peak."""
    warm = min(1.0, (step + 1) / recipe.warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    return recipe.learning_rate * warm * (0.95 * cosine + 0.05)


def save(model, family: Family, tokenizer, out: Path) -> None:
    """Writes weights, configuration, processor and tokenizer."""
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    build_processor(family, tokenizer).save_pretrained(out)
    tokenizer.save_pretrained(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=sorted(FAMILIES))
    parser.add_argument("--out", type=Path, help="default: the shipped checkpoint's folder")
    parser.add_argument("--steps", type=int, default=WarmStart.steps)
    arguments = parser.parse_args()
    out = arguments.out or CHECKPOINTS / arguments.family
    train(arguments.family, out, WarmStart(steps=arguments.steps))
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
