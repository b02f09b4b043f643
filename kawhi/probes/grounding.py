"""Does alpha depend on what the image shows?  The same response, read again beside something else.

A response is fixed and the model reads it under four conditions.  Were alpha a measure of looking, the order of the
paragraphs would change where there is nothing to look at, or something else:

``true_image``
    As in training: the image, and the visual tokens selected on it.
``blank``
    A uniform image of the same size in the true image's mean colour; alpha at the positions selected on the true image,
    so that only the pixels change.
``wrong_image``
    Another problem's image of the same size; the same positions.  A model reads it, too: what alpha makes of reading
    stays, so that ``blank``, where there is nothing to read, is the null.
``background_only``
    The true image, but alpha with the tokens outside its key regions alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import rankdata
from torch import Tensor

from kawhi.credit.weights import paragraph_weights
from kawhi.models.inspection import Inspector
from kawhi.pictures.rgb import picture

Condition = Literal["true_image", "blank", "wrong_image", "background_only"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)


@dataclass(frozen=True)
class Comparison:
    """A response under one condition, beside the same response with its true image.

    Attributes:
        alpha: mean over paragraphs of their mean alpha.
        order: Spearman's rank correlation of the paragraphs' alphas with those of the true image; 0 where one of the
            two has no order (all equal), None for fewer than two paragraphs.
        same_top: whether the paragraph with the highest alpha is the same.
        weight_shift: mean over tokens of the absolute change of the weight, equation 15.
        log_prob: mean log-probability per response token.
        reading_on_top: whether the paragraph with the highest alpha is one that reads the image; None where it is not
            known which do.
        chance: of that, were any paragraph as likely to be on top.
    """

    alpha: float
    order: float | None
    same_top: bool
    weight_shift: float
    log_prob: float
    reading_on_top: bool | None = None
    chance: float | None = None


def blank_like(image: Image.Image) -> Image.Image:
    """A uniform RGB image of the same size in the mean colour."""
    seen = picture(image)
    mean = np.asarray(seen, dtype=np.float64).mean(axis=(0, 1))
    red, green, blue = (int(channel) for channel in np.rint(mean))
    return Image.new("RGB", seen.size, (red, green, blue))


def background_tokens(key_tokens: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Row-major indices of all tokens outside the key regions, from :attr:`kawhi.RegionMap.key_tokens` ``(gh, gw)``."""
    return np.flatnonzero(~key_tokens)


def look_under(
    inspector: Inspector,
    image: Image.Image,
    question: str,
    response: Sequence[int] | Tensor,
    condition: Condition,
    *,
    selected: Sequence[int] | NDArray[np.int64] | Tensor,
    background: Sequence[int] | NDArray[np.int64] | Tensor,
    other_image: Image.Image | None = None,
) -> tuple[Tensor, Tensor]:
    """One forward pass over the prompt and a fixed response under one condition.

    Args:
        response: ``(T,)`` token ids, the end token included.
        selected: visual tokens selected on the true image.
        background: visual tokens outside the key regions of the true image; see :func:`background_tokens`.
        other_image: the wrong image, as large as the true one; only ``wrong_image`` needs it.

    Returns:
        ``(T,)`` alpha of equation 13 and ``(T,)`` log-probabilities, float32 on the CPU.  Alpha is 0 where the
        condition leaves no visual tokens.

    Raises:
        ValueError: an unknown condition, or a wrong image that is missing or of another size.
    """
    if condition not in CONDITIONS:
        raise ValueError(f"unknown condition {condition!r}; choose one of {', '.join(CONDITIONS)}")
    shown = image
    if condition == "blank":
        shown = blank_like(image)
    elif condition == "wrong_image":
        if other_image is None or other_image.size != image.size:
            has = "no other image" if other_image is None else f"one of {other_image.size}"
            raise ValueError(f"the wrong image must have the true image's size {image.size}; there is {has}")
        shown = other_image
    look = inspector.look(inspector.prompt(shown, question), response)
    return look.alpha(background if condition == "background_only" else selected), look.log_probs


def paragraph_means(alpha: Tensor, segments: Tensor) -> Tensor:
    """``(M,)`` float64 mean alpha of each paragraph, equation 14, from ``(T,)`` alpha and paragraph indices."""
    total = torch.zeros(int(segments.max()) + 1, dtype=torch.float64).index_add_(0, segments, alpha.double())
    return total / torch.bincount(segments)


def compare(
    alpha: Tensor,
    true_alpha: Tensor,
    log_prob: Tensor,
    segments: Tensor,
    reads: Sequence[bool] | None = None,
    **weight_options: Any,
) -> Comparison:
    """What a condition changes.

    Args:
        alpha: ``(T,)`` under the condition.
        true_alpha: ``(T,)`` of the same tokens under ``true_image``.
        log_prob: ``(T,)`` under the condition.
        segments: ``(T,)`` paragraph indices of :func:`kawhi.segment_response`.
        reads: ``(M,)`` which paragraphs read the image, where that is known.
        weight_options: of :func:`kawhi.paragraph_weights`.
    """
    here, there = paragraph_means(alpha, segments), paragraph_means(true_alpha, segments)
    shift = paragraph_weights(alpha, segments, **weight_options)
    shift = shift - paragraph_weights(true_alpha, segments, **weight_options)
    return Comparison(
        alpha=here.mean().item(),
        order=_rank_correlation(here.numpy(), there.numpy()),
        same_top=bool(here.argmax() == there.argmax()),
        weight_shift=shift.abs().mean().item(),
        log_prob=log_prob.double().mean().item(),
        reading_on_top=None if reads is None else reads[int(here.argmax())],
        chance=None if reads is None else sum(reads) / len(reads),
    )


def _rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    if len(first) < 2:
        return None
    a, b = (ranks - ranks.mean() for ranks in (rankdata(first), rankdata(second)))
    # Ranks are halves, so these sums are exact, and equal orders give exactly 1.
    length = math.sqrt((a @ a) * (b @ b))
    return float(a @ b / length) if length else 0.0
