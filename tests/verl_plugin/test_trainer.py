"""The trainer's advantages, with verl's own advantage code and an in-memory stand-in for TransferQueue."""

import json
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf, open_dict
from tensordict import TensorDict
from verl.trainer.ppo.v1 import trainer_base

from kawhi.credit.methods import build
from kawhi.credit.segments import segment_response
from kawhi.credit.weights import paragraph_weights
from kawhi.verl_plugin import step_samples, trainer_signals
from kawhi.verl_plugin import trainer as plugin
from kawhi.verl_plugin.wire import (
    ADDED_LOSS,
    ALIGN_SECONDS,
    ALIGNMENT_REQUEST,
    ALPHA,
    IMAGES,
    LOSS_REQUEST,
    NUCLEUS_SECONDS,
    PROMPT_DRAW,
    PROMPT_INDEX,
    READINGS,
    REGION_SECONDS,
    SELECTED_TOKENS,
)

OPTIONS = dict(granularity="paragraph", w_min=0.1, w_max=1.0, temperature=0.1, smoothing=0.1, normalize="paper")
TOR = dict(
    reasoning_share=0.3, perception_share=0.3, reasoning_weight=1.0, perception_weight=0.3, proxy="logp", types="both"
)
REGIONS = {"strategy": "sguf", "keep_ratio": 0.5}
RESPONSES = (
    "We need the sum.\n\nI read A = 3.\n\nThe sum is 5.\n\nAnswer: \\boxed{5}",
    "Answer: \\boxed{4}",
    "We need the sum.\n\nAnswer: \\boxed{5}",
    "So the answer is \\boxed{7}.",
)


@dataclass
class Meta:
    """What the trainer uses of a KVBatchMeta."""

    keys: list
    tags: list
    partition_id: str = "train"
    extra_info: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.keys)


class Queue:
    """TransferQueue in memory: a missing field is skipped without a word, as in the real one."""

    def __init__(self, fields: TensorDict):
        self.fields = fields
        self.puts = []

    def kv_batch_get(self, keys, partition_id, select_fields=None):
        names = [n for n in (select_fields or self.fields.keys()) if n in self.fields.keys()]
        return self.fields.select(*names).clone()

    def kv_batch_put(self, keys, partition_id, fields):
        self.puts.append(sorted(fields.keys()))
        self.fields.update(fields)
        return Meta(list(keys), [{} for _ in keys])


def jagged(rows):
    return torch.nested.as_nested_tensor(rows, layout=torch.jagged)


@pytest.fixture
def world(monkeypatch, tokenizer):
    """A trainer, its batch and its queue: two prompts with two responses each, one of each pair correct."""
    with initialize_config_module("verl.trainer.config", version_base=None):
        config = compose("ppo_trainer", overrides=["algorithm.adv_estimator=grpo", "actor_rollout_ref.rollout.n=2"])
    with open_dict(config):
        config.kawhi = OmegaConf.create(
            {"method": "kawhi", "options": OPTIONS, "alignment": {"heads": None}, "regions": REGIONS}
        )
    ids = [torch.tensor(tokenizer(text)["input_ids"]) for text in RESPONSES]
    generator = torch.Generator().manual_seed(0)
    prompt = 3
    alphas = [torch.rand(prompt + len(r), generator=generator) for r in ids]
    scores = [
        torch.zeros(len(r)).index_fill(0, torch.tensor([len(r) - 1]), s)
        for r, s in zip(ids, (1.0, 0, 1.0, 0), strict=True)
    ]
    zeros = [torch.zeros(len(r)) for r in ids]
    fields = TensorDict(
        {
            "response_mask": jagged([torch.ones(len(r), dtype=torch.long) for r in ids]),
            "responses": jagged(ids),
            "rm_scores": jagged(scores),
            "old_log_probs": jagged(zeros),
            ALPHA: jagged(alphas),
            ALIGN_SECONDS: jagged([torch.full((1,), 0.25) for _ in ids]),
        },
        batch_size=len(ids),
    )
    from verl.utils import tensordict_utils as tu

    tu.assign_non_tensor_stack(fields, "uid", ["a", "a", "b", "b"])
    tu.assign_non_tensor_stack(
        fields,
        "extra_fields",
        [
            {REGION_SECONDS: seconds, PROMPT_INDEX: index, SELECTED_TOKENS: [index], "reward_extra_info": {"acc": acc}}
            for seconds, index, acc in ((0.5, 7, 1.0), (0.0, 7, 0.0), (0.25, 8, 1.0), (0.0, 8, 0.0))
        ],
    )
    queue = Queue(fields)
    monkeypatch.setattr(trainer_base, "tq", queue)
    monkeypatch.setattr(plugin, "tq", queue)
    monkeypatch.setattr(trainer_signals, "tq", queue)
    trainer = object.__new__(plugin.KawhiTrainer)
    trainer.config, trainer.tokenizer, trainer.timing_raw = config, tokenizer, {}
    trainer.credit = build("kawhi", **OPTIONS)
    trainer.global_steps = 3
    batch = Meta([f"{u}_{s}_0" for u in "ab" for s in (0, 1)], [{} for _ in ids])
    return trainer, batch, queue, ids, alphas


