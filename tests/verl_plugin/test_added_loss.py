"""A credit method's own loss beside verl's: the same in actor and lab, however a mini-batch is divided."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from tensordict import TensorDict
from verl.utils import tensordict_utils as tu
from verl.workers.utils.losses import ppo_loss

from kawhi.credit.methods import METHODS, build, configured
from kawhi.lab.losses import Objective, added_loss, padded
from kawhi.verl_plugin.added_loss import with_added_loss
from kawhi.verl_plugin.wire import ADDED_LOSS, PERTURBED
from tests.lab.made import cell_of
from tests.reference import methods as literal

LENGTHS = (5, 1, 7, 3)
OPTIONS = {"perception": 0.5, "entropy": 0.25}


@pytest.fixture
def tokens():
    """Log-probs of the policy, of the one that made the responses, beside a masked image, and advantages: ``(S,)``."""
    generator = torch.Generator().manual_seed(0)
    count = sum(LENGTHS)
    old, masked, advantages = (torch.randn(count, generator=generator) for _ in range(3))
    return (old + 0.4 * torch.randn(count, generator=generator)).requires_grad_(), old, masked, advantages


def micro_batch(tokens, rows: slice):
    """What verl's engine hands to a loss: the model's output, and these responses of the mini-batch."""
    lengths = LENGTHS[rows]
    parts = [[part for part in values.split(LENGTHS)][rows] for values in tokens]

    def jagged(each):
        return torch.nested.as_nested_tensor(list(each), layout=torch.jagged)

    # Prompts of one token; verl's log-probs stand one place to the left.
    whole = torch.nested.as_nested_tensor([torch.zeros(n + 1) for n in lengths], layout=torch.jagged)
    shifted = torch.cat([torch.cat([part, part.new_zeros(1)]) for part in parts[0]])
    data = TensorDict(
        {
            "prompts": jagged(torch.zeros(1) for _ in lengths),
            "responses": jagged(torch.zeros(n) for n in lengths),
            "response_mask": jagged(torch.ones(n) for n in lengths),
            "old_log_probs": jagged(parts[1]),
            f"{PERTURBED}_log_probs": jagged(parts[2]),
            "advantages": jagged(parts[3]),
        },
        batch_size=len(lengths),
    )
    tu.assign_non_tensor(data, dp_size=1, batch_num_tokens=sum(LENGTHS), global_batch_size=len(LENGTHS))
    return {"log_probs": torch.nested.nested_tensor_from_jagged(shifted, whole.offsets())}, data


def mean_of_all(values: torch.Tensor, mode: str) -> torch.Tensor:
    if mode == "token-mean":
        return values.mean()
    return torch.stack([part.mean() for part in values.split(LENGTHS)]).mean()


@pytest.mark.parametrize("parts", [(slice(None),), (slice(0, 1), slice(1, 4))], ids=["whole", "divided"])
@pytest.mark.parametrize("mode", ["token-mean", "seq-mean-token-mean"])
def test_it_is_added_to_verl_s_loss_as_a_mean_over_the_mini_batch(tokens, mode, parts):
    log_probs, _, masked, _ = tokens
    objective = Objective(cell_of("qwen2_5_vl", f"verl.actor_rollout_ref.actor.loss_agg_mode={mode}"))
    stock = partial(ppo_loss, config=objective.actor)
    loss, found = with_added_loss(stock, {"method": "papo", "options": OPTIONS}), []
    for rows in parts:
        output, data = micro_batch(tokens, rows)
        base, _ = stock(model_output=output, data=data)
        total, metrics = loss(model_output=output, data=data)
        found.append((total - base, metrics[ADDED_LOSS].aggregate()))
    added = sum(own for own, _ in found)
    (gradient,) = torch.autograd.grad(added, log_probs)
    expected = torch.tensor(literal.papo(log_probs.tolist(), masked.tolist(), **OPTIONS))
    assert added.item() == pytest.approx(mean_of_all(expected[:, 0], mode).item(), abs=1e-5)
    assert sum(said for _, said in found) == pytest.approx(added.item(), abs=1e-5)
    slopes = torch.cat([part / (len(part) * len(LENGTHS)) for part in expected[:, 1].split(LENGTHS)])
    if mode == "token-mean":
        slopes = expected[:, 1] / len(expected)
    torch.testing.assert_close(gradient, slopes, atol=1e-6, rtol=1e-4)


def test_the_lab_s_loss_is_that_of_verl_s_actor(tokens):
    log_probs, old, masked, advantages = tokens
    mask = torch.tensor([[column < length for column in range(max(LENGTHS))] for length in LENGTHS])
    objective = Objective(cell_of("qwen2_5_vl", "credit=papo"))
    method = build("papo", **OPTIONS)
    added = added_loss(method, log_probs, {"perturbed_log_probs": masked})
    ours = objective.loss(SimpleNamespace(mask=mask), log_probs, old, padded(advantages, mask), added)
    output, data = micro_batch(tokens, slice(None))
    asked = {"method": "papo", "options": OPTIONS}
    theirs, _ = with_added_loss(partial(ppo_loss, config=objective.actor), asked)(model_output=output, data=data)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-5)
    gradients = [torch.autograd.grad(loss, log_probs, retain_graph=True)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-4)
    assert added_loss(build("uniform"), log_probs, {}) is None


def test_a_method_is_given_tokens_alone_and_no_padding(tokens, monkeypatch):
    @dataclass(frozen=True)
    class Logs:
        needs = frozenset({"log_probs"})

        def weights(self, batch):
            return torch.ones(len(batch.token_ids))

        def added_loss(self, log_probs, signals):
            assert log_probs.shape == signals["log_probs"].shape == (sum(LENGTHS),)
            return signals["log_probs"].abs().log()  # of padding, which is 0, it would not be finite

    monkeypatch.setitem(METHODS, "logs", Logs)
    objective = Objective(cell_of("qwen2_5_vl", "verl.actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-mean"))
    loss = with_added_loss(partial(ppo_loss, config=objective.actor), {"method": "logs", "options": {}})
    output, data = micro_batch(tokens, slice(None))
    _, metrics = loss(model_output=output, data=data)
    expected = mean_of_all(tokens[1].abs().log(), "seq-mean-token-mean")
    assert metrics[ADDED_LOSS].aggregate() == pytest.approx(expected.item(), abs=1e-5)


def test_a_loss_cannot_need_what_the_data_alone_know(monkeypatch):
    class Told:
        needs = frozenset({"reads"})

        def added_loss(self, log_probs, signals):
            return log_probs

    monkeypatch.setitem(METHODS, "told", Told)
    with pytest.raises(ValueError, match="told adds to the loss in the actor, where nobody knows reads"):
        configured({"method": "told", "options": {}})
