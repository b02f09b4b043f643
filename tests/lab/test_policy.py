"""The lab's shortcuts change nothing: a prompt computed once for its group, and sampling through a cache."""

from __future__ import annotations

import pytest
import torch

from kawhi.lab.policy import Policy, token_log_probs
from kawhi.lab.rollouts import part_of
from kawhi.tiny.warm_start import CHECKPOINTS
from tests.lab.made import cell_of, rollouts_of


@pytest.fixture(scope="module")
def policy(family):
    return Policy(CHECKPOINTS / family)


@pytest.fixture(scope="module")
def rollouts(policy, family):
    return rollouts_of(policy, cell_of(family), prompts=3)


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def family(request):
    return request.param


def alone(policy, rollouts, row: int) -> torch.Tensor:
    """``(T, V)`` logits of one response by the library's own forward pass over prompt and response."""
    item = rollouts.items[row // rollouts.group]
    prompt = policy.prompts([item.image], [item.question]).inputs
    ids = torch.cat([prompt["input_ids"][0], rollouts.tokens[row][rollouts.mask[row]]])
    found = policy.model(
        input_ids=ids[None],
        attention_mask=torch.ones_like(ids)[None],
        mm_token_type_ids=(ids == policy.image_token).int()[None],
        pixel_values=prompt["pixel_values"],
        image_grid_thw=prompt["image_grid_thw"],
    ).logits[0]
    return found[-int(rollouts.mask[row].sum()) - 1 : -1]


def test_a_group_s_log_probs_and_gradients_are_those_of_each_response_by_itself(policy, rollouts):
    policy.model.zero_grad()
    prompts, tokens, mask = part_of(rollouts, [0, 1, 2])
    found = token_log_probs(policy.logits(prompts, tokens, mask), tokens[mask])
    factors = torch.linspace(-1, 1, len(found))
    found @ factors
    (found @ factors).backward()
    together = {name: weight.grad.clone() for name, weight in policy.model.named_parameters()}
    policy.model.zero_grad()
    start = 0
    for row in range(len(rollouts.tokens)):
        length = int(rollouts.mask[row].sum())
        log_probs = token_log_probs(alone(policy, rollouts, row), rollouts.tokens[row][rollouts.mask[row]])
        assert torch.allclose(found[start : start + length], log_probs, atol=1e-5)
        (log_probs @ factors[start : start + length]).backward()
        start += length
    assert start == len(found)
    largest = max(float(each.abs().max()) for each in together.values())
    for name, weight in policy.model.named_parameters():
        assert float((weight.grad - together[name]).abs().max()) < 1e-5 * largest, name


def test_sampling_draws_from_the_policy_s_own_distribution(policy, rollouts):
    """Each token is where its uniform number falls in the distribution that a pass by itself gives."""
    limit = 48
    noise = torch.rand(limit, len(rollouts.tokens), generator=torch.Generator().manual_seed(0))
    never = torch.tensor([policy.image_token, policy.model.config.video_token_id])
    for row in range(0, len(rollouts.tokens), 5):
        with torch.no_grad():
            below = alone(policy, rollouts, row).index_fill(-1, never, -torch.inf).double().softmax(-1).cumsum(-1)
        for step, token in enumerate(rollouts.tokens[row][rollouts.mask[row]].tolist()):
            low = float(below[step, token - 1]) if token else 0.0
            assert low - 1e-5 <= float(noise[step, row]) <= float(below[step, token]) + 1e-5


def test_a_response_ends_with_its_end_token_or_at_the_limit(rollouts, policy):
    for tokens, mask in zip(rollouts.tokens, rollouts.mask, strict=True):
        length = int(mask.sum())
        assert bool(mask[:length].all())
        own = tokens[:length]
        assert not bool(torch.isin(own[:-1], policy.ends).any())
        assert bool(torch.isin(own[-1], policy.ends)) or length == 48


def test_parts_keep_what_belongs_together(policy, rollouts):
    some = rollouts.take([2, 0])
    assert [item.index for item in some.items] == [2, 0]
    group = rollouts.group
    assert list(some.texts) == [*rollouts.texts[2 * group : 3 * group], *rollouts.texts[:group]]
    places = rollouts.places([2, 0])
    assert torch.equal(rollouts.token_ids[places], some.token_ids)
    one = rollouts.prompts.take([2])
    again = policy.prompts([rollouts.items[2].image], [rollouts.items[2].question])
    assert torch.equal(one.inputs["pixel_values"], again.inputs["pixel_values"])
