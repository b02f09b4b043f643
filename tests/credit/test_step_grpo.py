"""Step-GRPO against its transcription, and the rules of its substitute for key steps one by one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kawhi.credit.methods import ResponseBatch, ShapesRewards, build, configured
from kawhi.credit.methods.step_grpo import key_steps, numbers_before_answer, valid_order
from tests.reference import step_grpo as literal

OPTIONS = {"step_weight": 0.1, "validity_weight": 1.0}
PIECES = ["3", "12.50", "007", "We add.", "\n\n", " so ", "\\boxed{15}", "0.5", "\n", "---", "x = 4"]
RESPONSES = st.lists(
    st.tuples(st.lists(st.sampled_from(PIECES), min_size=1, max_size=8), st.sampled_from("ab"), st.booleans()),
    min_size=1,
    max_size=6,
)


class Characters:
    """A tokenizer whose tokens are characters."""

    def decode(self, ids, skip_special_tokens):
        return "".join(map(chr, ids))


def batch_of(texts: list[str], groups: list[str], correct: list[bool], rewards: list[float]) -> ResponseBatch:
    ids = torch.tensor([ord(character) for text in texts for character in text])
    offsets = torch.tensor([0, *map(len, texts)]).cumsum(0)
    return ResponseBatch(ids, offsets, {}, Characters(), groups, torch.tensor(correct), torch.tensor(rewards))


@given(RESPONSES)
def test_rewards(responses):
    texts = [" ".join(pieces) for pieces, *_ in responses]
    groups, correct = [group for _, group, _ in responses], [right for *_, right in responses]
    base = [float(right) for right in correct]
    got = build("step_grpo", **OPTIONS).shaped_rewards(batch_of(texts, groups, correct, base))
    expected = literal.rewards(texts, groups, correct, base, 0.1, 1.0)
    torch.testing.assert_close(got, torch.tensor(expected), atol=1e-6, rtol=0)


def test_weights_are_one():
    batch = batch_of(["abc", "d"], ["a", "a"], [True, False], [1.0, 0.0])
    assert torch.equal(build("step_grpo", **OPTIONS).weights(batch), torch.ones(4))


def test_numbers_are_compared_by_value_and_end_before_the_answer():
    assert numbers_before_answer("I read 3.50 and 007, so \\boxed{9}") == {"3.5", "7"}
    assert numbers_before_answer("12 and 12.0") == {"12"}
    assert numbers_before_answer("٣ and ½") == frozenset()


def test_a_key_step_is_stated_by_half_of_the_correct_responses():
    stated = [frozenset("1"), frozenset("12"), frozenset("3"), frozenset("9")]
    assert key_steps(stated, ["a"] * 4, [True, True, False, False]) == {"a": {"1", "2"}}
    stated[0] = frozenset()
    assert key_steps(stated, ["a", "a", "b", "b"], [True, True, False, False]) == {"a": {"1", "2"}, "b": set()}


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("I read 3.\n\nAnswer: \\boxed{3}", True),
        ("Answer: \\boxed{3}", False),
        ("I read 3.\r\n\r\nAnswer: \\boxed{3}\n\n---\n", True),
        ("---\n\nAnswer: \\boxed{3}", False),
        ("\\boxed{3}\n\nbecause I read 3.", False),
        ("\\boxed{3}\n\n\\boxed{3}", False),
        ("I read 3.\n\nso 3", False),
        ("", False),
    ],
)
def test_the_order_of_steps(text, valid):
    assert valid_order(text) is valid


def test_in_a_product_its_rewards_stay_and_weights_are_multiplied():
    product = configured(
        {"method": "ft_rl", "options": {"keep": 0.5, "scope": "batch"}, "also": {"step_grpo": OPTIONS}}
    )
    assert isinstance(product, ShapesRewards)
    assert not isinstance(configured({"method": "uniform", "options": {}, "also": {"uniform": {}}}), ShapesRewards)
    batch = batch_of(["3\n\n\\boxed{3}", "\\boxed{4}"], ["a", "a"], [True, False], [1.0, 0.0])
    assert torch.equal(product.shaped_rewards(batch), build("step_grpo", **OPTIONS).shaped_rewards(batch))


def test_without_verdicts_it_says_what_it_needs():
    with pytest.raises(ValueError, match="needs the verdicts and rewards"):
        build("step_grpo", **OPTIONS).shaped_rewards(ResponseBatch(torch.zeros(0), torch.zeros(1), {}, None))
    with pytest.raises(ValueError, match="cannot be negative"):
        build("step_grpo", step_weight=-1, validity_weight=0)
