"""What the entropy of the nucleus costs beside the plain entropy, which verl computes in every training.

    python benchmarks/entropy_cost.py --json benchmarks/results/entropy.json

On one core, with the vocabulary of Qwen2.5-VL, in processor time, the best of the rounds.  Rows are drawn: of a trained
model, whose probabilities fall off as a power of the rank, so that nuclei have from one to some sixty tokens; and of an
untrained one, whose nuclei are nearly the whole vocabulary, so that every row is sorted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if not __package__:  # run as a script
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch
from torch import Tensor
from verl.utils.torch_functional import entropy_from_logits

from benchmarks.memory import peak_bytes
from benchmarks.races import Race, Target, fewest_seconds, run_on_one_core
from kawhi.credit.entropy import nucleus_entropy

ROWS, VOCABULARY, P = 64, 152064, 0.99
PLAIN, SORTED = "plain entropy", "every row sorted"


def trained(generator: torch.Generator) -> Tensor:
    """``(ROWS, VOCABULARY)``: -s log(rank), s from 2 to 6; the entropy falls from 1.6 to 0.1 nats."""
    exponents = torch.linspace(2, 6, ROWS)[:, None]
    ranks = torch.stack([torch.randperm(VOCABULARY, generator=generator) for _ in range(ROWS)]) + 1
    return -exponents * ranks.log()


def untrained(generator: torch.Generator) -> Tensor:
    """``(ROWS, VOCABULARY)``: small random logits."""
    return 0.05 * torch.randn(ROWS, VOCABULARY, generator=generator)


def sorted_entropy(logits: Tensor) -> Tensor:
    """The definition, as it reads."""
    ordered = logits.float().log_softmax(dim=-1).sort(dim=-1, descending=True).values.exp()
    kept = ordered.masked_fill(ordered.cumsum(dim=-1) - ordered >= P, 0.0)
    return torch.special.entr(kept / kept.sum(dim=-1, keepdim=True)).sum(dim=-1)


def measure(rounds: int) -> Iterator[Race]:
    """All races."""
    generator = torch.Generator().manual_seed(0)
    promise = Target("the nucleus' entropy within 2× of the plain entropy", PLAIN, "at_most", 2)
    for name, drawn, targets in (("trained", trained, (promise,)), ("untrained", untrained, ())):
        whole = drawn(generator)
        for logits in (whole, whole.bfloat16()):
            contenders: dict[str, Callable[[], Any]] = {
                "nucleus": lambda logits=logits: nucleus_entropy(logits, P),
                PLAIN: lambda logits=logits: entropy_from_logits(logits),
                SORTED: lambda logits=logits: sorted_entropy(logits),
            }
            torch.testing.assert_close(contenders["nucleus"](), contenders[SORTED](), atol=1e-6, rtol=1e-6)
            setting = f"{name}, {ROWS} rows, {str(logits.dtype).removeprefix('torch.')}"
            seconds = fewest_seconds(contenders, rounds)
            ours, *rivals = (1e3 * seconds[each] for each in contenders)
            yield Race("entropy", setting, "ms", ours, dict(zip((PLAIN, SORTED), rivals, strict=True)), targets)
            ours, *rivals = (peak_bytes(contender) / 1e6 for contender in contenders.values())
            yield Race("entropy", setting, "MB", ours, dict(zip((PLAIN, SORTED), rivals, strict=True)))


if __name__ == "__main__":
    run_on_one_core(__doc__ or "", measure)
