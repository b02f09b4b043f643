"""What a method looked at in each token of a recorded response: as content, and as shaded text for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import torch

from kawhi.credit.measures import MEASURES, WEIGHT, own
from kawhi.explain.content import Answer, Explanation, Paragraph, Tokens
from kawhi.explain.drawings import shade
from kawhi.explain.settings import Settings
from kawhi.explain.words import signed
from kawhi.style.overlays import diverging

STRENGTH = 0.65
"""Of full colour, so that text stays readable on it."""
_MOST = 0.98  # share of tokens below the fullest colour: a few that are far out would leave all others white


def seen(tokenizer, settings: Settings, response: Mapping[str, Any]) -> Tokens | None:
    """Of a response as the trainer recorded it; ``None`` where paragraphs with their alpha say all that there is."""
    measures = measured(settings, response)
    finer = settings.granularity == "token" and response["alpha"] is not None
    if not measures and not finer:
        return None
    if response["alpha"] is not None:
        measures = {"alignment": response["alpha"], **measures}
    texts = [tokenizer.decode([token]) for token in response["token_ids"]]
    return Tokens(texts, response["weights"], measures)


def measured(settings: Settings, response: Mapping[str, Any]) -> dict[str, list[float]]:
    """What the method looks at beside alpha; nothing of a step that kept no signals.

    Without :func:`hidden`.
    """
    signals = {name: torch.tensor(values) for name, values in (response.get("signals") or {}).items()}
    shown = {name: measure for name, measure in own(signals).items() if name != hidden(settings)}
    found = {name: measure.made(signals).double().tolist() for name, measure in shown.items()}
    return {name: [round(value, 5) for value in values] for name, values in found.items()}


def hidden(settings: Settings) -> str | None:
    """Of the two differences that the same signals give, the one that the method's option ``proxy`` does not name."""
    return {"prob": "logp_diff", "logp": "prob_diff"}.get(settings.weights.get("proxy", ""))


def with_means(paragraphs: Sequence[Paragraph], measures: Mapping[str, Sequence[float]]) -> list[Paragraph]:
    """The paragraphs of a response with the means of its measures, alpha left out, which they have already."""
    found, at = [], 0
    for paragraph in paragraphs:
        inside = slice(at, at := at + paragraph.tokens)
        means = {name: float(np.mean(each[inside])) for name, each in measures.items() if name != "alignment"}
        found.append(replace(paragraph, measures=means))
    return found


@dataclass(frozen=True)
class Strip:
    """A response's text, shaded by one measure or by the weight.

    Attributes:
        words: of what.
        scale: its unit, and which colour is what.
        runs: colour and text of tokens that have the same colour.
    """

    words: str
    scale: str
    runs: list[tuple[str, str]]


def strips(explanation: Explanation, answer: Answer) -> list[Strip]:
    """One for each measure, then one for the weight; a measure has one scale for all answers of the page."""
    tokens = answer.tokens
    if tokens is None:
        return []
    found = [_strip(tokens, name, _limit(explanation, name)) for name in tokens.measures]
    most = max(weight for each in _listed(explanation) for weight in each.weights)
    colours = [shade(weight, min(explanation.w_min, most), most) for weight in tokens.weights]
    return [*found, Strip(WEIGHT.words, f"full colour at {most:.2f}", _runs(tokens.texts, colours))]


def _strip(tokens: Tokens, name: str, limit: float) -> Strip:
    measure, values = MEASURES[name], np.clip(tokens.measures[name], -limit, limit).tolist()
    full = f"full colour from {signed(limit)} on" + (", blue below 0" if min(values) < 0 else "")
    colours = [diverging(value, limit, STRENGTH) for value in values]
    return Strip(measure.words, "; ".join(filter(None, (measure.how, full))), _runs(tokens.texts, colours))


def rows(tokens: Tokens) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Heads, and of each token what it says and its numbers, the weight last."""
    columns = [[signed(value) for value in values] for values in tokens.measures.values()]
    columns.append([f"{weight:.3f}" for weight in tokens.weights])
    names = [*(MEASURES[name].words for name in tokens.measures), WEIGHT.words]
    return names, [(text, list(own)) for text, *own in zip(map(_visible, tokens.texts), *columns, strict=True)]


def _visible(text: str) -> str:
    """Line breaks, and spaces that stand alone, as signs that can be seen."""
    shown = text.replace("\n", "⏎").replace("\t", "⇥")
    return shown if shown.strip() else shown.replace(" ", "␣")


def _listed(explanation: Explanation) -> list[Tokens]:
    return [answer.tokens for answer in explanation.answers if answer.tokens is not None]


def _limit(explanation: Explanation, name: str) -> float:
    """The size with the fullest colour."""
    sizes = np.abs(np.concatenate([each.measures[name] for each in _listed(explanation)]))
    return float(np.quantile(sizes, _MOST)) or float(sizes.max(initial=0.0))


def _runs(texts: Sequence[str], colours: Sequence[str]) -> list[tuple[str, str]]:
    """Tokens of one colour together; paragraphs are lines, without an empty one between them."""
    runs = groupby(zip(colours, texts, strict=True), lambda each: each[0])
    return [(colour, "".join(text for _, text in run).replace("\n\n", "\n")) for colour, run in runs]
