"""Pictures and prompts of the tiny world, as a processor and a model take them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from kawhi.tiny.architectures import FAMILIES
from kawhi.tiny.world import Problem, Split, problems


def render(chosen: Sequence[Problem], family) -> list:
    """Their pictures in the family's size."""
    return [problem.drawing.render(FAMILIES[family].image_size) for problem in chosen]


def pictures(family, count: int, seed: int = 3, split: Split = "train") -> list:
    return render(list(islice(problems(split, seed), count)), family)


def chat(question: str, images: int = 1) -> list[dict]:
    """A conversation in which a user shows pictures and asks."""
    return [{"role": "user", "content": [*[{"type": "image"}] * images, {"type": "text", "text": question}]}]


def prompts(processor, family, chosen: Sequence[Problem]):
    """A padded batch of prompts."""
    chats = [chat(problem.question) for problem in chosen]
    texts = processor.apply_chat_template(chats, tokenize=False, add_generation_prompt=True)
    shown = render(chosen, family)
    return processor(text=texts, images=shown, padding=True, padding_side="left", return_tensors="pt")
