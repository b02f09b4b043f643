"""verl's losses on the lab's batches, its advantages, and DAPO's penalty."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
import torch
from tensordict import TensorDict

from kawhi.base.errors import CellError
from kawhi.lab.losses import BoxedReward, Objective, padded
from tests.lab.made import cell_of


def made(lengths=(5, 1, 7, 3)) -> SimpleNamespace:
    """As much of rollouts as an objective reads: two prompts, two responses each."""
    width = max(lengths)
    mask = torch.tensor([[column < length for column in range(width)] for length in lengths])
    return SimpleNamespace(mask=mask, lengths=mask.sum(dim=1), groups=[0, 0, 1, 1])


@pytest.mark.parametrize("algorithm", ["grpo", "dapo", "gspo"])
@pytest.mark.parametrize("equations", ["verl", "paper"])
def test_loss_and_gradient_are_those_of_verl_s_actor(algorithm, equations):
    from verl.utils import tensordict_utils as tu
    from verl.workers.utils.losses import ppo_loss

    rollouts = made()
    objective = Objective(cell_of("qwen2_5_vl", f"algorithm={algorithm}", f"equations={equations}"))
    generator = torch.Generator().manual_seed(0)
    count = int(rollouts.mask.sum())
    old, advantages = (torch.randn(count, generator=generator) for _ in range(2))
    log_probs = (old + 0.4 * torch.randn(count, generator=generator)).requires_grad_()
    loss = objective.loss(rollouts, log_probs, old, padded(advantages, rollouts.mask))
    (gradient,) = torch.autograd.grad(loss, log_probs)

    lengths = rollouts.lengths.tolist()

    def jagged(values):
        return torch.nested.as_nested_tensor(list(values.split(lengths)), layout=torch.jagged)

    # verl's actor sees prompts, too, and its log-probs stand one place to the left; each prompt here is one token.
    whole = torch.nested.as_nested_tensor([torch.zeros(n + 1) for n in lengths], layout=torch.jagged)
    shifted = torch.cat([torch.cat([part, part.new_zeros(1)]) for part in log_probs.split(lengths)])
    data = TensorDict(
        {
            "prompts": torch.nested.as_nested_tensor([torch.zeros(1) for _ in lengths], layout=torch.jagged),
            "responses": jagged(torch.zeros(count)),
            "response_mask": jagged(torch.ones(count)),
            "old_log_probs": jagged(old),
            "advantages": jagged(advantages),
        },
        batch_size=len(lengths),
    )
    tu.assign_non_tensor(data, dp_size=1, batch_num_tokens=count, global_batch_size=len(lengths))
    output = {"log_probs": torch.nested.nested_tensor_from_jagged(shifted, whole.offsets())}
    objective.actor.global_batch_info.clear()
    expected, _ = ppo_loss(objective.actor, output, data)
    (theirs,) = torch.autograd.grad(expected, log_probs)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    assert torch.allclose(gradient, theirs, atol=1e-5)
    assert gradient.abs().max() > 1e-3


def test_advantages_compare_within_a_prompt():
    rollouts = made()
    found = Objective(cell_of("qwen2_5_vl", "equations=paper")).advantages(rollouts, torch.tensor([1.0, 0, 1, 1]))
    assert torch.allclose(found[0, :5], torch.ones(5), atol=1e-4)
    assert torch.allclose(found[1, :1], -torch.ones(1), atol=1e-4)
    assert found[2:].abs().max() == 0
    assert found[~rollouts.mask].abs().max() == 0


def test_the_penalty_for_overlong_responses_is_verl_s():
    from verl import DataProto
    from verl.experimental.reward_loop.reward_manager.dapo import DAPORewardManager

    from kawhi.runs.verl_settings import settings

    cell = cell_of("qwen2_5_vl", "algorithm=dapo")
    lengths = torch.tensor([10, 77, 78, 90, 96])
    answers = [r"\boxed{4}"] * 5
    correct, rewards = BoxedReward(cell)(answers, ["4"] * 5, lengths)
    assert correct.all()

    async def theirs(length: int) -> float:
        tokenizer = SimpleNamespace(decode=lambda ids, skip_special_tokens: answers[0])
        manager = DAPORewardManager(settings(cell), tokenizer, lambda **_: {"score": 1.0, "acc": 1.0})
        seen = torch.cat([torch.ones(1, length), torch.zeros(1, 96 - length)], dim=1).long()
        data = DataProto.from_dict(
            {"responses": torch.zeros(1, 96, dtype=torch.long), "attention_mask": seen},
            {"data_source": ["reading"], "reward_model": [{"ground_truth": "4"}]},
        )
        return float((await manager.run_single(data))["reward_score"])

    expected = [asyncio.run(theirs(length)) for length in lengths.tolist()]
    assert rewards.tolist() == pytest.approx(expected)
    assert min(expected) < 1 == max(expected)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("verl.actor_rollout_ref.actor.use_kl_loss=true", "use_kl_loss"),
        ("verl.actor_rollout_ref.actor.ppo_mini_batch_size=4", "ppo_mini_batch_size"),
    ],
)
def test_what_the_lab_does_not_do_is_refused(override, named):
    with pytest.raises(CellError, match=named):
        Objective(cell_of("qwen2_5_vl", override))
