"""An image and a question -> the numbers of a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PIL import Image
from torch import Tensor

from kawhi.explain.checkpoint import averaged_heads
from kawhi.explain.content import Answer, Explanation
from kawhi.explain.gather import (
    choose_wrong_image,
    encode_response,
    prompt_notes,
    read_answer,
    read_prompt,
    readable,
    scene,
    shown_unit,
    token_note,
)
from kawhi.explain.settings import Settings
from kawhi.models.inspection import Inspector
from kawhi.style.overlays import image_uri


def explain_image(
    inspector: Inspector,
    settings: Settings,
    image: Image.Image,
    question: str,
    *,
    title: str,
    text: str | None = None,
    seeds: Sequence[int] = (),
    wrong_image: tuple[Image.Image, str] | None = None,
    max_new_tokens: int = 512,
    told: Callable[[str], None] = lambda _: None,
) -> Explanation:
    """What the paragraphs of a response to one question look at.

    Args:
        inspector: made with ``settings.alignment``.
        title: where the image comes from.
        text: the response; without it the model answers.
        seeds: one sampled answer each; without them and without a text, the greedy answer.
        wrong_image: for the grounding control, and what it is in words; see :func:`choose_wrong_image`.
        told: hears what is being done now.

    Raises:
        ValueError: an image that cannot be processed, or an empty response; the message says which.
    """
    other, description = wrong_image or choose_wrong_image(inspector, image)
    told("finding the regions")
    prompt = read_prompt(inspector, settings, image, question, other)
    responses: list[tuple[str, list[int] | Tensor]] = []
    if text is not None:
        responses.append(("The response given", encode_response(inspector.tokenizer, text)))
    elif not seeds:
        told("the model answers")
        responses.append(("Greedy answer", inspector.respond(prompt.inputs, max_new_tokens=max_new_tokens)))
    for seed in seeds:
        told(f"the model answers, seed {seed}")
        sampled = inspector.respond(prompt.inputs, max_new_tokens=max_new_tokens, seed=seed)
        responses.append((f"Answer sampled with seed {seed}", sampled))
    answers = []
    for number, (name, response) in enumerate(responses, 1):
        told(f"reading answer {number} of {len(responses)} beside four images")
        paragraphs, controls, _ = read_answer(inspector, settings, prompt, response)
        ended = int(response[-1]) == inspector.tokenizer.eos_token_id
        notes = [] if ended else [f"The answer was cut off after {len(response)} tokens."]
        answers.append(Answer(name, paragraphs, controls, notes=notes, readable=readable(inspector, prompt)))
    notes = [*prompt_notes(inspector, prompt), *token_note(settings)]
    if len(prompt.selected) == 0:
        notes.append("No visual token is selected, so alpha is 0 and every paragraph weighs the same.")
    return Explanation(
        title=title,
        question=question,
        scene=scene(prompt),
        answers=answers,
        heads=averaged_heads(inspector),
        unit=shown_unit(settings.granularity),
        compared=settings.granularity,
        w_min=float(settings.weights["w_min"]),
        heat_shows=settings.heat_shows,
        wrong_image=(description, image_uri(prompt.wrong_image)),
        notes=notes,
        details=settings.words(),
    )
