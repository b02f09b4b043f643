"""The vision encoder's output for an image is kept within a log-prob pass, and is what it is without keeping it."""

import pytest
import torch

from kawhi.models.vision_attention import VisionAttentionCapture
from kawhi.tiny.architectures import build_model
from kawhi.tiny.batching import patchify
from kawhi.verl_plugin.cpu.vision_once import encode_images_once
from tests.tiny.made import pictures


@pytest.fixture
def encoded(family, tokenizer):
    """The vision encoder of a model, one that keeps, and what the encoder itself was given to do."""
    stock = build_model(family, tokenizer, seed=3).to(torch.float32)
    model = build_model(family, tokenizer, seed=3).to(torch.float32)
    kind = type(model.model.visual)
    own = type(kind.__name__, (kind,), {"forward": kind.forward})
    model.model.visual.__class__ = own
    counts = []
    model.model.visual.patch_embed.register_forward_pre_hook(lambda module, args: counts.append(len(args[0])))
    encode_images_once(own)
    return stock.model.visual, model, counts


@pytest.fixture
def pixels(family):
    pixels, grid = patchify(pictures(family, 4), family)
    return pixels.chunk(4), grid[0].tolist()


def features(encoder, pixels, order) -> list[torch.Tensor]:
    images, grid = pixels
    output = encoder(torch.cat([images[i] for i in order]), grid_thw=torch.tensor([grid] * len(order)))
    return [output.pooler_output, *getattr(output, "deepstack_features", [])]


BATCHES = [[0, 0, 1, 0, 1], [1, 2, 2], [2, 1, 0], [3, 0, 3, 3]]


@torch.no_grad()
def test_each_image_is_encoded_once_and_comes_out_the_same(encoded, pixels):
    stock, model, counts = encoded
    for order in BATCHES:
        for wanted, found in zip(
            features(stock, pixels, order), features(model.model.visual, pixels, order), strict=True
        ):
            assert torch.equal(wanted, found)
    each = len(pixels[0][0])
    assert counts == [2 * each, each, each]


def test_a_pass_with_gradients_sees_every_copy_and_ends_what_was_kept(encoded, pixels):
    """When the copies are not seen, verl's batch no longer has one for each response."""
    stock, model, counts = encoded
    with torch.no_grad():
        features(model.model.visual, pixels, [0, 1])
    for encoder in (stock, model.model.visual):
        sum(each.square().sum() for each in features(encoder, pixels, [0, 0, 1])).backward()
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter -= 0.01 * parameter.grad
    with torch.no_grad():
        for wanted, found in zip(features(stock, pixels, [0]), features(model.model.visual, pixels, [0]), strict=True):
            assert torch.equal(wanted, found)
    each = len(pixels[0][0])
    assert counts == [2 * each, 3 * each, each]


@torch.no_grad()
def test_visionzip_sees_every_image(encoded, pixels):
    _, model, counts = encoded
    capture = VisionAttentionCapture(model)
    features(model.model.visual, pixels, [0, 0])
    capture.arm()
    features(model.model.visual, pixels, [0, 0, 1])
    assert len(capture.take()) == 3
    features(model.model.visual, pixels, [0, 0, 1])
    each = len(pixels[0][0])
    assert counts == [each, 3 * each, each]
