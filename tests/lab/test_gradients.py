"""The probe's estimates against loops over pairs of prompts, and what must hold of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kawhi.lab.gradients import FOLDS, UNIFORM, Estimate, Gradients, Probe, Recorder, token_coefficients
from kawhi.lab.policy import Policy, token_log_probs
from kawhi.lab.probing import ADAM, SGD, Findings, known_kinds, probed, token_kinds, write_probe
from kawhi.lab.rollouts import part_of
from kawhi.tiny.warm_start import CHECKPOINTS
from tests.lab.made import cell_of, rollouts_of
from tests.reference import methods as literal


def made(seed: int, prompts: int = 12, width: int = 30, signal: float = 1.0) -> Gradients:
    """Uniform credit as the sum of two kinds; a method that keeps one of them, and one that is half of all."""
    rng = np.random.default_rng(seed)
    direction = np.concatenate([np.ones(width // 2), np.zeros(width - width // 2)])
    good = signal * direction + rng.normal(size=(prompts, width))
    bad = rng.normal(size=(prompts, width)) * 2
    rows = {UNIFORM: good + bad, "good": good, "half": 0.5 * (good + bad)}
    return Gradients(
        prompts,
        {label: list(own.astype(np.float32)) for label, own in rows.items()},
        {"good": list(good.astype(np.float32)), "bad": list(bad.astype(np.float32))},
    )


def cross(a, b, weights) -> float:
    """Mean product of different prompts' gradients, pair by pair."""
    pairs = [(i, j) for i in range(len(a)) for j in range(len(a)) if i != j]
    total = sum(weights[i] * weights[j] * float(a[i].astype(float) @ b[j].astype(float)) for i, j in pairs)
    return total / (sum(weights) ** 2 - sum(w * w for w in weights))


def divided(own, uniform, by) -> float:
    """The same after Adam's division, by the root mean square of prompts in folds that neither of a pair is in."""
    total, pairs = 0.0, 0
    for i in range(len(own)):
        for j in range(len(own)):
            if i != j:
                others = [k for k in range(len(own)) if k % FOLDS not in (i % FOLDS, j % FOLDS)]
                root = np.sqrt((by[others].astype(float) ** 2).mean(axis=0))
                total, pairs = total + float((own[i] / root) @ uniform[j]), pairs + 1
    return total / pairs


def test_gains_are_those_of_loops_over_pairs():
    found, per_step = made(0), 4
    probe = Probe(found, per_step, resamples=20)
    uniform, good = found.of_method(UNIFORM), found.of_method("good")
    ones = [1.0] * len(uniform)

    def gain(own) -> float:
        along = cross(own, uniform, ones) ** 2 / cross(uniform, uniform, ones)
        squares = sum(float(row.astype(float) @ row.astype(float)) for row in own) / len(own)
        return cross(own, uniform, ones) / np.sqrt(along + (squares - along) / per_step)

    assert probe.methods()["good"].sgd.value == pytest.approx(gain(good) / gain(uniform), rel=1e-4)
    adam = [divided(own, uniform, own) for own in (good, uniform)]
    assert probe.methods()["good"].adam.value == pytest.approx(adam[0] / adam[1], rel=1e-4)


@pytest.mark.parametrize("adam", [False, True])
def test_shares_are_those_of_loops_over_pairs(adam):
    found = made(1)
    uniform, good = found.of_method(UNIFORM), found.of_kind("good")
    share, ones = Probe(found, 4, resamples=20).kinds()["good"], [1.0] * len(uniform)
    scale = 1 / np.sqrt((uniform**2).mean(axis=0)) if adam else 1.0
    plain, by_adam = (
        (cross(good, uniform, ones), cross(uniform, uniform, ones)),
        (divided(good, uniform, uniform), divided(uniform, uniform, uniform)),
    )
    signal, whole = by_adam if adam else plain
    signal /= whole
    noise = ((good * scale) ** 2).sum() / ((uniform * scale) ** 2).sum()
    told = (share.signal_adam, share.noise_adam) if adam else (share.signal, share.noise)
    assert [each.value for each in told] == pytest.approx([signal, noise], rel=1e-4)