def stock_advantages(world) -> list[torch.Tensor]:
    trainer, batch, queue, *_ = world
    super(plugin.KawhiTrainer, trainer)._compute_advantage(batch, {})
    return [a.clone() for a in queue.fields["advantages"].unbind()]


def test_advantages_are_multiplied_by_the_papers_weights(world, tokenizer):
    trainer, batch, queue, ids, alphas = world
    base = stock_advantages(world)
    metrics = {}
    trainer._compute_advantage(batch, metrics)
    options = {k: v for k, v in OPTIONS.items() if k != "granularity"}
    for got, a, response, alpha in zip(queue.fields["advantages"].unbind(), base, ids, alphas, strict=True):
        segments = segment_response(response, tokenizer)
        weights = paragraph_weights(alpha[-len(response) :], segments, **options)
        assert torch.equal(got, a * weights)
        assert not torch.equal(got, a) or bool((weights == 1).all())
    assert metrics["kawhi/weight/max"] == pytest.approx(1.0)
    assert metrics["kawhi/weight/min"] > 0.1


@pytest.mark.parametrize("method", ["kawhi", "uniform"])
def test_weights_of_one_leave_every_bit(world, method):
    trainer, batch, queue, *_ = world
    base = stock_advantages(world)
    if method == "uniform":
        del queue.fields[ALPHA]  # which it does not need
    trainer.credit = build(method, **(OPTIONS | {"w_min": 1.0, "w_max": 1.0} if method == "kawhi" else {}))
    trainer._compute_advantage(batch, {})
    assert all(torch.equal(a, b) for a, b in zip(queue.fields["advantages"].unbind(), base, strict=True))


def reading(queue, *known) -> None:
    """Says of each response what had to be read, as the agent loop does."""
    for row, readings in zip(queue.fields["extra_fields"], known, strict=True):
        getattr(row, "data", row)[READINGS] = readings


@pytest.mark.parametrize("name", ["oracle", "process"])
def test_controls_know_what_was_read(world, name):
    trainer, batch, queue, ids, _ = world
    said = ("We need the sum.\n\nI read 3.\n\nThe sum is 3 + 2 = 5.", "I read 4.\n\nAnswer: \\boxed{4}")
    ids = [*(torch.tensor(trainer.tokenizer(text)["input_ids"]) for text in said), *ids[2:]]
    generator = torch.Generator().manual_seed(0)
    queue.fields["responses"] = jagged(ids)
    queue.fields["response_mask"] = jagged([torch.ones(len(r), dtype=torch.long) for r in ids])
    queue.fields["rm_scores"] = jagged([torch.rand(len(r), generator=generator) for r in ids])
    queue.fields["old_log_probs"] = jagged([torch.zeros(len(r)) for r in ids])
    base = stock_advantages((trainer, batch, queue))
    reading(queue, [3], [3], [5], [5])
    trainer.credit = build(name, reading=1.0, elsewhere=0.5)
    trainer._compute_advantage(batch, {})
    got = queue.fields["advantages"].unbind()
    for row, (text, own) in enumerate(zip(said, (1.0, -1.0), strict=True)):
        segments = segment_response(ids[row], trainer.tokenizer)
        reads = segments == next(i for i, part in enumerate(text.split("\n\n")) if "read" in part)
        expected = torch.full_like(base[row], own) if name == "process" else base[row]
        torch.testing.assert_close(got[row][reads], expected[reads], atol=1e-5, rtol=0)
        assert torch.equal(got[row][~reads], 0.5 * base[row][~reads])
    assert torch.equal(got[3], 0.5 * base[3])  # it answers and reads nothing


def test_data_that_does_not_say_what_has_to_be_read_stops_the_run(world):
    trainer, batch, *_ = world
    trainer.credit = build("oracle", reading=1.0, elsewhere=0.1)
    with pytest.raises(RuntimeError, match=r"has none for prompt 7 \(of 2 such in this step\): take data with"):
        trainer._compute_advantage(batch, {})


