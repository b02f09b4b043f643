"""The exact probability of a reading against a loop over its digits, and what is said of sampled answers."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest
import torch

from kawhi.tiny.architectures import build_model, build_processor
from kawhi.tiny.batching import Batcher
from kawhi.tiny.reading_probability import Mean, judged, reading_probabilities, sampled_answers
from kawhi.tiny.reading_world import problems
from tests.tiny.made import prompts


@torch.no_grad()
def by_hand(model, processor, problem) -> float:
    """The probability of each digit of the second paragraph, with the processor's inputs and one forward pass."""
    tokenizer, log_probability, paragraph = processor.tokenizer, 0.0, 0
    inputs = prompts(processor, model.config.model_type, [problem])
    ids = tokenizer(problem.worked)["input_ids"]
    asked = inputs["input_ids"].shape[1]
    whole = torch.cat((inputs["input_ids"], torch.tensor([ids])), dim=1)
    types = torch.cat((inputs["mm_token_type_ids"], torch.zeros(1, len(ids), dtype=torch.int)), dim=1)
    images = {name: inputs[name] for name in ("pixel_values", "image_grid_thw")}
    logits = model(input_ids=whole, mm_token_type_ids=types, **images).logits[0].double()
    for i, token in enumerate(ids):
        if paragraph == 1 and tokenizer.decode([token]).isdigit():
            log_probability += logits[asked + i - 1].log_softmax(-1)[token].item()
        paragraph += "\n\n" in tokenizer.decode([token])
    return math.exp(log_probability)


@pytest.mark.parametrize("difficulty", ["plain", "long"])
def test_it_is_the_product_over_the_digits_of_the_reading(family, tokenizer, difficulty):
    model, processor = build_model(family, tokenizer, seed=2).eval(), build_processor(family, tokenizer)
    chosen = list(islice(problems("heldout", 0, difficulty), 5))
    assert {len(problem.readings) for problem in chosen} == {1, 2}
    found = reading_probabilities(model, Batcher(family, tokenizer), chosen, batch_size=2)
    expected = [by_hand(model, processor, problem) for problem in chosen]
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert len(set(found)) == 5


def test_the_mean_has_the_interval_of_students_t():
    found = Mean.of([0.2, 0.4, 0.9])
    deviation = np.std([0.2, 0.4, 0.9], ddof=1)
    assert found.mean == pytest.approx(0.5)
    assert (found.high - found.mean, found.mean - found.low) == pytest.approx((4.302653 * deviation / 3**0.5,) * 2)


def test_an_answer_is_judged_by_the_drawing_and_by_its_own_reading():
    problem = next(p for p in problems("heldout", 0) if p.task == "rectangle_widths" and len(set(p.readings)) == 2)
    width, height = problem.readings

    def said(a, b, result):
        return judged(problem, f"I read {a} and {b}.\n\n10 * {a} + {b} = {result}\n\nSo \\boxed{{{result}}}")

    assert said(width, height, problem.answer) == {"right": True, "read": True, "follows": True}
    assert said(height, width, 10 * height + width) == {"right": False, "read": False, "follows": True}
    assert said(height, width, problem.answer) == {"right": True, "read": False, "follows": False}
    assert judged(problem, f"\\boxed{{{problem.answer}}}") == {"right": True, "read": False, "follows": False}
    assert judged(problem, "") == {"right": False, "read": False, "follows": False}


def test_answers_are_sampled_under_torch_s_seed(family, tokenizer):
    model, processor = build_model(family, tokenizer, seed=2).eval(), build_processor(family, tokenizer)
    chosen = list(islice(problems("heldout", 0), 2))

    def answers(seed):
        torch.manual_seed(seed)
        return sampled_answers(model, processor, chosen, longest=6)

    assert len(answers(0)) == 2
    assert answers(0) == answers(0) != answers(1)
