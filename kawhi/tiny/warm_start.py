"""Makes a tiny checkpoint: supervised training on a tiny world, one core, under 15 minutes.

    python -m kawhi.tiny.warm_start qwen2_5_vl            # from nothing -> kawhi/tiny/checkpoints/qwen2_5_vl
    python -m kawhi.tiny.warm_start qwen2_5_vl reading    # from that one -> kawhi/tiny/checkpoints/reading_qwen2_5_vl

In the tiny world first every demonstration is worked out in four paragraphs, then half of them give the boxed answer at
once.  All are correct; the short ones are right less often when the model imitates them, which is what RL has to find
out.  In the reading world all are worked out, and some misread the drawing.

On one machine and one torch build two runs give the same bytes (single thread, seeded).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.nn import functional as F
from transformers import AutoModelForImageTextToText

from kawhi.tiny.architectures import FAMILIES, Family, build_model, build_processor
from kawhi.tiny.batching import IGNORE, Batcher
from kawhi.tiny.glyph_loss import GlyphLoss
from kawhi.tiny.recipes import Lesson, ReadingStart, WarmStart
from kawhi.tiny.tokenizer import train_tokenizer
from kawhi.tiny.vision_batching import batch_vision_attention
from kawhi.tiny.world import Problem

CHECKPOINTS = Path(__file__).parent / "checkpoints"
RECIPES = {"tiny": WarmStart, "reading": ReadingStart}


@dataclass(frozen=True)
class Part:
    """Problems of a batch whose answers have a similar length, and what is to be learnt from them.

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

    def __init__(self, family: Family, recipe: WarmStart, start: Path | None = None):
        self.recipe, self.tokenizer = recipe, train_tokenizer()
        self.batcher = Batcher(family, self.tokenizer)
        if start is None:
            self.model = build_model(family, self.tokenizer, recipe.seed)
        else:
            self.model = AutoModelForImageTextToText.from_pretrained(start, dtype=torch.float32)
        batch_vision_attention(self.model)
        self.glyph_loss = GlyphLoss(self.model, self.batcher)
        self.model.train()
        matrices = [p for p in self.model.parameters() if p.ndim >= 2]
        vectors = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True)
        self.digits = torch.zeros(len(self.tokenizer), dtype=torch.bool)
        self.digits[[self.tokenizer.convert_tokens_to_ids(d) for d in "0123456789"]] = True

    def step(self, step: int, groups: Sequence[Sequence[Lesson]]) -> tuple[float, float]:
        """One update; returns the answers' loss and the share of their digits that was predicted.

        Groups run apart: padding short answers to the length of long ones would double their cost.  All are divided by
        the weight of the whole batch, so the model learns the groups' true shares.

        Raises:
            RuntimeError: a loss that is not finite.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, step)
        parts = [self._part(lessons) for lessons in groups if lessons]
        total_weight = sum(part.weight.sum() for part in parts)
        count = sum(len(part.problems) for part in parts)
        glyph = self.recipe.glyph_weight * max(0.0, 1 - step / self.recipe.glyph_steps)
        total, language, hits = 0.0, 0.0, []
        for part in parts:
            hidden = self.model.model(**part.inputs)[0][:, :-1]
            logits = self.model.lm_head(hidden[part.known])
            loss = (F.cross_entropy(logits, part.target, reduction="none") * part.weight).sum() / total_weight
            language += loss.item()
            if glyph > 0:
                named = self.glyph_loss(part.problems, part.inputs["image_grid_thw"])
                loss = loss + glyph * len(part.problems) / count * named
            loss.backward()
            total += loss.item()
            hits += (logits.argmax(-1) == part.target)[self.digits[part.target]].float().tolist()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if not math.isfinite(total):
            raise RuntimeError(f"the loss is {total} at step {step}: lower {type(self.recipe).__name__}.learning_rate")
        return language, sum(hits) / max(1, len(hits))

    def _part(self, lessons: Sequence[Lesson]) -> Part:
        problems = [problem for problem, _ in lessons]
        inputs, labels = self.batcher.supervised(problems, [answer for _, answer in lessons])
        known = labels[:, 1:] != IGNORE
        target = labels[:, 1:][known]
        weight = 1 + (self.recipe.digit_weight - 1) * self.digits[target].float()
        return Part(problems, inputs, known, target, weight)


def train(family: Family, out: Path, recipe: WarmStart, start: Path | None = None) -> None:
    """Runs the recipe, from the checkpoint ``start`` or from nothing, and writes a bf16 checkpoint to ``out``."""
    torch.set_num_threads(1)
    trainer = Trainer(family, recipe, start)
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
        for step, groups in enumerate(recipe.lessons()):
            language, right = trainer.step(step, groups)
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
    for part in (model.config.text_config, model.config.vision_config):
        part.dtype = None  # else the file says of a model that was read in float32 that these parts are
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    build_processor(family, tokenizer).save_pretrained(out)
    tokenizer.save_pretrained(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=sorted(FAMILIES))
    parser.add_argument("world", choices=sorted(RECIPES), nargs="?", default="tiny")
    parser.add_argument("--out", type=Path, help="default: the shipped checkpoint's folder")
    parser.add_argument("--steps", type=int, help="default: the recipe's")
    given = parser.parse_args()
    recipe = RECIPES[given.world](**({"steps": given.steps} if given.steps else {}))
    shipped = CHECKPOINTS / given.family
    if given.world == "tiny":
        out, start = given.out or shipped, None
    else:
        out, start = given.out or CHECKPOINTS / f"{given.world}_{given.family}", shipped
    train(given.family, out, recipe, start)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