def not_finite(batch, queue) -> None:
    alphas = [alpha.clone() for alpha in queue.fields[ALPHA].unbind()]
    alphas[1][-1] = float("nan")
    queue.fields[ALPHA] = jagged(alphas)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda batch, queue: queue.fields.pop(ALPHA), "VERL_ENGINE_VENDOR"),
        (lambda batch, queue: batch.tags[2].update(is_padding=True), "1 of 4 responses"),
        (not_finite, "not finite"),
    ],
    ids=["a signal is missing", "a response was lost", "weights are not finite"],
)
def test_what_cannot_be_trained_on_stops_the_run(world, spoil, sentence):
    trainer, batch, queue, *_ = world
    spoil(batch, queue)
    with pytest.raises(RuntimeError, match=sentence):
        trainer._compute_advantage(batch, {})


def test_timers_of_the_parts_that_run_elsewhere(world):
    trainer, batch, *_ = world
    trainer._compute_advantage(batch, {})
    assert trainer.timing_raw["kawhi_regions"] == pytest.approx(0.75)
    ranks = trainer.config.trainer.n_gpus_per_node * trainer.config.trainer.nnodes
    assert trainer.timing_raw["kawhi_alignment"] == pytest.approx(1.0 / ranks)
    assert trainer.timing_raw["kawhi_weights"] > 0
    assert trainer.timing_raw["kawhi_kept"] > 0


def test_the_request_goes_out_with_the_log_prob_pass(world, monkeypatch):
    trainer, batch, *_ = world
    seen = {}
    monkeypatch.setattr(
        plugin.PPOTrainerSync, "_compute_old_log_prob", lambda self, b, m: seen.update(b.extra_info) or b
    )
    trainer._compute_old_log_prob(batch, {})
    assert json.loads(seen[ALIGNMENT_REQUEST]) == {"alignment": {"heads": None}, "keep_ratio": None}
    trainer.config.kawhi.regions.strategy = "visionzip"
    trainer._compute_old_log_prob(batch, {})
    assert json.loads(seen[ALIGNMENT_REQUEST])["keep_ratio"] == 0.5
    seen.clear()
    batch.extra_info.clear()
    trainer.credit = build("uniform")
    trainer._compute_old_log_prob(batch, {})
    assert ALIGNMENT_REQUEST not in seen


def test_a_step_keeps_samples_beside_the_run(world, monkeypatch, tmp_path):
    trainer, batch, _, ids, alphas = world
    base = stock_advantages(world)
    monkeypatch.setenv("KAWHI_RUN_DIR", str(tmp_path))
    trainer._compute_advantage(batch, {})
    kept = json.loads((tmp_path / "train" / "steps" / "000003.json").read_text())
    assert kept["step"] == 3
    assert [(prompt["index"], prompt["selected"], len(prompt["responses"])) for prompt in kept["prompts"]] == [
        (7, [7], 2),
        (8, [8], 2),
    ]
    rows = [row for prompt in kept["prompts"] for row in prompt["responses"]]
    assert [row["reward"] for row in rows] == [1.0, 0.0, 1.0, 0.0]
    for row, response, alpha, advantage in zip(rows, ids, alphas, base, strict=True):
        assert row["token_ids"] == response.tolist()
        np.testing.assert_allclose(row["alpha"], alpha[-len(response) :], atol=1e-6)
        assert row["advantage"] == pytest.approx(float(advantage[-1]), abs=1e-6)
        assert len(row["weights"]) == len(response)
    assert rows[1]["weights"] == [1.0] * len(ids[1])  # one paragraph


