"""Which heads of a tiny model read the image: how well it says digits with each head switched off.

    python -m kawhi.tiny.reading_heads qwen2_5_vl            # the digits of worked answers
    python -m kawhi.tiny.reading_heads qwen2_5_vl reading    # the probability that a reading is right

In the tiny world that is the accuracy on all digits of worked answers; in the reading world, whose model computes with
what it said, the digits of the reading alone.

The paper masks each head index in all layers and measures the drop on MME (section 3.3); here the drop is measured in
the model's own world.  Two of four heads are called critical, those with the largest drop.  These are heads that digits
cannot do without, not those that attend to the digits in the image: ``kawhi probe alpha`` tells which do, by layer.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import torch
from transformers import AutoModelForImageTextToText, AutoTokenizer

from kawhi.models.head_mask import masked_heads
from kawhi.tiny import reading_world
from kawhi.tiny.architectures import FAMILIES, QUERY_HEADS, Family
from kawhi.tiny.batching import IGNORE, Batcher
from kawhi.tiny.reading_probability import reading_probabilities
from kawhi.tiny.vision_batching import batch_vision_attention
from kawhi.tiny.warm_start import CHECKPOINTS
from kawhi.tiny.world import problems

CRITICAL = 2


def digit_accuracy(family: Family, checkpoint: Path, count: int, batch_size: int = 50) -> dict[int | None, float]:
    """Share of the digits in worked answers that the model predicts, given the text before them.

    Returns:
        Masked head -> accuracy; ``None`` -> accuracy of the whole model.
    """
    model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32).eval()
    batch_vision_attention(model)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    batcher = Batcher(family, tokenizer)
    digits = torch.tensor([tokenizer.convert_tokens_to_ids(digit) for digit in "0123456789"])
    stream = problems("heldout", seed=0)
    hits: dict[int | None, list[float]] = {head: [] for head in (None, *range(QUERY_HEADS))}
    for _ in range(0, count, batch_size):
        chosen = list(islice(stream, batch_size))
        inputs, labels = batcher.supervised(chosen, [problem.worked for problem in chosen])
        asked = torch.isin(labels[:, 1:], digits) & (labels[:, 1:] != IGNORE)
        for head, found in hits.items():
            with torch.no_grad(), masked_heads(model, [] if head is None else [head]):
                predicted = model(**inputs).logits[:, :-1].argmax(-1)
            found += (predicted[asked] == labels[:, 1:][asked]).float().tolist()
    return {head: sum(found) / len(found) for head, found in hits.items()}


def reading_probability(family: Family, checkpoint: Path, count: int) -> dict[int | None, float]:
    """Mean probability of reading everything right in plain answers of the reading world; keys as above."""
    model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32).eval()
    batch_vision_attention(model)
    batcher = Batcher(family, AutoTokenizer.from_pretrained(checkpoint))
    chosen = list(islice(reading_world.problems("heldout", seed=0), count))
    found: dict[int | None, float] = {}
    for head in (None, *range(QUERY_HEADS)):
        with masked_heads(model, [] if head is None else [head]):
            found[head] = float(reading_probabilities(model, batcher, chosen).mean())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=sorted(FAMILIES))
    parser.add_argument("world", choices=("tiny", "reading"), nargs="?", default="tiny")
    parser.add_argument("--problems", type=int, default=500)
    given = parser.parse_args()
    if given.world == "tiny":
        accuracy, what = digit_accuracy(given.family, CHECKPOINTS / given.family, given.problems), "of the digits"
    else:
        checkpoint = CHECKPOINTS / f"reading_{given.family}"
        accuracy, what = reading_probability(given.family, checkpoint, given.problems), "of the readings"
    whole = accuracy.pop(None)
    print(f"{given.family}: {100 * whole:.1f} % {what}, {given.problems} held-out problems")
    for head, value in accuracy.items():
        print(f"  without head {head}: {100 * value:.1f} % ({100 * (value - whole):+.1f})")
    worst = sorted((value, head) for head, value in accuracy.items() if head is not None)[:CRITICAL]
    print(f"critical: {sorted(head for _, head in worst)}")


if __name__ == "__main__":
    main()