def test_steps_of_prompts_follow_each_other():
    """A kind that a step's prompts have none of is 0 there, whichever step comes first."""
    first, second = made(0, prompts=3), made(1, prompts=2)
    first.kinds["late"], second.kinds["late"] = [], [None, np.ones(30, np.float32)]
    whole = Gradients()
    for each in (first, second, made(2, prompts=2)):
        whole.extend(each)
    assert (whole.prompts, len(whole.of_method("good"))) == (7, 7)
    assert whole.of_kind("late").sum(axis=1).tolist() == [0, 0, 0, 0, 30, 0, 0]


@given(st.integers(0, 1000))
def test_shares_add_up_and_a_constant_changes_nothing(seed):
    probe = Probe(made(seed), 4, resamples=20)
    for signal in ("signal", "signal_adam"):
        assert sum(getattr(share, signal).value for share in probe.kinds().values()) == pytest.approx(1, rel=1e-4)
    half = probe.methods()["half"]
    for estimate in (half.sgd, half.adam):
        assert (estimate.value, estimate.low, estimate.high) == pytest.approx((1, 1, 1), rel=1e-3)


def test_credit_of_the_kind_with_the_signal_gains():
    probe = Probe(made(3, prompts=200), 8)
    assert probe.clear()
    assert probe.clear(adam=True)
    said = probe.methods()["good"]
    assert 1 < said.sgd.low < said.sgd.value < said.sgd.high
    assert said.signal_to_noise > probe.methods()[UNIFORM].signal_to_noise
    shares = probe.kinds()
    assert shares["good"].signal.low > 0.7
    assert shares["bad"].noise.low > shares["good"].noise.high


def test_without_a_signal_the_probe_says_so():
    probe = Probe(made(5, prompts=30, signal=0.0), 8)
    assert not probe.clear()
    assert not probe.clear(adam=True)
    with pytest.raises(ValueError, match="2 of 2 prompts"):
        Probe(made(0, prompts=2), 8)


def test_rare_large_gradients_are_no_signal():
    """Of mean 0, but skewed: a prompt that set its own divisor would make one of them."""
    clear = 0
    for seed in range(10):
        noise = np.random.default_rng(seed).lognormal(0, 1.5, (96, 500)) - np.exp(1.5**2 / 2)
        clear += Probe(Gradients(96, {UNIFORM: list(noise.astype(np.float32))}), 8, resamples=200).clear(adam=True)
    assert clear <= 2


def test_a_figure_of_a_signal_does_not_outlive_it(tmp_path):
    probe, picture = Probe(made(3, prompts=200), 8), tmp_path / "signal-x-grpo.png"
    for clear in (True, False):
        found = Findings(probe.methods(), probe.kinds(), 200, {SGD: True, ADAM: clear})
        text = write_probe(found, "x, grpo", tmp_path)
        assert ("–" in text) is not clear
        assert picture.exists() is clear


@pytest.mark.parametrize(
    ("clear", "told", "printed"),
    [
        ({SGD: True, ADAM: True}, "x: gain a step beside uniform credit, from 9 prompts", ["2.00 [1.00, 3.00]"] * 2),
        (
            {SGD: False, ADAM: True},
            "x: gain a step beside uniform credit, from 9 prompts; too few for SGD, where uniform credit has no signal",
            ["–", "2.00 [1.00, 3.00]"],
        ),
        (
            {SGD: False, ADAM: False},
            "x: 9 prompts show no signal of uniform credit, so gains say nothing: take more",
            ["–"] * 2,
        ),
    ],
)
def test_what_nobody_saw_is_not_printed(clear, told, printed):
    found = Findings({}, {}, 9, clear)
    assert found.first_line("x") == told
    assert [found.said(column, Estimate(2, 1, 3)) for column in (SGD, ADAM)] == printed


