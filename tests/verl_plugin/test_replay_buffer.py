"""Dynamic sampling in rounds, with an in-memory stand-in for TransferQueue and for the agent loops."""

from __future__ import annotations

import inspect
from collections import Counter

import pytest
from omegaconf import OmegaConf
from verl.trainer.ppo.v1 import replay_buffer as stock

from kawhi.verl_plugin.replay_buffer import OrderedReplayBuffer


class Prompts:
    """A queue of prompts with two responses each, of which the verdicts are given; all finish at once."""

    def __init__(self, verdicts: list[tuple[float, float]]):
        self.verdicts = iter(verdicts)
        self.items: dict[str, dict] = {}
        self.submitted: list[int] = []
        self.status = "finished"
        self.cleared: list[str] = []

    def submit(self, count: int) -> None:
        self.submitted.append(count)
        for _ in range(count):
            uid = f"u{sum(tag.get('is_prompt', False) for tag in self.items.values()) + len(self.cleared):03d}"
            self.items[uid] = {"is_prompt": True, "status": self.status, "global_steps": 1}
            for session, verdict in enumerate(next(self.verdicts)):
                self.items[f"{uid}_{session}_0"] = {"acc": verdict}

    def kv_list(self):
        return {"train": dict(self.items)}

    def kv_clear(self, partition_id, keys):
        self.cleared = [*self.cleared, *(key for key in keys if "_" not in key)]
        for key in keys:
            self.items.pop(key, None)

    def kv_batch_get(self, keys, partition_id, select_fields):
        assert select_fields == ["extra_fields"]
        return {"extra_fields": [{"reward_extra_info": {"acc": self.items[key]["acc"]}} for key in keys]}


MIXED, RIGHT, WRONG = (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)


def sampler(monkeypatch, queue: Prompts, kind=OrderedReplayBuffer, **kwargs) -> stock.ReplayBuffer:
    """The buffer as verl builds it, on this queue; ``kwargs`` are its ``sampler_kwargs``."""
    monkeypatch.setattr(stock, "tq", queue)
    made = kind(
        trainer_mode="sync",
        trainer_config=OmegaConf.create({}),
        max_off_policy_threshold=None,
        max_off_policy_strategy="drop",
        sampler_kwargs=OmegaConf.create(kwargs),
        refill_fn=queue.submit,
    )
    made.poll_interval = 0.001
    return made


def buffer(monkeypatch, verdicts, limit=3, first=4) -> tuple[OrderedReplayBuffer, Prompts]:
    queue = Prompts(verdicts)
    made = sampler(monkeypatch, queue, dynamic=True, metric="acc", max_num_gen_batches=limit)
    queue.submit(first)
    return made, queue


def test_groups_without_a_difference_are_replaced_in_rounds(monkeypatch):
    verdicts = [MIXED, RIGHT, WRONG, MIXED, RIGHT, MIXED, MIXED, MIXED]
    made, queue = buffer(monkeypatch, verdicts)
    batch, metrics = made.sample(1, "train", 4)
    assert queue.submitted == [4, 4], "twice the two that were missing"
    assert list(dict.fromkeys(key.split("_")[0] for key in batch.keys)) == ["u000", "u003", "u005", "u006"]
    assert metrics == {
        "training/filter_groups/tried_samples": 8,
        "training/filter_groups/evicted_samples": 3,
        "training/filter_groups/discarded_surplus_samples": 1,
    }
    assert not any(tag.get("is_prompt") for tag in queue.items.values())


def test_it_stops_and_says_what_it_tried(monkeypatch):
    made, queue = buffer(monkeypatch, [MIXED, WRONG, WRONG, RIGHT, *[WRONG] * 20], limit=2)
    with pytest.raises(
        RuntimeError,
        match=r"tried 8 prompts in step 7 and found 1 of the 4 groups .*\(6 with 0 throughout, 1 with 1 throughout\)",
    ):
        made.sample(7, "train", 4)
    assert queue.submitted == [4, 4]


def test_a_full_batch_asks_for_nothing_more(monkeypatch):
    made, queue = buffer(monkeypatch, [MIXED] * 4)
    batch, metrics = made.sample(1, "train", 4)
    assert len(batch.keys) == 8
    assert queue.submitted == [4]
    assert metrics["training/filter_groups/evicted_samples"] == 0


@pytest.mark.parametrize("dynamic", [True, False])
def test_a_lost_response_stops_the_run_before_the_others_are_done(monkeypatch, dynamic):
    queue = Prompts([MIXED] * 4)
    made = sampler(monkeypatch, queue, dynamic=dynamic, metric="acc", max_num_gen_batches=3)
    queue.submit(4)
    queue.items["u001"]["status"], queue.items["u002"]["status"] = "running", "failure"
    with pytest.raises(RuntimeError, match="responses of 1 prompts of this step were lost"):
        made.sample(1, "train", 4)


@pytest.mark.parametrize(("kind", "order"), [(stock.ReplayBuffer, "201"), (OrderedReplayBuffer, "012")])
def test_responses_come_in_the_order_in_which_their_prompts_were_submitted(monkeypatch, kind, order):
    """When the first case fails, verl's order is no longer that of completion."""
    queue = Prompts([MIXED] * 3)
    made = sampler(monkeypatch, queue, kind)
    queue.submit(3)
    for uid in ("u000", "u001"):  # their responses arrive after those of the third prompt
        for key in [key for key in queue.items if key.startswith(f"{uid}_")]:
            queue.items[key] = queue.items.pop(key)
    batch, _ = made.sample(1, "train", 3)
    assert batch.keys == [f"u00{number}_{session}_0" for number in order for session in range(2)]


def test_verl_polls_less_often(monkeypatch):
    asked = [inspect.signature(stock.ReplayBuffer).parameters["poll_interval"].default]
    monkeypatch.setattr(
        stock.ReplayBuffer, "__init__", lambda self, *_, poll_interval, **__: asked.append(poll_interval)
    )
    OrderedReplayBuffer(sampler_kwargs={})
    assert asked == [2.0, 0.1]


@pytest.mark.parametrize("kwargs", [{}, {"dynamic": False, "metric": "acc", "max_num_gen_batches": 3}])
def test_when_it_is_off_it_is_verl_s_sampling(monkeypatch, kwargs):
    queue = Prompts([RIGHT] * 2)
    made = sampler(monkeypatch, queue, **kwargs)
    queue.submit(2)
    batch, metrics = made.sample(1, "train", 2)
    assert batch.keys == ["u000_0_0", "u000_1_0", "u001_0_0", "u001_1_0"]
    assert Counter(metrics) == Counter()
