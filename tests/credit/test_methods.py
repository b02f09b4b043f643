"""The registry, and the two methods on a packed batch."""

from __future__ import annotations

import pytest
import torch

from kawhi.credit.methods import METHODS, ResponseBatch, build, register, weights_of
from kawhi.credit.segments import segment_response
from kawhi.credit.weights import paragraph_weights

OPTIONS = {"w_min": 0.1, "w_max": 1.0, "temperature": 0.1, "smoothing": 0.1, "normalize": "paper"}
TEXTS = ("We need x.\n\nSo it is 3.\n\nAnswer", "One paragraph. Two sentences.", "First.\n\nSecond.")


@pytest.fixture
def batch(tokenizer) -> ResponseBatch:
    ids = [torch.tensor([*tokenizer(text)["input_ids"], tokenizer.eos_token_id]) for text in TEXTS]
    offsets = torch.tensor([0, *(len(x) for x in ids)]).cumsum(0)
    alpha = torch.rand(int(offsets[-1]), generator=torch.Generator().manual_seed(0))
    return ResponseBatch(torch.cat(ids), offsets, {"alignment": alpha}, tokenizer)


@pytest.mark.parametrize("granularity", ["paragraph", "sentence", "token"])
@pytest.mark.parametrize("normalize", ["paper", "mean_one", "constant"])
def test_kawhi_weighs_each_response_by_itself(batch, granularity, normalize):
    options = OPTIONS | {"normalize": normalize}
    weights = build("kawhi", granularity=granularity, **options).weights(batch)
    assert weights.shape == batch.token_ids.shape
    for start, end in zip(batch.offsets[:-1], batch.offsets[1:], strict=True):
        segments = segment_response(batch.token_ids[start:end], batch.tokenizer, granularity)
        alone = paragraph_weights(batch.signals["alignment"][start:end], segments, **options)
        torch.testing.assert_close(weights[start:end], alone)


def test_kawhi_gives_a_paragraph_one_weight_and_a_single_paragraph_the_whole(batch):
    weights = build("kawhi", granularity="paragraph", **OPTIONS).weights(batch)
    counts = [len(weights[a:b].unique()) for a, b in zip(batch.offsets[:-1], batch.offsets[1:], strict=True)]
    assert counts == [3, 1, 2]
    torch.testing.assert_close(weights[batch.offsets[1] : batch.offsets[2]].unique(), torch.ones(1))


def test_uniform_is_exactly_one_and_needs_nothing(batch):
    method = build("uniform")
    assert method.needs == frozenset()
    weights = method.weights(ResponseBatch(batch.token_ids, batch.offsets, {}, None))
    assert weights.shape == batch.token_ids.shape
    assert (weights == 1.0).all()


def test_kawhi_needs_the_alignment(batch):
    method = build("kawhi", granularity="paragraph", **OPTIONS)
    assert method.needs == {"alignment"}
    with pytest.raises(KeyError, match="alignment"):
        method.weights(ResponseBatch(batch.token_ids, batch.offsets, {}, batch.tokenizer))


def test_bad_options_are_refused(batch):
    with pytest.raises(ValueError, match=r"unknown credit method 'vpo'; known: .*kawhi.*uniform"):
        build("vpo")
    with pytest.raises(
        TypeError, match="there is no option colour; it has none: options are the fields of a dataclass"
    ):
        build("uniform", colour=1)
    with pytest.raises(TypeError, match="there is no option keap; it has keep"):
        build("ft_rl", keap=0.2)
    with pytest.raises(TypeError, match="granularity"):  # every option is given by the configuration, none is implied
        build("kawhi", **OPTIONS)
    with pytest.raises(ValueError, match="unknown granularity 'word'"):
        build("kawhi", granularity="word", **OPTIONS).weights(batch)


def test_a_name_is_registered_once(monkeypatch):
    monkeypatch.setattr("kawhi.credit.methods.base.METHODS", dict(METHODS))

    class Half:
        needs = frozenset()

    assert register("half")(Half) is Half
    assert isinstance(build("half"), Half)
    with pytest.raises(ValueError, match="a credit method named 'half' is already registered"):
        register("half")(Half)


def test_a_method_without_needs_is_refused(monkeypatch):
    monkeypatch.setattr("kawhi.credit.methods.base.METHODS", dict(METHODS))
    for name, needs in (("none", {}), ("text", {"needs": "alignment"})):
        register(name)(type(name, (), needs))
        with pytest.raises(TypeError, match="its `needs` must be the set of signals that it takes"):
            build(name)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (None, "Method returned NoneType for weights, which are a tensor"),
        (torch.ones(5, 1), r"Method returned weights of shape \(5, 1\), and a token of a response needs one: \(5,\)"),
        (torch.tensor([1, torch.nan, 1, torch.inf, 1]), "Method returned weights of which 2 of 5 are not finite"),
    ],
)
def test_weights_that_nobody_can_use_are_refused(weights, said):
    class Method:
        needs = frozenset()

        def weights(self, batch):
            return weights

    with pytest.raises(RuntimeError, match=said):
        weights_of(Method(), ResponseBatch(torch.zeros(5), torch.tensor([0, 5]), {}, None))