@pytest.fixture(scope="module")
def recorded():
    """A policy, its rollouts, and the whole gradients of three methods."""
    policy = Policy(CHECKPOINTS / "qwen2_5_vl")
    names = ("uniform", "oracle", "ft_rl")
    cells = {name: cell_of("qwen2_5_vl", f"credit={name}", "algorithm=gspo") for name in names}
    rollouts = rollouts_of(policy, cells["uniform"], prompts=3)
    methods = probed(policy, cells)
    kinds = token_kinds(rollouts, policy.tokenizer, known_kinds(rollouts))
    recorder = Recorder(policy, share=0.02, seed=1)
    return policy, rollouts, methods, recorder, recorder.of(rollouts, methods, kinds, step=0)


def test_a_gradient_is_that_of_the_loss_itself(recorded):
    """The sum over prompts, at the coordinates kept, is the gradient of the whole batch's loss."""
    policy, rollouts, methods, recorder, gradients = recorded
    prompts, tokens, mask = part_of(rollouts, range(3))
    log_probs = token_log_probs(policy.logits(prompts, tokens, mask), tokens[mask])
    advantages = methods[0].objective.advantages(rollouts, rollouts.rewards)
    policy.model.zero_grad()
    (-methods[0].objective.loss(rollouts, log_probs, log_probs.detach(), advantages)).backward()
    pairs = zip(recorder._weights, recorder._kept, strict=True)
    expected = torch.cat([weight.grad.reshape(-1)[kept] for weight, kept in pairs]).numpy()
    found = gradients.of_method(UNIFORM).sum(axis=0)
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    kinds = sum(gradients.of_kind(kind).sum(axis=0) for kind in gradients.kinds)
    assert np.abs(kinds - expected).max() < 1e-5 * np.abs(expected).max()


def test_a_method_s_coefficients_are_uniform_credit_s_times_its_weights(recorded):
    _, rollouts, methods, *_ = recorded
    uniform, oracle = (token_coefficients(rollouts, each, *each.gather(rollouts, 0, ())) for each in methods[:2])
    ratio = (oracle / uniform)[uniform != 0]
    assert sorted(set(ratio.round(decimals=4).tolist())) == pytest.approx([0.1, 1.0])


def test_a_method_s_own_loss_is_part_of_its_coefficients(recorded):
    policy, rollouts, *_ = recorded
    uniform, papo = probed(policy, {name: cell_of("qwen2_5_vl", f"credit={name}") for name in ("uniform", "papo")})
    signals = papo.gather(rollouts, 0, ())
    got, base = (token_coefficients(rollouts, each, *signals) for each in (papo, uniform))
    log_probs, masked = signals[0].detach().double(), signals[1]["perturbed_log_probs"].double()
    slopes = literal.papo(log_probs.tolist(), masked.tolist(), papo.method.perception, papo.method.entropy)
    expected = torch.tensor([-slope for _, slope in slopes]) / len(slopes)
    torch.testing.assert_close(got - base, expected, atol=1e-6, rtol=1e-3)
    assert len(set(expected.round(decimals=6).tolist())) > 10


def test_methods_that_look_alike_share_a_pass_and_see_what_they_need_alone(recorded):
    policy, rollouts, methods, *_ = recorded
    names = ("uniform", "oracle", "ft_rl", "tor", "vppo", "kawhi", "constant")
    several = probed(policy, {name: cell_of("qwen2_5_vl", f"credit={name}") for name in names})
    gatherers = {each.label: each.gather for each in several}
    assert len(set(gatherers.values())) == 4
    assert gatherers["uniform"] is gatherers["oracle"] is gatherers["ft_rl"]
    assert gatherers["kawhi"] is gatherers["constant"]
    alone = {each.label: each for each in methods}
    shared = next(each for each in several if each.label == "ft_rl")
    for each in (shared, alone["ft_rl"]):
        weights = each.method.weights(
            rollouts.batch(policy.tokenizer, each.gather(rollouts, 0, ())[1], rollouts.rewards)
        )
        assert 0.1 < float(weights.mean()) < 0.4


def test_a_kind_without_any_gradient_has_no_share():
    found = made(0)
    found.kinds["task"] = [None] * 12
    share = Probe(found, 4, resamples=20).kinds()["task"]
    assert (share.signal.value, share.noise.value) == (0, 0)
