"""Equations 14-15 against their literal form, and what must hold for every response."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kawhi.credit.weights import NORMALIZATIONS, packed_paragraph_weights, paragraph_weights
from tests.reference.weights import batch_weights
from tests.reference.weights import paragraph_weights as literal_weights

OPTIONS = st.fixed_dictionaries(
    {
        "w_min": st.floats(0, 0.5),
        "w_max": st.floats(0.5, 2),
        "temperature": st.floats(0.02, 5),
        "smoothing": st.floats(0, 1),
    }
)
DEFAULTS = {"w_min": 0.1, "w_max": 1.0, "temperature": 0.1, "smoothing": 0.1, "normalize": "paper"}


@st.composite
def responses(draw, min_paragraphs: int = 1, max_paragraphs: int = 5) -> tuple[list[float], list[int]]:
    """alpha and segments of one response: in order as segmentation makes them, or in any order and with gaps."""
    lengths = draw(st.lists(st.integers(1, 4), min_size=min_paragraphs, max_size=max_paragraphs))
    segments = [j for j, length in enumerate(lengths) for _ in range(length)]
    if draw(st.booleans()):
        names = draw(st.lists(st.integers(0, 40), min_size=len(lengths), max_size=len(lengths), unique=True))
        segments = draw(st.permutations([names[j] for j in segments]))
    alpha = draw(st.lists(st.floats(-1, 1, width=32), min_size=len(segments), max_size=len(segments)))
    return alpha, segments


EMPTY: tuple[list[float], list[int]] = ([], [])
BATCHES = st.lists(responses() | st.just(EMPTY), min_size=1, max_size=6)


def weigh(response, **options) -> torch.Tensor:
    alpha, segments = response
    return paragraph_weights(torch.tensor(alpha), torch.tensor(segments), **options)


def pack(batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    alpha = torch.tensor([a for response in batch for a in response[0]], dtype=torch.float32)
    segments = torch.tensor([s for response in batch for s in response[1]], dtype=torch.int64)
    offsets = torch.tensor([0, *(len(response[0]) for response in batch)]).cumsum(0)
    return alpha, segments, offsets


@given(responses(), OPTIONS, st.sampled_from(NORMALIZATIONS))
def test_equals_the_equations(response, options, normalize):
    weights = weigh(response, **options, normalize=normalize)
    assert weights.dtype == torch.float32
    expected = batch_weights([response], **options, normalize=normalize)
    np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-6, atol=1e-6)


@given(BATCHES, OPTIONS, st.sampled_from(NORMALIZATIONS))
def test_a_pack_equals_the_equations(batch, options, normalize):
    weights = packed_paragraph_weights(*pack(batch), **options, normalize=normalize)
    assert weights.dtype == torch.float32
    expected = batch_weights(batch, **options, normalize=normalize)
    np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-6, atol=1e-6)


def test_the_defaults_are_the_papers():
    response = ([0.2, 0.1, 0.05, 0.3], [0, 0, 1, 2])
    np.testing.assert_allclose(weigh(response).numpy(), literal_weights(*response, **DEFAULTS), atol=1e-6)


@given(responses(), OPTIONS, st.sampled_from(["paper", "constant"]))
def test_range_and_mean_over_paragraphs(response, options, normalize):
    weights = weigh(response, **options, normalize=normalize)
    w_min, w_max = options["w_min"], options["w_max"]
    assert weights.min() >= w_min - 1e-6
    assert weights.max() <= w_max + 1e-6
    segments = torch.tensor(response[1])
    of_paragraph = [weights[segments == j] for j in segments.unique()]
    assert all((w == w[0]).all() for w in of_paragraph)
    mean = sum(float(w[0]) for w in of_paragraph) / len(of_paragraph)
    assert mean == pytest.approx(w_min + (w_max - w_min) / len(of_paragraph), abs=1e-5)


@given(st.lists(responses(), min_size=1, max_size=4), st.sampled_from(NORMALIZATIONS), OPTIONS)
def test_equal_bounds_of_one_give_exactly_one(batch, normalize, options):
    options |= {"w_min": 1.0, "w_max": 1.0}
    weights = packed_paragraph_weights(*pack(batch), **options, normalize=normalize)
    assert (weights == 1.0).all()


@given(responses(), OPTIONS)
def test_mean_one_has_mean_one_over_tokens_and_the_papers_proportions(response, options):
    # All weights positive, so that the proportions are defined.
    options |= {"w_min": options["w_min"] + 0.01, "w_max": options["w_max"] + 0.01}
    paper, scaled = weigh(response, **options), weigh(response, **options, normalize="mean_one")
    assert scaled.mean().item() == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(scaled / scaled[0], paper / paper[0], rtol=1e-4, atol=1e-5)


@given(BATCHES, OPTIONS)
def test_a_batch_is_scaled_as_a_whole_and_keeps_the_papers_proportions(batch, options):
    # All weights positive, so that the proportions are defined.
    options |= {"w_min": options["w_min"] + 0.01, "w_max": options["w_max"] + 0.01}
    paper, scaled, constant = (
        packed_paragraph_weights(*pack(batch), **options, normalize=normalize)
        for normalize in ("paper", "batch_mean_one", "batch_constant")
    )
    if len(paper):
        assert scaled.mean().item() == pytest.approx(1.0, abs=1e-5)
        torch.testing.assert_close(scaled / scaled[0], paper / paper[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(constant, torch.full_like(paper, paper.mean().item()), rtol=1e-4, atol=1e-6)


@given(responses(min_paragraphs=2), OPTIONS)
def test_a_better_aligned_paragraph_never_weighs_less(response, options):
    alpha, segments = (torch.tensor(x) for x in response)
    weights = weigh(response, **options)
    means = [(alpha[segments == j].mean().item(), weights[segments == j][0].item()) for j in segments.unique()]
    for (low, low_weight), (high, high_weight) in zip(sorted(means)[:-1], sorted(means)[1:], strict=True):
        assert high >= low
        assert high_weight >= low_weight - 1e-5


@given(responses(min_paragraphs=2), st.floats(0.01, 0.5), st.sampled_from(["paper", "mean_one"]), st.data())
def test_raising_the_alignment_of_a_paragraph_raises_its_weight(response, rise, normalize, data):
    alpha, segments = torch.tensor(response[0]), torch.tensor(response[1])
    chosen = segments == data.draw(st.sampled_from(sorted(set(response[1]))))
    before = paragraph_weights(alpha, segments, temperature=1.0, normalize=normalize)
    after = paragraph_weights(alpha + rise * chosen, segments, temperature=1.0, normalize=normalize)
    assert (after[chosen] > before[chosen]).all()
    if normalize == "paper":  # divided by a mean that falls, too, another weight may rise
        assert (after[~chosen] < before[~chosen]).all()


@given(responses(), st.floats(-5, 5), OPTIONS, st.sampled_from(NORMALIZATIONS))
def test_only_differences_of_alignment_matter(response, offset, options, normalize):
    alpha, segments = torch.tensor(response[0], dtype=torch.float64), torch.tensor(response[1])
    weights = paragraph_weights(alpha, segments, **options, normalize=normalize)
    torch.testing.assert_close(paragraph_weights(alpha + offset, segments, **options, normalize=normalize), weights)


def test_a_broken_alignment_stays_in_its_response():
    batch = [([0.1, 0.2], [0, 1]), ([0.3, float("nan")], [0, 1]), ([0.1, 0.2], [0, 1])]
    weights = packed_paragraph_weights(*pack(batch), **DEFAULTS)
    assert weights.isnan().tolist() == [False, False, True, True, False, False]
    torch.testing.assert_close(weights[:2], weigh(batch[0]))
    torch.testing.assert_close(weights[4:], weigh(batch[0]))


def test_takes_arrays_and_every_float_type():
    alpha, segments = np.array([0.5, -0.25, 0.125]), np.array([0, 1, 1])
    expected = literal_weights(alpha.tolist(), segments.tolist(), **DEFAULTS)
    for given_alpha in (alpha, alpha.astype(np.float32), alpha.tolist(), torch.tensor(alpha).bfloat16()):
        weights = paragraph_weights(given_alpha, segments)
        assert weights.dtype == torch.float32
        np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-6)
    assert paragraph_weights(np.zeros(0), np.zeros(0, np.int64)).dtype == torch.float32


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_the_number_of_threads_changes_nothing(with_threads, normalize):
    alpha = torch.rand(120_000, generator=torch.Generator().manual_seed(0))  # enough for torch to share out
    offsets = torch.arange(0, 120_001, 40_000)
    segments = torch.arange(120_000) % 40_000 // 100
    options = DEFAULTS | {"normalize": normalize}
    one, four = with_threads((1, 4), lambda: packed_paragraph_weights(alpha, segments, offsets, **options))
    torch.testing.assert_close(four, one, rtol=1e-6, atol=0)


def test_a_low_temperature_stays_finite():
    # exp(1 / 0.001) overflows float32 unless the peak is subtracted.
    weights = weigh(([1.0, -1.0], [0, 1]), temperature=0.001, smoothing=0.0)
    np.testing.assert_allclose(weights.numpy(), [1.0, 0.1], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "need temperature > 0.* temperature=0.0"),
        ({"temperature": -1.0}, "need temperature > 0.* temperature=-1.0"),
        ({"temperature": float("nan")}, "need temperature > 0.* temperature=nan"),
        ({"smoothing": float("nan")}, "smoothing=nan"),
        ({"w_min": float("nan")}, "finite w_min <= w_max.* w_min=nan"),
        ({"w_max": float("nan")}, "finite w_min <= w_max.* w_max=nan"),
        ({"w_max": float("inf")}, "finite w_min <= w_max.* w_max=inf"),
        ({"w_min": -float("inf")}, "finite w_min <= w_max.* w_min=-inf"),
        # 0 / 0, and a mean of 0 between weights of both signs.
        ({"w_min": 0.0, "w_max": 0.0, "normalize": "mean_one"}, "mean_one divides by the mean weight"),
        ({"w_min": -1.0, "normalize": "mean_one"}, "needs w_min >= 0 and w_max > 0, got .*w_min=-1.0"),
        ({"smoothing": 1.1}, r"smoothing in \[0, 1\]"),
        ({"smoothing": -0.1}, r"smoothing=-0.1"),
        ({"w_min": 1.0, "w_max": 0.5}, r"w_min <= w_max, got .*w_min=1.0 w_max=0.5"),
        ({"normalize": "mean"}, "unknown normalize 'mean'; choose one of paper, mean_one, constant"),
    ],
)
def test_refuses_options_outside_their_range(options, message):
    with pytest.raises(ValueError, match=message):
        weigh(([0.1], [0]), **options)


def test_zero_weights_and_negative_weights_are_allowed_where_nothing_is_divided():
    assert weigh(([0.1, 0.2], [0, 1]), w_min=0.0, w_max=0.0).tolist() == [0.0, 0.0]
    np.testing.assert_allclose(weigh(([0.1, 0.1], [0, 1]), w_min=-1.0, w_max=1.0).numpy(), [0.0, 0.0], atol=1e-7)


def test_refuses_negative_paragraphs():
    # Packed, -1 of one response would be the last paragraph of the response before.
    with pytest.raises(ValueError, match="paragraph index -1 is negative"):
        packed_paragraph_weights(*pack([([0.1, 0.2], [0, 1]), ([0.3, 0.4], [-1, 0])]), **DEFAULTS)


def test_refuses_lengths_that_differ():
    with pytest.raises(ValueError, match=r"alpha \(1\), segments \(2\) and offsets \(1\) differ"):
        paragraph_weights(torch.zeros(1), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"alpha \(2\), segments \(1\) and offsets \(2\) differ"):
        paragraph_weights(torch.zeros(2), torch.zeros(1, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"offsets \(3\) differ"):
        packed_paragraph_weights(torch.zeros(2), torch.zeros(2, dtype=torch.int64), torch.tensor([0, 3]), **DEFAULTS)
