"""The inspector sees what training sees: the same prompt, the same vectors, the same log-probs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import kawhi
from kawhi.credit.alignment import AlignmentOptions
from kawhi.models.inspection import Inspector
from kawhi.tiny.architectures import FAMILIES
from kawhi.tiny.batching import IGNORE, Batcher
from kawhi.tiny.reading_heads import CHECKPOINTS
from kawhi.tiny.world import problems
from tests.reference.alignment import alignment as literal_alignment


@pytest.fixture(scope="module")
def problem():
    return next(problems("heldout", 0))


@pytest.fixture
def inspector(family):
    return Inspector(str(CHECKPOINTS / family), AlignmentOptions(heads=[0, 3]))


@pytest.fixture
def seen(inspector, family, problem):
    """The prompt, a fixed response, and what the inspector saw of them."""
    prompt = inspector.prompt(problem.drawing.render(FAMILIES[family].image_size), problem.question)
    response = [*inspector.tokenizer(problem.worked)["input_ids"], inspector.tokenizer.eos_token_id]
    return prompt, response, inspector.look(prompt, response)


@torch.no_grad()
def test_log_probs_are_those_of_the_model(inspector, family, problem, seen):
    inputs, labels = Batcher(family, inspector.tokenizer).supervised([problem], [problem.worked])
    logits = inspector.model(**inputs).logits[0, :-1].log_softmax(-1)
    known = labels[0, 1:] != IGNORE
    expected = logits[known].gather(1, labels[0, 1:][known][:, None])[:, 0]
    torch.testing.assert_close(seen[2].log_probs, expected, atol=1e-4, rtol=1e-4)


def test_alpha_is_equation_13_of_the_vectors(seen):
    look = seen[2]
    chosen = [0, 5, 17, 35]
    literal = literal_alignment(look.queries.numpy(), look.keys[chosen].numpy(), [0, 3])
    np.testing.assert_allclose(look.alpha(chosen), literal, atol=1e-6)
    np.testing.assert_allclose(look.similarity()[:, chosen].mean(dim=1), literal, atol=1e-6)
    np.testing.assert_allclose(look.head_alpha(chosen).mean(dim=1), literal, atol=1e-6)
    assert look.head_alpha(chosen).shape == (len(seen[1]), 2)
    assert look.alpha([]).abs().max() == 0
    assert look.received.shape == (36,)


def test_other_vectors_are_other_options(family, problem, inspector, seen):
    prompt, response, look = seen
    found = {"paper": look.alpha(range(36))}
    for name, value in (("metric", "key_key"), ("rope", "before"), ("query_position", "predicting")):
        inspector.options = AlignmentOptions(heads=[0, 3], **{name: value})
        other = inspector.look(prompt, response)
        found[name] = other.alpha(range(36))
        np.testing.assert_allclose(other.similarity().mean(dim=1), found[name], atol=1e-6)
    shifted = found.pop("query_position")
    torch.testing.assert_close(shifted[1:], found["paper"][:-1], atol=1e-6, rtol=1e-5)
    assert not torch.allclose(found["metric"], found["paper"], atol=1e-3)
    assert not torch.allclose(found["rope"], found["paper"], atol=1e-3)


def test_responses_repeat_under_a_seed(inspector, seen):
    prompt = seen[0]
    greedy, again = (inspector.respond(prompt, max_new_tokens=20) for _ in range(2))
    assert torch.equal(greedy, again)
    sampled = [inspector.respond(prompt, max_new_tokens=20, seed=seed) for seed in (1, 1, 2, 3, 4)]
    assert torch.equal(sampled[0], sampled[1])
    assert any(not torch.equal(sampled[0], other) for other in sampled[2:])


def test_an_empty_response_is_refused(inspector, seen):
    with pytest.raises(ValueError, match="the response is empty"):
        inspector.look(seen[0], [])


def test_the_token_grid_is_that_of_region_selection(inspector, family, problem):
    image = problem.drawing.render(FAMILIES[family].image_size)
    assert kawhi.sguf(image, inspector.token_pixels).labels.shape == (6, 6)
