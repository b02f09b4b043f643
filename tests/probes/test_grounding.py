"""The grounding controls: only what a condition names changes, and comparisons are what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import spearmanr

from kawhi import paragraph_weights
from kawhi.base.checkout import resolve_package_paths
from kawhi.models.inspection import Inspector
from kawhi.probes.grounding import (
    CONDITIONS,
    background_tokens,
    blank_like,
    compare,
    look_under,
    paragraph_means,
)
from kawhi.tiny.architectures import FAMILIES
from kawhi.tiny.world import problems

SELECTED, BACKGROUND = [0, 7, 8, 14], [3, 4, 5]


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def scene(request):
    stream, size = problems("heldout", 3), FAMILIES[request.param].image_size
    first, second = next(stream), next(stream)
    inspector = Inspector(resolve_package_paths(f"pkg://kawhi.tiny/checkpoints/{request.param}"))
    image = first.drawing.render(size)
    response = inspector.tokenizer(first.worked).input_ids
    return inspector, image, first.question, response, second.drawing.render(size)


def under(scene, condition, **changed):
    inspector, image, question, response, other = scene
    options = {"selected": SELECTED, "background": BACKGROUND, "other_image": other, **changed}
    return look_under(inspector, image, question, response, condition, **options)


@pytest.mark.parametrize(
    ("condition", "is_other", "tokens"),
    [("true_image", False, SELECTED), ("wrong_image", True, SELECTED), ("background_only", False, BACKGROUND)],
)
def test_a_condition_changes_what_it_names_and_nothing_else(scene, condition, is_other, tokens):
    """With the true image all is as training sees it."""
    inspector, image, question, response, other = scene
    look = inspector.look(inspector.prompt(other if is_other else image, question), response)
    alpha, log_prob = under(scene, condition)
    assert torch.equal(alpha, look.alpha(tokens))
    assert torch.equal(log_prob, look.log_probs)


def test_blank_depends_on_the_mean_colour_alone(scene):
    inspector, image, question, response, _ = scene
    flipped = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert torch.equal(under(scene, "blank")[0], under((inspector, flipped, question, response, None), "blank")[0])
    assert not torch.equal(under(scene, "blank")[0], under(scene, "true_image")[0])


@pytest.mark.parametrize("condition", CONDITIONS)
def test_one_number_per_token(scene, condition):
    alpha, log_prob = under(scene, condition)
    assert alpha.shape == log_prob.shape == (len(scene[3]),)
    assert bool(((alpha >= -1) & (alpha <= 1) & (log_prob <= 0)).all())


def test_no_background_gives_alpha_0(scene):
    alpha, _ = under(scene, "background_only", background=[])
    assert not alpha.any()


def test_mistakes_are_told(scene):
    with pytest.raises(ValueError, match="choose one of true_image, blank, wrong_image, background_only"):
        under(scene, "no image")
    with pytest.raises(ValueError, match="there is no other image"):
        under(scene, "wrong_image", other_image=None)
    with pytest.raises(ValueError, match=r"there is one of \(28, 28\)"):
        under(scene, "wrong_image", other_image=Image.new("RGB", (28, 28)))


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_blank_like_keeps_size_and_mean(mode):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).convert(mode)
    blank = np.asarray(blank_like(image))
    assert blank.shape == (20, 30, 3)
    assert len(np.unique(blank.reshape(-1, 3), axis=0)) == 1
    np.testing.assert_allclose(blank[0, 0], np.asarray(image.convert("RGB")).mean(axis=(0, 1)), atol=0.5)


def test_background_tokens_are_row_major():
    key = np.array([[True, False, True], [False, False, True]])
    assert background_tokens(key).tolist() == [1, 3, 4]


alphas = st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=8)


@given(here=alphas, data=st.data())
def test_order_is_spearman_s(here, data):
    there = data.draw(st.lists(st.floats(-1, 1, width=32), min_size=len(here), max_size=len(here)))
    segments = torch.arange(len(here))
    got = compare(torch.tensor(here), torch.tensor(there), torch.zeros(len(here)), segments)
    assert got.order is not None
    if len(set(here)) == 1 or len(set(there)) == 1:
        assert got.order == 0
    else:
        assert got.order == pytest.approx(spearmanr(here, there).statistic, abs=1e-9)


def test_one_paragraph_has_no_order():
    alpha = torch.tensor([0.1, 0.3])
    got = compare(alpha, -alpha, torch.tensor([-1.0, -3.0]), torch.tensor([0, 0]))
    assert got.order is None
    assert got.same_top
    assert got.weight_shift == 0
    assert got.alpha == pytest.approx(0.2)
    assert got.log_prob == -2


def test_the_paragraph_on_top_reads_or_not():
    alpha, segments = torch.tensor([0.1, 0.3, 0.2, 0.2, 0.1]), torch.tensor([0, 0, 1, 1, 2])
    for reads, expected in (([True, False, False], True), ([False, False, True], False), ([True, False, True], True)):
        got = compare(alpha, alpha, alpha, segments, reads)
        assert (got.reading_on_top, got.chance) == (expected, pytest.approx(sum(reads) / 3))
    got = compare(alpha, alpha, alpha, segments)
    assert (got.reading_on_top, got.chance) == (None, None)


def test_alpha_is_a_mean_of_paragraph_means():
    alpha, segments = torch.tensor([0.0, 0.0, 0.0, 0.4]), torch.tensor([0, 0, 0, 1])
    assert paragraph_means(alpha, segments).tolist() == pytest.approx([0, 0.4])
    assert compare(alpha, alpha, alpha, segments).alpha == pytest.approx(0.2)


def test_weight_shift_is_per_token_and_takes_the_options_of_the_weights():
    here, there = torch.tensor([0.5, 0.0, 0.0]), torch.tensor([0.0, 0.5, 0.5])
    segments = torch.tensor([0, 1, 1])
    options = {"temperature": 0.2, "w_max": 0.9}
    got = compare(here, there, here, segments, **options)
    change = paragraph_weights(here, segments, **options) - paragraph_weights(there, segments, **options)
    assert got.weight_shift == pytest.approx(change.abs().mean().item())
    assert not got.same_top
    assert got.order == -1
