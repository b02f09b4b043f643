"""What alpha sees in a checkpoint, without training: which heads read, and which paragraph alpha is highest in.

Two measurements of the same responses.  Where a response is about to state a digit that it reads, a head that reads
attends to the visual token in which that digit stands.  And with the true image, a blank and a wrong one: how often the
paragraph that reads has the highest alpha, for every statistic, layer and head.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import one_hot

from kawhi.credit.alignment import Statistic, attends
from kawhi.credit.readings import Kind
from kawhi.credit.segments import segment_response
from kawhi.models.inspection import Inspector, Look
from kawhi.models.seen import seen_by_model
from kawhi.probes.grounding import blank_like, paragraph_means
from kawhi.probes.reads import kinds_of
from kawhi.regions.selectors import select_tokens
from kawhi.regions.sguf import sguf

STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
IMAGES = ("true_image", "blank", "wrong_image")


@dataclass(frozen=True)
class Subject:
    """A problem, and what is known of it.

    Attributes:
        source: of its data.
        response: ``(T,)`` token ids.
        right: index of a response token that is a digit read off the image -> the visual tokens in which it stands.
    """

    index: int
    image: Image.Image
    question: str
    source: str
    response: Tensor
    right: Mapping[int, frozenset[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """What was seen of one response.

    Attributes:
        kinds: of its ``M`` paragraphs.
        known: whether those are known, or told by their form.
        alpha: ``(images, layers, statistics, M, heads)``, equation 14 of each head by itself.
        on_right: ``(digits, layers, heads)`` attention on the right visual tokens, as a share of that on all visual
            tokens.
        hits: ``(digits, layers, heads)`` whether a right token has more attention than any other visual one.
        chance: ``(digits,)`` share of the visual tokens that are right.
        largest: ``(2, digits, layers, heads)`` the largest attention on one visual token where any digit is said, with
            the true image and with the blank one.
    """

    kinds: list[Kind]
    known: bool
    alpha: NDArray[np.float64]
    on_right: NDArray[np.float32]
    hits: NDArray[np.bool_]
    chance: NDArray[np.float32]
    largest: NDArray[np.float32]


def watch(inspector: Inspector, subjects: Sequence[Subject]) -> Iterator[Seen]:
    """Every response with its true image, a blank one, and the next subject's."""
    for number, subject in enumerate(subjects):
        other = subjects[(number + 1) % len(subjects)].image.resize(subject.image.size)
        yield _watch_one(inspector, subject, other)


def _watch_one(inspector: Inspector, subject: Subject, other: Image.Image) -> Seen:
    response = subject.response
    region_map = sguf(seen_by_model(subject.image, inspector.processor.image_processor), inspector.token_pixels)
    selected = select_tokens(region_map, "sguf", seed=subject.index)
    segments = segment_response(response, inspector.tokenizer, "paragraph")
    kinds, known = kinds_of(subject.source, inspector.tokenizer.decode(response, skip_special_tokens=True))
    digits = _digits(inspector, response)
    # A digit is predicted by the state before it; that of a first token belongs to the prompt.
    right = {index: its for index, its in subject.right.items() if index}
    predicting = [index - 1 for index in (*right, *digits)]
    alphas, attention = [], []
    for image in (subject.image, blank_like(subject.image), other):
        looks = inspector.looks(inspector.prompt(image, subject.question), response, range(inspector.layers))
        found = [_of_layer(look, selected, segments, predicting) for look in looks.values()]
        alphas.append(np.stack([alpha for alpha, _ in found]))
        attention.append(torch.stack([shares for _, shares in found]))  # (layers, heads, predicting, N)
    where = _places([*right.values()], attention[0].shape[-1])
    true, blank = (each.split([len(right), len(digits)], dim=2) for each in attention[:2])
    reading = true[0]
    return Seen(
        kinds,
        known,
        np.stack(alphas),
        _numpy((reading * where).sum(dim=-1) / reading.sum(dim=-1)),
        _numpy((where * one_hot(reading.argmax(dim=-1), where.shape[1])).any(dim=-1)),
        where.float().mean(dim=-1).numpy(),
        np.stack([_numpy(each[1].amax(dim=-1)) for each in (true, blank)]),
    )


def _places(right: Sequence[frozenset[int]], tokens: int) -> Tensor:
    """``(digits, tokens)`` bool, where each digit stands."""
    where = torch.zeros(len(right), tokens, dtype=torch.bool)
    for row, its in enumerate(right):
        where[row, sorted(its)] = True
    return where


def _numpy(found: Tensor) -> NDArray[Any]:
    """``(digits, layers, heads)`` of ``(layers, heads, digits)``."""
    return found.permute(2, 0, 1).numpy()


def _of_layer(
    look: Look, selected: NDArray[np.int64], segments: Tensor, predicting: Sequence[int]
) -> tuple[NDArray[np.float64], Tensor]:
    """``(statistics, M, heads)`` alpha of each head by itself, and ``(heads, predicting, N)`` attention."""
    every, attention = replace(look, options=replace(look.options, heads=None)), look.attention()
    shares = attention[..., selected]
    made = {"attention_mass": shares.sum(dim=-1).T, "max_attention": shares.amax(dim=-1).T}
    alphas = [
        made[statistic] if attends(statistic) else every.making(statistic).head_alpha(selected)
        for statistic in STATISTICS
    ]
    means = [np.stack([paragraph_means(head, segments).numpy() for head in alpha.T], axis=1) for alpha in alphas]
    return np.stack(means), attention[:, list(predicting)]


def _digits(inspector: Inspector, response: Tensor) -> list[int]:
    """Where a response states a digit that is not its first token."""
    texts = [inspector.tokenizer.decode([token]) for token in response.tolist()]
    return [index for index, text in enumerate(texts) if index and any(map(str.isdecimal, text))]
