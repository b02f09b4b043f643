"""How well a tiny model reads: the exact probability that it reads everything right, beside what it answers.

    python -m kawhi.tiny.reading_probability kawhi/tiny/checkpoints/reading_qwen2_5_vl --difficulty long

The probability is that of the digits of the reading, given the drawing, the question and the text before each of them:
nothing is sampled, so that two models are told apart by few drawings.  Sampled answers say what it does not: how often
an answer is right, and how often it follows from the model's own reading.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from scipy.stats import ttest_1samp
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedModel, ProcessorMixin

from kawhi.credit.readings import READS, ParagraphTruth, read_rightly, truth, truth_signals
from kawhi.tiny.architectures import FAMILIES
from kawhi.tiny.batching import IGNORE, Batcher
from kawhi.tiny.reading_world import Difficulty, ReadingProblem, problems, result
from kawhi.tiny.unfinished import decode_unfinished
from kawhi.tiny.vision_batching import batch_vision_attention

_BATCH = 100
"""Answers that are sampled together."""


@dataclass(frozen=True)
class Mean:
    """A mean over drawings, with the 95 % interval of Student's t."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float] | np.ndarray) -> Mean:
        interval = ttest_1samp(values, 0).confidence_interval(0.95)
        return cls(float(np.mean(values)), float(interval.low), float(interval.high))

    def __str__(self) -> str:
        return f"{100 * self.mean:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@torch.no_grad()
def reading_probabilities(
    model: PreTrainedModel, batcher: Batcher, chosen: Sequence[ReadingProblem], batch_size: int = 50
) -> np.ndarray:
    """``(N,)`` the probability of all digits in the reading of each problem's worked answer, teacher-forced."""
    tokenizer, found = batcher.tokenizer, []
    digits = torch.tensor([tokenizer.convert_tokens_to_ids(digit) for digit in "0123456789"])
    for first in range(0, len(chosen), batch_size):
        part = chosen[first : first + batch_size]
        inputs, labels = batcher.supervised(part, [problem.worked for problem in part])
        known = labels[:, 1:] != IGNORE
        logits = model.lm_head(model.model(**inputs)[0][:, :-1][known])
        target, counts = labels[:, 1:][known], known.sum(dim=1)
        offsets = torch.cat((counts.new_zeros(1), counts.cumsum(0)))
        signals = truth_signals([problem.readings for problem in part], target, offsets, tokenizer)
        read = torch.isin(target, digits) & (signals[READS] == 1)
        log_probs = -torch.nn.functional.cross_entropy(logits.float(), target, reduction="none") * read
        found.append(torch.segment_reduce(log_probs.double(), "sum", lengths=counts).exp())
    return torch.cat(found).numpy()


SAID = {"right": "answered right", "read": "everything read right", "follows": "follows from its own reading"}
"""What is asked of a sampled answer."""


@torch.no_grad()
def sampled_answers(
    model: PreTrainedModel, processor: ProcessorMixin, chosen: Sequence[ReadingProblem], longest: int = 128
) -> list[str]:
    """One answer of at most ``longest`` tokens to each problem at temperature 1, under torch's seed."""
    size, answers = FAMILIES[model.config.model_type].image_size, []
    for first in range(0, len(chosen), _BATCH):
        part = chosen[first : first + _BATCH]
        chats = [
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": problem.question}]}]
            for problem in part
        ]
        texts = processor.apply_chat_template(chats, tokenize=False, add_generation_prompt=True)
        drawn = [problem.drawing.render(size) for problem in part]
        inputs = processor(text=texts, images=drawn, padding=True, padding_side="left", return_tensors="pt")
        output = model.generate(**inputs, do_sample=True, top_k=0, top_p=1.0, max_new_tokens=longest)
        answers += processor.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return answers


def judged(problem: ReadingProblem, answer: str) -> dict[str, bool]:
    """Whether an answer is right, reads everything rightly, and follows from its own reading."""
    found = truth(problem.readings, answer)
    said = _answered(found)
    own = next((each.numbers for each in found if each.kind == "reading"), ())
    return {
        "right": said == int(problem.answer),
        "read": read_rightly(found),
        "follows": said is not None and said == result(problem.task, own),
    }


def _answered(found: Sequence[ParagraphTruth]) -> int | None:
    return next((each.numbers[-1] for each in reversed(found) if each.kind == "answer" and each.numbers), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--difficulty", choices=get_args(Difficulty), default="plain")
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--samples", type=int, default=4, help="of each problem")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = AutoModelForImageTextToText.from_pretrained(given.checkpoint, dtype=torch.float32).eval()
    batch_vision_attention(model)
    processor = AutoProcessor.from_pretrained(given.checkpoint)
    chosen = list(islice(problems("heldout", given.seed, given.difficulty), given.problems))
    batcher = Batcher(model.config.model_type, processor.tokenizer)
    print(f"{given.problems} held-out drawings, {given.difficulty} answers, {given.samples} samples each")
    print(f"  P(everything read right): {Mean.of(reading_probabilities(model, batcher, chosen))}")
    decode_unfinished(model, processor.tokenizer.eos_token_id)
    torch.manual_seed(given.seed)
    asked = [problem for problem in chosen for _ in range(given.samples)]
    verdicts = [judged(p, a) for p, a in zip(asked, sampled_answers(model, processor, asked), strict=True)]
    for name, said in SAID.items():
        of_drawing = np.reshape([verdict[name] for verdict in verdicts], (-1, given.samples)).mean(axis=1)
        print(f"  {said}: {Mean.of(of_drawing)}")
    wrong = [verdict["right"] for verdict in verdicts if not verdict["read"]]
    print(f"  right answers among {len(wrong)} wrong readings: {sum(wrong)}")


if __name__ == "__main__":
    main()