@pytest.mark.parametrize(
    ("name", "options", "kept"),
    [
        ("kawhi", OPTIONS, set()),
        ("uniform", {}, set()),
        ("ft_rl", {"keep": 0.5, "scope": "batch"}, {"entropy"}),
        ("vppo", {"keep": 0.5, "scale_min": 0.5}, {"log_probs", "perturbed_log_probs"}),
        ("papo", {"perception": 0.02, "entropy": 0.05}, {"log_probs", "perturbed_log_probs"}),
        ("tor", TOR, {"nucleus_entropy", "log_probs", "blank_log_probs"}),
    ],
)
def test_a_step_keeps_the_method_s_own_signals_and_the_entropy_of_every_token(
    world, monkeypatch, tmp_path, name, options, kept
):
    trainer, batch, queue, ids, _ = world
    generator = torch.Generator().manual_seed(1)
    for field_name, before in (
        ("entropy", 0),
        ("perturbed_log_probs", 0),
        ("blank_log_probs", 0),
        ("nucleus_entropy", 3),
    ):
        rows = [torch.rand(before + len(row), generator=generator) for row in ids]
        queue.fields[trainer_signals.FIELDS[field_name]] = jagged(rows)
    queue.fields[NUCLEUS_SECONDS] = queue.fields[ALIGN_SECONDS]
    monkeypatch.setattr(
        trainer_signals, "response_from_nested", lambda rows, ids: jagged([r[3:] for r in rows.unbind()])
    )
    monkeypatch.setenv("KAWHI_RUN_DIR", str(tmp_path))
    trainer.credit = build(name, **options)
    trainer._compute_advantage(batch, {})
    samples, tokens = (
        json.loads((tmp_path / "train" / kind / "000003.json").read_text()) for kind in ("steps", "tokens")
    )
    rows = [row for prompt in samples["prompts"] for row in prompt["responses"]]
    assert {frozenset(row["signals"]) for row in rows} == {frozenset(kept)}
    for signal in kept - {"nucleus_entropy"}:
        for row, expected in zip(rows, queue.fields[trainer_signals.FIELDS[signal]].unbind(), strict=True):
            np.testing.assert_allclose(row["signals"][signal], expected, atol=1e-5)
    assert tokens["all"]["tokens"] == sum(map(len, ids))
    assert tokens["all"]["mean"]["entropy"] == pytest.approx(
        torch.cat(list(queue.fields["entropy"].unbind())).mean().item(), abs=1e-5
    )
    assert [(own["right"], own["of"]) for own in tokens["by_right"]] == [(1, 2)]
    assert ("dependency" in tokens["histograms"], "logp_diff" in tokens["histograms"]) == (
        name in ("vppo", "papo"),
        name == "tor",
    )


