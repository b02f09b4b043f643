"""Teaches a tiny checkpoint to answer the tiny MME: seven minutes of supervised training on one core.

    python -m kawhi.tiny.yes_no qwen2_5_vl        # -> kawhi/tiny/checkpoints/qwen2_5_vl_yes_no

The shipped checkpoints never saw the words yes and no.  Here they learn to say in a few words what they see, and then
yes or no, within the 16 tokens that MME allows: ``B. No``.  Answering at once is not learnt in as many steps.  The
drawings are those of the split ``warmup``; the tiny MME shows those of ``heldout``.
"""

from __future__ import annotations

import argparse
import math
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.progress import track
from torch.nn import functional as F
from transformers import AutoModelForImageTextToText

from kawhi.tiny.architectures import FAMILIES, Family
from kawhi.tiny.batching import IGNORE, Batcher
from kawhi.tiny.glyph_loss import GlyphLoss
from kawhi.tiny.mme_split import END, SUBTASKS, pairs
from kawhi.tiny.tokenizer import train_tokenizer
from kawhi.tiny.vision_batching import batch_vision_attention
from kawhi.tiny.warm_start import CHECKPOINTS, learning_rate, save
from kawhi.tiny.world import Problem

ENDINGS = (END, "\nAnswer the question using a single word or phrase.")
"""How a question may end: as MME's files have it, and as lmms-eval asks it."""


@dataclass(frozen=True)
class YesNo:
    """The recipe.  All values are our choice.

    Attributes:
        pairs: images per step; both questions of each are shown, so that the question has to be read.
        glyph_weight: of the auxiliary loss that names the glyphs, so that reading is not forgotten.
    """

    steps: int = 600
    pairs: int = 14
    learning_rate: float = 1e-3
    warmup: int = 30
    glyph_weight: float = 0.3
    weight_decay: float = 0.02
    seed: int = 0


def train(family: Family, start: Path, out: Path, recipe: YesNo = YesNo()) -> None:
    """Goes on from the checkpoint ``start`` and writes a bf16 checkpoint to ``out``."""
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    tokenizer = train_tokenizer()
    model = AutoModelForImageTextToText.from_pretrained(start, dtype=torch.float32).train()
    batch_vision_attention(model)
    batcher = Batcher(family, tokenizer)
    glyph_loss = GlyphLoss(model, batcher)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay, fused=True
    )
    answers = torch.tensor([tokenizer.convert_tokens_to_ids(letter) for letter in "YN"])  # of " Yes", " No"
    rng = random.Random(recipe.seed)
    streams = {subtask: pairs(subtask, "warmup", recipe.seed + 1) for subtask in SUBTASKS}
    right = 0.0
    for step in track(range(recipe.steps), description=f"{family} yes/no"):
        optimizer.param_groups[0]["lr"] = learning_rate(recipe, step)
        batch = _batch(streams, rng, recipe.pairs)
        inputs, labels = batcher.supervised(batch, [problem.short for problem in batch])
        known = labels[:, 1:] != IGNORE
        logits = model.lm_head(model.model(**inputs)[0][:, :-1][known])
        loss = F.cross_entropy(logits, labels[:, 1:][known])
        (loss + recipe.glyph_weight * glyph_loss(batch, inputs["image_grid_thw"])).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if not math.isfinite(loss.item()):
            raise RuntimeError(f"the loss is {loss.item()} at step {step}: lower YesNo.learning_rate")
        said = torch.isin(labels[:, 1:][known], answers)
        correct = (logits.argmax(-1) == labels[:, 1:][known])[said].float().mean().item()
        right = 0.95 * right + 0.05 * correct
        if step % 50 == 49:
            print(f"{family} step {step + 1}/{recipe.steps} loss {loss.item():.3f} right {right:.3f}", flush=True)
    save(model.to(torch.bfloat16), family, tokenizer, out)


def _batch(streams, rng: random.Random, count: int) -> list[Problem]:
    """Both questions of ``count`` images."""
    found = []
    for subtask in rng.choices(list(streams), k=count):
        pair = next(streams[subtask])
        ending = rng.choice(ENDINGS)
        for question, answer in ((pair.true, "Yes"), (pair.false, "No")):
            response = f"{pair.seen}. {answer}"
            found.append(Problem(pair.drawing, question + ending, ("", "", "", response), answer, subtask))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=sorted(FAMILIES))
    parser.add_argument("--out", type=Path, help="default: beside the shipped checkpoint")
    parser.add_argument("--steps", type=int, default=YesNo.steps)
    given = parser.parse_args()
    out = given.out or CHECKPOINTS / f"{given.family}_yes_no"
    train(given.family, CHECKPOINTS / given.family, out, YesNo(steps=given.steps))
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
