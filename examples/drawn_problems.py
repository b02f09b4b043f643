"""What the examples train on: drawn figures, a question about each, and the right answer."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import kawhi
from kawhi.tiny.world import problems

MODEL = str(Path(kawhi.__file__).parent / "tiny" / "checkpoints" / "qwen2_5_vl")
"""A Qwen2.5-VL of 1.8 million parameters, which comes with the package."""
HEADS = [1, 2]
"""Its critical heads.  Those of your model: ``kawhi heads``, docs/your_model.md."""
SIDE = 168
"""Of its pictures, in pixels."""


def rows(count: int) -> list[dict[str, Any]]:
    """Index, image, question and answer; put your own data here."""
    return [
        {"index": index, "image": each.drawing.render(SIDE), "question": each.question, "answer": each.answer}
        for index, each in enumerate(islice(problems("train", 0), count))
    ]


def right(text: str, answer: str) -> float:
    """The reward: 1 for the right answer in a box."""
    return float(f"\\boxed{{{answer}}}" in text)
