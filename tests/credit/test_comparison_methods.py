"""FT-RL, VPPO, PAPO, ToR and products against their transcriptions, on random batches and on every degenerate one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kawhi.credit import entropy
from kawhi.credit.entropy import nucleus_entropy
from kawhi.credit.methods import AddsLoss, ResponseBatch, build, configured
from tests.reference import methods as literal

FT_RL = {"keep": 0.2, "scope": "batch"}
VPPO = {"keep": 0.4, "scale_min": 0.9}
PAPO = {"perception": 0.02, "entropy": 0.05}
TOR = {
    "reasoning_share": 0.3,
    "perception_share": 0.3,
    "reasoning_weight": 1.0,
    "perception_weight": 0.5,
    "proxy": "logp",
    "types": "both",
}
# Few distinct values, so that ties are the rule; single tokens, equal responses and empty ones occur.
VALUES = st.sampled_from([0.0, 0.1, 0.1, 0.5, 1.0, 2.0, 3.25])
BATCHES = st.lists(st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=8), min_size=1, max_size=5).filter(
    lambda batch: any(batch)
)


def packed(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor([value for row in rows for value in row], dtype=torch.float32)


def make_batch(lengths: list[int], **signals: torch.Tensor) -> ResponseBatch:
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    return ResponseBatch(torch.zeros(int(offsets[-1]), dtype=torch.long), offsets, signals, tokenizer=None)


def columns(batch) -> list[list[list[float]]]:
    return [[[token[i] for token in row] for row in batch] for i in range(3)]


@given(BATCHES, st.sampled_from(["batch", "response"]), st.sampled_from([0.2, 0.5, 1.0]))
def test_ft_rl(batch, scope, keep):
    entropy, *_ = columns(batch)
    got = build("ft_rl", keep=keep, scope=scope).weights(
        make_batch([len(row) for row in batch], entropy=packed(entropy))
    )
    expected = literal.ft_rl([packed([row]).double().tolist() for row in entropy], keep, scope)
    np.testing.assert_allclose(got, packed(expected), atol=1e-6)


@given(BATCHES, st.sampled_from([0.1, 0.4, 1.0]), st.sampled_from([0.0, 0.9, 1.0]))
def test_vppo(batch, keep, scale_min):
    seen, blind, _ = columns(batch)
    signals = {"log_probs": -packed(seen), "perturbed_log_probs": -packed(blind)}
    got = build("vppo", keep=keep, scale_min=scale_min).weights(make_batch([len(row) for row in batch], **signals))
    rows = [[[-value for value in packed([row]).double().tolist()] for row in rows] for rows in (seen, blind)]
    np.testing.assert_allclose(got, packed(literal.vppo(*rows, keep, scale_min)), atol=1e-6)


LOG_PROBS = st.sampled_from([0.0, -0.1, -0.1, -0.5, -1.0, -2.0, -2.3, -3.5, -8.0, -30.0])


@given(
    st.lists(st.tuples(LOG_PROBS, LOG_PROBS), max_size=12),
    st.sampled_from([0.0, 0.02, 1.0]),
    st.sampled_from([0.0, 0.05, 1.0]),
)
def test_papo(tokens, perception, entropy):
    own, masked = (torch.tensor([pair[i] for pair in tokens]) for i in range(2))
    method, log_probs = build("papo", perception=perception, entropy=entropy), own.clone().requires_grad_()
    losses = method.added_loss(log_probs, {"perturbed_log_probs": masked})
    losses.sum().backward()
    expected = literal.papo(own.double().tolist(), masked.double().tolist(), perception, entropy)
    np.testing.assert_allclose(losses.detach(), [loss for loss, _ in expected], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(log_probs.grad, [slope for _, slope in expected], rtol=1e-5, atol=1e-6)
    assert losses.dtype == log_probs.dtype
    assert torch.equal(method.weights(make_batch([len(tokens)], perturbed_log_probs=masked)), torch.ones(len(tokens)))


def test_papo_s_divergence_is_that_of_the_distributions_on_the_mean():
    """Over tokens drawn from the policy; with the ratio the other way round it would be another number."""
    generator = torch.Generator().manual_seed(0)
    own, masked = (torch.randn(6, generator=generator, dtype=torch.float64).log_softmax(0) for _ in range(2))
    losses = build("papo", perception=1.0, entropy=0.0).added_loss(own, {"perturbed_log_probs": masked})
    divergence = (own.exp() * (own - masked)).sum()
    assert (own.exp() * -losses).sum().item() == pytest.approx(divergence.item())
    other = build("papo", perception=1.0, entropy=0.0).added_loss(masked, {"perturbed_log_probs": own})
    assert (own.exp() * -other).sum().item() != pytest.approx(divergence.item(), rel=0.05)


def test_what_adds_to_the_loss_is_told_from_what_does_not_and_is_not_multiplied():
    assert isinstance(build("papo", **PAPO), AddsLoss)
    assert not any(isinstance(build(name, **each), AddsLoss) for name, each in (("vppo", VPPO), ("uniform", {})))
    for first, other in ((("papo", PAPO), ("vppo", VPPO)), (("vppo", VPPO), ("papo", PAPO))):
        with pytest.raises(ValueError, match="adds to the loss cannot be multiplied with others"):
            configured({"method": first[0], "options": first[1], "also": {other[0]: other[1]}})


@given(
    BATCHES,
    st.sampled_from(["logp", "prob", "entropy"]),
    st.sampled_from(["both", "reasoning", "perception"]),
    st.sampled_from(["absolute", "signed"]),
)
def test_tor(batch, proxy, types, difference):
    nucleus, seen, blind = (packed(rows) for rows in columns(batch))
    method = build("tor", **{**TOR, "proxy": proxy, "types": types, "difference": difference})
    signals = {
        "nucleus_entropy": nucleus,
        "log_probs": -seen,
        "blank_log_probs": -blind,
        "entropy": seen,
        "blank_entropy": blind,
    }
    got = method.weights(make_batch([len(row) for row in batch], **{name: signals[name] for name in method.needs}))
    pairs = list(zip(seen.tolist(), blind.tolist(), strict=True))
    # The log-probabilities are -a and -b; of entropies the lower one is the surer.
    added = [np.exp(-a) - np.exp(-b) if proxy == "prob" else b - a for a, b in pairs]
    sensitivity = [abs(each) for each in added] if difference == "absolute" else added
    options = {name: value for name, value in TOR.items() if name not in ("proxy", "types")}
    np.testing.assert_allclose(got, literal.tor(nucleus.tolist(), sensitivity, types=types, **options), atol=1e-6)


def test_tor_asks_for_no_signal_that_it_does_not_use():
    assert build("tor", **{**TOR, "types": "reasoning"}).needs == {"nucleus_entropy"}
    assert build("tor", **{**TOR, "types": "perception"}).needs == {"log_probs", "blank_log_probs"}
    assert build("tor", **{**TOR, "proxy": "entropy"}).needs == {"nucleus_entropy", "entropy", "blank_entropy"}


def test_vppo_scales_have_mean_one():
    generator = torch.Generator().manual_seed(0)
    lengths = [5, 9, 3, 14]
    seen, blind = (-torch.rand(sum(lengths), generator=generator) for _ in range(2))
    method = build("vppo", keep=1.0, scale_min=0.9)
    weights = method.weights(make_batch(lengths, log_probs=seen, perturbed_log_probs=blind))
    scales = torch.stack([part[0] for part in weights.split(lengths)])
    assert scales.mean().item() == pytest.approx(1.0)
    assert scales.min().item() == pytest.approx(0.9)


def test_a_product_multiplies_and_needs_what_its_parts_need():
    product = configured({"method": "ft_rl", "options": FT_RL, "also": {"vppo": VPPO}})
    assert product.needs == {"entropy", "log_probs", "perturbed_log_probs"}
    generator = torch.Generator().manual_seed(0)
    signals = {name: -torch.rand(20, generator=generator) for name in product.needs}
    batch = make_batch([8, 12], **signals)
    expected = build("ft_rl", **FT_RL).weights(batch) * build("vppo", **VPPO).weights(batch)
    assert torch.equal(product.weights(batch), expected)


@pytest.mark.parametrize("also", [None, {}])
def test_one_method_alone_is_itself(also):
    assert configured({"method": "ft_rl", "options": FT_RL, "also": also}) == build("ft_rl", **FT_RL)


def test_a_nucleus_of_one_token_has_no_entropy_at_all():
    """Not even a rounding error: ToR would rank such tokens, most of a batch, by it."""
    logits = torch.randn(500, 40, generator=torch.Generator().manual_seed(0))
    logits[:, 7] += 12.0
    assert (logits.softmax(-1).max(-1).values > 0.96).all()
    assert nucleus_entropy(logits, 0.95).count_nonzero() == 0


@given(st.lists(st.floats(-8, 8), min_size=1, max_size=12), st.sampled_from([0.05, 0.5, 0.9, 0.95]))
def test_nucleus_entropy(logits, p):
    exact = torch.tensor([logits])
    expected = literal.nucleus_entropy(exact[0].double().tolist(), p)
    got = nucleus_entropy(exact, p).item()
    # Where the mass before a token equals p to rounding, either nucleus is right.
    near = [literal.nucleus_entropy(exact[0].double().tolist(), q) for q in (p - 1e-6, p + 1e-6)]
    assert min(abs(got - value) for value in (expected, *near)) < 2e-5


def test_the_whole_nucleus_is_the_entropy():
    logits = torch.randn(7, 50, generator=torch.Generator().manual_seed(0))
    expected = torch.distributions.Categorical(logits=logits).entropy()
    torch.testing.assert_close(nucleus_entropy(logits, 1.0), expected)


def sorted_nucleus_entropy(logits, p):
    """The definition on the whole sorted row; in float32, since the last bit decides where a nucleus ends."""
    ordered = logits.float().log_softmax(-1).sort(-1, descending=True).values.exp()
    kept = ordered.masked_fill(ordered.cumsum(-1) - ordered >= p, 0.0)
    return torch.special.entr(kept / kept.sum(-1, keepdim=True)).sum(-1)


@pytest.mark.parametrize("p", [0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0, 8.0])
def test_small_and_large_nuclei_are_those_of_a_sorted_row(spread, p):
    """Of 5,000 tokens: from one to nearly all of them."""
    logits = spread * torch.randn(64, 5000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(nucleus_entropy(logits, p), sorted_nucleus_entropy(logits, p), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_of_tokens_as_probable_as_the_last_as_many_count_as_are_needed(dtype):
    """Far more of them are alike than are looked at first: 3 x 0.2 and 4,000 x 0.0001."""
    logits = torch.full((2, 4003), 0.0001).log()
    logits[:, ::2000][:, :3] = torch.tensor(0.2).log()
    entropy = nucleus_entropy(logits.to(dtype), 0.8)
    torch.testing.assert_close(entropy, sorted_nucleus_entropy(logits.to(dtype), 0.8), atol=1e-6, rtol=1e-6)
    kept = torch.tensor([0.2 / 0.8] * 3 + [0.0001 / 0.8] * 2000)
    if dtype == torch.float32:
        torch.testing.assert_close(entropy, torch.special.entr(kept).sum().expand(2), atol=1e-3, rtol=0)


def test_logits_are_left_as_they_are():
    logits = torch.randn(7, 50, generator=torch.Generator().manual_seed(0))
    before = logits.clone()
    nucleus_entropy(logits, 0.9, temperature=2.0)
    assert torch.equal(logits, before)


def test_rows_are_taken_some_at_a_time(monkeypatch):
    logits = torch.randn(7, 50, generator=torch.Generator().manual_seed(0))
    whole = nucleus_entropy(logits, 0.9)
    monkeypatch.setitem(entropy._AT_ONCE, "cpu", 120)
    assert torch.equal(nucleus_entropy(logits, 0.9), whole)
    assert nucleus_entropy(torch.zeros(0, 50), 0.9).shape == (0,)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ft_rl", {**FT_RL, "keep": 0.0}, "keep must lie"),
        ("ft_rl", {**FT_RL, "scope": "token"}, "unknown scope 'token'"),
        ("vppo", {**VPPO, "keep": 1.5}, "keep must lie"),
        ("vppo", {**VPPO, "scale_min": -1}, "scale_min must lie"),
        ("papo", {**PAPO, "perception": -0.1}, "perception must be a finite number of at least 0"),
        ("papo", {**PAPO, "entropy": float("nan")}, "entropy must be a finite number of at least 0"),
        ("tor", {**TOR, "reasoning_share": 0}, "reasoning_share must lie"),
        ("tor", {**TOR, "proxy": "kl"}, "unknown proxy 'kl'; choose one of logp, prob, entropy"),
        ("tor", {**TOR, "types": "all"}, "unknown types 'all'"),
    ],
)
def test_options_outside_their_range_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        build(name, **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [("ft_rl", FT_RL), ("ft_rl", {**FT_RL, "scope": "response"}), ("vppo", VPPO), ("tor", TOR)],
)
def test_weights_do_not_depend_on_how_a_batch_was_dealt_out_to_ranks(name, options):
    """Signals come back in the order in which responses were balanced over the ranks."""
    generator = torch.Generator().manual_seed(0)
    lengths, method = [5, 9, 1, 14, 3, 8], build(name, **options)
    signals = {signal: -torch.rand(sum(lengths), generator=generator) for signal in sorted(method.needs)}
    whole = method.weights(make_batch(lengths, **signals)).split(lengths)
    for order in ([3, 0, 5, 1, 4, 2], [5, 4, 3, 2, 1, 0]):
        dealt = {signal: torch.cat([values.split(lengths)[i] for i in order]) for signal, values in signals.items()}
        found = method.weights(make_batch([lengths[i] for i in order], **dealt)).split([lengths[i] for i in order])
        for i, weights in zip(order, found, strict=True):
            torch.testing.assert_close(weights, whole[i], atol=1e-6, rtol=0)
