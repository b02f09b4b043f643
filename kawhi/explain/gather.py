"""An image, a question and responses -> the numbers of a page, computed by the code that training uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageOps
from torch import Tensor

from kawhi.credit.segments import Granularity, segment_response
from kawhi.credit.weights import paragraph_weights
from kawhi.explain.content import Control, Paragraph, Scene
from kawhi.explain.settings import Settings
from kawhi.models.inspection import Inspector, Look
from kawhi.models.seen import seen_by_model
from kawhi.pictures.rgb import picture
from kawhi.probes.grounding import CONDITIONS, Condition, background_tokens, compare, look_under, paragraph_means
from kawhi.regions.sguf import RegionMap, sguf
from kawhi.style.overlays import image_uri
from kawhi.tiny.tokenizer import VOCABULARY_SIZE
from kawhi.tiny.world import problems

_COLOURLESS, _WHITE, _NEARLY_ALL = 16, 240, 0.98  # of 255 levels, which a photograph's compression moves a little


@dataclass(frozen=True)
class Prompt:
    """What all answers of a page share.

    Attributes:
        image: 8-bit RGB; the processor may resize it.
        inputs: of the model.
        seen: ``uint8 (H, W, 3)``, the pixels that reach the model.
        selected: visual tokens that alpha is computed with.
        wrong_image: for the control, as large as ``image``.
    """

    image: Image.Image
    question: str
    inputs: dict[str, Tensor]
    seen: NDArray[np.uint8]
    region_map: RegionMap
    selected: NDArray[np.int64]
    wrong_image: Image.Image


def read_prompt(
    inspector: Inspector,
    settings: Settings,
    image: Image.Image,
    question: str,
    wrong_image: Image.Image,
    selected: Sequence[int] | None = None,
) -> Prompt:
    """Finds the regions of an image as the model sees it.

    Args:
        selected: visual tokens recorded in training, instead of a new selection.

    Raises:
        ValueError: the image cannot be processed, or the prompt has not one image token per visual token.
    """
    if inspector.processor.image_token in question:
        raise ValueError(f"the question holds {inspector.processor.image_token}, which stands for an image")
    image, wrong_image = picture(image), picture(wrong_image)
    seen = seen_by_model(image, inspector.processor.image_processor)
    region_map = sguf(seen, inspector.token_pixels, **settings.regions)
    inputs = inspector.prompt(image, question)
    placeholders = int((inputs["input_ids"] == inspector.model.config.image_token_id).sum())
    if placeholders != region_map.labels.size:
        raise ValueError(
            f"the prompt has {placeholders} image tokens and the image makes {region_map.labels.size}"
            + (": the chat template drops the image" if placeholders == 0 else "")
        )
    if selected is None:
        received = None
        if settings.strategy == "visionzip":
            received = inspector.look(inputs, [inspector.tokenizer.eos_token_id]).received.numpy()
        chosen = settings.select(region_map, received)
    else:
        chosen = np.asarray(selected, dtype=np.int64)
    return Prompt(image, question, inputs, seen, region_map, chosen, wrong_image.resize(image.size))


def scene(prompt: Prompt) -> Scene:
    """The image with its regions."""
    rows, columns = prompt.region_map.labels.shape
    return Scene(
        image=image_uri(Image.fromarray(prompt.seen)),
        width=prompt.seen.shape[1],
        height=prompt.seen.shape[0],
        rows=rows,
        columns=columns,
        labels=prompt.region_map.labels.ravel().tolist(),
        key=prompt.region_map.key_tokens.ravel().tolist(),
        kept=prompt.selected.tolist(),
    )


def encode_response(tokenizer, text: str) -> list[int]:
    """Response tokens of a text, the end token appended; what looks like a special token stays text.

    Raises:
        ValueError: nothing but white space.
    """
    if not text.strip():
        raise ValueError("the response is empty: there is nothing to look at")
    ids = tokenizer(text.strip(), add_special_tokens=False, split_special_tokens=True).input_ids
    return [*ids, tokenizer.eos_token_id]


def shown_unit(granularity: Granularity) -> Granularity:
    """What is drawn as one piece: credit per token is shown by paragraph."""
    return "paragraph" if granularity == "token" else granularity


def read_answer(
    inspector: Inspector,
    settings: Settings,
    prompt: Prompt,
    response: Sequence[int] | Tensor,
    recorded: tuple[Tensor, Tensor] | None = None,
) -> tuple[list[Paragraph], list[Control], Tensor]:
    """Everything about one response.

    Args:
        response: ``(T,)`` token ids.
        recorded: ``(T,)`` alpha and weights of training, shown instead of those computed here.

    Returns:
        Paragraphs, one control per condition, and ``(T,)`` alpha as computed here.
    """
    ids = torch.as_tensor(response, dtype=torch.long)
    look = inspector.look(prompt.inputs, ids)
    per_head = every_head(look, prompt.selected)
    alpha = per_head[:, look.heads].mean(dim=1)
    credited = segment_response(ids, inspector.tokenizer, settings.granularity)
    shown = segment_response(ids, inspector.tokenizer, shown_unit(settings.granularity))
    if recorded is None:
        recorded = alpha, paragraph_weights(alpha, credited, **settings.weights)
    heads = torch.stack([paragraph_means(head, shown) for head in per_head.T], dim=1)
    looks = look.similarity()
    heat = torch.stack([looks[shown == j].mean(dim=0) for j in range(len(heads))])
    paragraphs = [
        replace(paragraph, head_alpha=_rounded(heads[j]), heat=_rounded(heat[j]))
        for j, paragraph in enumerate(split(inspector.tokenizer, ids, shown, recorded[1], recorded[0]))
    ]
    return paragraphs, _controls(inspector, settings, prompt, ids, (look, alpha), credited, shown), alpha


def every_head(look: Look, selected: Sequence[int] | NDArray[np.int64]) -> Tensor:
    """``(T, H_q)`` alpha of all heads, whichever the options average over."""
    return replace(look, options=replace(look.options, heads=None)).head_alpha(torch.as_tensor(selected))


def split(tokenizer, ids: Tensor, segments: Tensor, weights: Tensor, alpha: Tensor | None) -> list[Paragraph]:
    """The text of each paragraph with its weight and alpha."""
    found = []
    for j in range(int(segments.max()) + 1):
        inside = segments == j
        own = weights[inside].double()
        found.append(
            Paragraph(
                text=tokenizer.decode(ids[inside], skip_special_tokens=True).strip(),
                tokens=int(inside.sum()),
                weight=own[0].item() if bool((own == own[0]).all()) else own.mean().item(),
                alpha=None if alpha is None else alpha[inside].double().mean().item(),
            )
        )
    return found


def _controls(
    inspector: Inspector,
    settings: Settings,
    prompt: Prompt,
    ids: Tensor,
    seen: tuple[Look, Tensor],
    credited: Tensor,
    shown: Tensor,
) -> list[Control]:
    look, true_alpha = seen
    background = background_tokens(prompt.region_map.key_tokens)

    def under(condition: Condition) -> tuple[Tensor, Tensor]:
        if condition == "true_image":
            return true_alpha, look.log_probs
        if condition == "background_only":  # the same pass as with the true image
            return look.alpha(background), look.log_probs
        return look_under(
            inspector,
            prompt.image,
            prompt.question,
            ids,
            condition,
            selected=prompt.selected,
            background=background,
            other_image=prompt.wrong_image,
        )

    found = []
    for condition in CONDITIONS:
        if condition == "background_only" and not len(background):
            continue  # alpha over no token is 0, which is no measurement
        alpha, log_prob = under(condition)
        comparison = compare(alpha, true_alpha, log_prob, credited, **settings.weights)
        found.append(Control(condition, _rounded(paragraph_means(alpha, shown)), comparison))
    return found


def choose_wrong_image(inspector: Inspector, image: Image.Image) -> tuple[Image.Image, str]:
    """An image of the same size with something else on it, and what it is in words."""
    rgb = picture(image)
    if is_tiny(inspector):
        for problem in islice(problems("heldout", seed=1), 10):
            other = problem.drawing.render(max(rgb.size)).resize(rgb.size)
            if ImageChops.difference(rgb, other).getbbox():
                return other, "another drawing of the tiny world"
    return ImageOps.flip(rgb), "the true image upside down, mirrored top to bottom"


def is_tiny(inspector: Inspector) -> bool:
    """Whether it is a model of the tiny world, by its tokenizer."""
    return len(inspector.tokenizer) == VOCABULARY_SIZE


def prompt_notes(inspector: Inspector, prompt: Prompt) -> list[str]:
    """What a reader must know of an image: that it has no background, or is none that the model can read."""
    notes = []
    if bool(prompt.region_map.key_tokens.all()):
        notes.append("Every visual token is in a key region, so there is no control with the background alone.")
    if not readable(inspector, prompt):
        notes.append(
            "This tiny model has learnt to read grey drawings on white, as `kawhi sheet` shows them, and nothing else: "
            "of this picture its answer and alpha say nothing. --model takes one that can read it."
        )
    return notes


def readable(inspector: Inspector, prompt: Prompt) -> bool:
    """Whether a model may be able to read an image: of a tiny model, whether it may be a drawing of its world."""
    return not is_tiny(inspector) or _may_be_drawn(prompt.seen)


def _may_be_drawn(seen: NDArray[np.uint8]) -> bool:
    """Whether pixels are without colour and mostly white, as all drawings of the tiny worlds are."""
    colourless = float(np.mean(np.ptp(seen, axis=2) <= _COLOURLESS))
    return colourless > _NEARLY_ALL and float(np.mean(seen.min(axis=2) >= _WHITE)) > 0.5


def token_note(settings: Settings) -> list[str]:
    """What a reader must know where credit is finer than what is shown."""
    if settings.granularity != "token":
        return []
    return ["Credit is given per token; a paragraph shows the mean of its tokens."]


def _rounded(values: Tensor) -> list[float]:
    return [round(value, 5) for value in values.tolist()]