def test_no_samples_outside_the_harness(world, monkeypatch, tmp_path):
    trainer, batch, *_ = world
    monkeypatch.delenv("KAWHI_RUN_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    trainer._compute_advantage(batch, {})
    assert not list(tmp_path.iterdir())


def test_samples_of_a_method_without_alignment_have_no_alpha(world, monkeypatch, tmp_path):
    trainer, batch, *_ = world
    monkeypatch.setenv("KAWHI_RUN_DIR", str(tmp_path))
    monkeypatch.setattr(step_samples, "PROMPTS", 1)
    trainer.credit = build("uniform")
    trainer._compute_advantage(batch, {})
    (prompt,) = json.loads((tmp_path / "train" / "steps" / "000003.json").read_text())["prompts"]
    assert [row["alpha"] for row in prompt["responses"]] == [None, None]


def test_metrics_are_those_of_all_tokens():
    summary = plugin.weight_metrics([torch.tensor([0.0, 1.0]), torch.tensor([0.5])])
    assert summary["kawhi/weight/mean"] == pytest.approx(0.5)
    assert summary["kawhi/weight/std"] == pytest.approx(np.std([0.0, 1.0, 0.5]))
    assert summary["kawhi/weight/zero_share"] == pytest.approx(1 / 3)


def test_a_method_sees_responses_in_the_order_of_submission_however_they_were_dealt_out(world, monkeypatch):
    """Ties are common, for instance of entropies that are exactly 0, and must not be decided by the number of ranks."""
    trainer, batch, queue, ids, _ = world
    fields = [{PROMPT_INDEX: index} for index in (8, 7, 8, 7)]
    assert plugin.order_of_submission(["b_1_0", "a_1_0", "b_0_0", "a_0_0"], fields) == [3, 1, 2, 0]
    seen = []

    class Spy:
        needs = frozenset()

        def weights(self, batch):
            seen.append(batch)
            return torch.arange(len(batch.token_ids)) + 1.0

    trainer.credit = Spy()
    base = stock_advantages(world)
    monkeypatch.setattr(plugin, "order_of_submission", lambda keys, fields: [2, 0, 3, 1])
    trainer._compute_advantage(batch, {})
    assert torch.equal(seen[0].token_ids, torch.cat([ids[i] for i in (2, 0, 3, 1)]))
    assert seen[0].groups == ["b", "a", "b", "a"]
    assert seen[0].correct.tolist() == [True, True, False, False]
    assert seen[0].rewards.tolist() == [1.0, 1.0, 0.0, 0.0]
    starts = {2: 0, 0: len(ids[2]), 3: len(ids[2]) + len(ids[0]), 1: len(ids[2]) + len(ids[0]) + len(ids[3])}
    for row, (got, a) in enumerate(zip(queue.fields["advantages"].unbind(), base, strict=True)):
        assert torch.equal(got, a * (torch.arange(len(ids[row])) + starts[row] + 1.0))


def test_rewards_that_a_method_shapes_are_what_advantages_are_made_of(world):
    trainer, batch, queue, *_ = world

    class Shaping:
        needs = frozenset()

        def weights(self, batch):
            return torch.ones(len(batch.token_ids))

        def shaped_rewards(self, batch):
            return batch.rewards + torch.tensor([0.0, 3.0, 0.0, 0.0])

    trainer.credit = Shaping()
    metrics = {}
    trainer._compute_advantage(batch, metrics)
    assert metrics["kawhi/base_reward/mean"] == pytest.approx(0.5)
    assert [float(row.sum()) for row in queue.fields["rm_scores"].unbind()] == [1.0, 3.0, 1.0, 0.0]
    assert [float(row[-1]) for row in queue.fields["rm_scores"].unbind()] == [1.0, 3.0, 1.0, 0.0]
    first, second, *_ = [float(a[0]) for a in queue.fields["advantages"].unbind()]
    assert first == pytest.approx(-second)
    assert second > 0, "the response that was wrong but shaped is now the better one"


def test_a_method_s_own_loss_is_asked_of_the_update_and_must_be_there(world, monkeypatch):
    trainer, batch, *_ = world
    asked = []

    def stock(self, batch, metrics):
        asked.append(batch.extra_info.get(LOSS_REQUEST))
        metrics.update(said)
        return batch

    monkeypatch.setattr(trainer_base.PPOTrainer, "_update_actor", stock)
    said = {}
    trainer._update_actor(batch, {})
    assert asked == [None], "a method that has no loss asks for none"
    options = {"perception": 0.02, "entropy": 0.05}
    trainer.config.kawhi = OmegaConf.create({"method": "papo", "options": options})
    trainer.credit = build("papo", **options)
    with pytest.raises(RuntimeError, match=r"papo adds to the loss, .* VERL_ENGINE_VENDOR=kawhi"):
        trainer._update_actor(batch, {})
    said = {ADDED_LOSS: 0.1}
    trainer._update_actor(batch, {})
    assert json.loads(asked[-1]) == {"method": "papo", "options": options}


def test_a_reward_without_a_verdict_is_told(world):
    with pytest.raises(RuntimeError, match="rewards of 1 responses have no 'acc'"):
        plugin.verdicts([{"reward_extra_info": {"acc": 1.0}}, {"reward_extra_info": {}}])


def test_rewards_that_know_no_verdict_are_no_obstacle(world):
    """As a function of somebody's own returns them; a method that asks for verdicts says that it needs them."""
    trainer, batch, queue, *_ = world
    assert plugin.verdicts([{"reward_extra_info": {"score": 1.0}}, {}]) is None
    for fields in queue.fields["extra_fields"]:
        getattr(fields, "data", fields)["reward_extra_info"].pop("acc")
    trainer._compute_advantage(batch, {})
    trainer.credit = build("step_grpo", step_weight=1.0, validity_weight=1.0)
    with pytest.raises(ValueError, match="needs the verdicts"):
        trainer._compute_advantage(batch, {})


def test_a_prompt_without_an_image_stops_a_method_that_compares_images():
    fields = [{PROMPT_INDEX: 3, IMAGES: 1}, {PROMPT_INDEX: 5, IMAGES: 0}, {PROMPT_INDEX: 5, IMAGES: 0}]
    trainer_signals.refuse_without_images(frozenset({"alignment", "entropy"}), fields)
    trainer_signals.refuse_without_images(frozenset({"blank_log_probs"}), fields[:1])
    with pytest.raises(RuntimeError, match=r"blank_log_probs need an image .* prompt 5 \(of 1 such"):
        trainer_signals.refuse_without_images(frozenset({"blank_log_probs"}), fields)


def test_a_prompt_that_a_step_draws_again_is_told_so(world, monkeypatch):
    """Dynamic sampling may go through the data twice in a step; with equal seeds the responses would be equal."""
    trainer, *_ = world
    trainer._drawn_in, trainer._drawn = -1, Counter()
    queue = iter([[4, 7], [7, 7], [7]])

    def stock(self, num_prompts=None):
        return TensorDict({"index": torch.tensor(next(queue))}, batch_size=[])

    monkeypatch.setattr(trainer_base.PPOTrainer, "_next_train_batch", stock)
    assert [list(trainer._next_train_batch()[PROMPT_DRAW]) for _ in range(2)] == [[0, 0], [1, 2]]
    trainer.global_steps += 1
    assert list(trainer._next_train_batch()[PROMPT_DRAW]) == [0]
