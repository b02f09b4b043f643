"""What a page and a picture say in words: numbers, and in a sentence what the controls of one answer show."""

from __future__ import annotations

import math
from collections.abc import Mapping

from kawhi.explain.content import Answer
from kawhi.probes.grounding import Comparison

FAITHFUL = (
    "If alpha measured looking, then beside a blank image the order of the paragraphs would fall apart (rank "
    "correlation near 0), another paragraph would come first, and the weights would move. A wrong image is read, too: "
    "an order that survives it is no objection."
)
UNMOVED = 0.8
"""Rank correlation from which on an order is called almost the same."""
LIKELIER = 0.01
"""Log-prob per token by which an answer must be likelier beside its image than beside another, to be called read."""
UNLIKELY = -3.0
"""Log-prob per token below which a model does not stand behind an answer; what it writes itself has -1 to 0."""


def signed(value: float, digits: int = 3) -> str:
    """With a real minus sign, and none before zero."""
    return f"{value:z.{digits}f}".replace("-", "−")


def outcome(answer: Answer) -> str:
    """Reward and advantage, where training recorded them."""
    if answer.reward is None or answer.advantage is None:
        return ""
    return f"reward {answer.reward:g} · advantage {signed(answer.advantage, 2)}"


def verdict(answer: Answer, unit: str) -> str:
    """One sentence about an answer's controls, or two.

    Args:
        unit: what is ranked.
    """
    found = {control.condition: control.comparison for control in answer.controls}
    blank, wrong = found["blank"].order, found["wrong_image"].order
    if blank is None or wrong is None:
        return f"This answer is one {unit}, so there is no order to compare."
    if len(set(answer.controls[0].alpha)) == 1:
        return f"All {unit}s have the same alpha, so there is no order to compare."
    return _compared(answer, found, unit)


def _compared(answer: Answer, found: Mapping[str, Comparison], unit: str) -> str:
    """What the order beside a blank image says; one that survives a wrong image is no objection, for that is read."""
    blank, wrong = found["blank"].order or 0.0, found["wrong_image"].order or 0.0
    numbers = f"rank correlation {signed(blank, 2)} with a blank image, {signed(wrong, 2)} with a wrong one"
    if why := _no_answer_to_it(answer, found["true_image"].log_prob):
        return f"{why}, so that the order of the {unit}s says nothing of looking: {numbers}."
    if blank >= UNMOVED and not found["blank"].same_top:
        return f"Here another {unit} comes first without the image, and the rest keeps its order: {numbers}."
    if blank >= UNMOVED:
        said = f"Here the order hardly needs the image: {numbers}."
        return f"{said} For this answer, which {unit} weighs most is no evidence of looking."
    if unread := _unread(*(found[name].log_prob for name in ("true_image", "blank", "wrong_image"))):
        return (
            f"Here the order changes with the image, and yet nothing shows that the model read it: {unread}; {numbers}."
        )
    if wrong >= UNMOVED:
        return f"Here the order needs an image, and not this one: {numbers}. A wrong image is read, too."
    return f"Here the order depends on the image: {numbers}. Whether the answer is right, it does not say."


def _no_answer_to_it(answer: Answer, own: float) -> str:
    """Why an answer cannot be about the image; empty where it may be.

    Args:
        own: log-prob per token beside the true image.
    """
    if not answer.readable:
        return "This model cannot read such a picture"
    return f"To this model the answer is very unlikely (log-prob {signed(own, 2)} per token)" if own < UNLIKELY else ""


def _unread(own: float, blank: float, wrong: float) -> str:
    """Beside which other image an answer is as likely as beside its own; empty where beside none."""
    if own - max(blank, wrong) >= LIKELIER:
        return ""
    other = "a blank" if blank >= wrong else "the wrong"
    said = f"the answer is no likelier beside its own image (log-prob {signed(own, 2)} per token)"
    return f"{said} than beside {other} one ({signed(max(blank, wrong), 2)})"


def caution(answer: Answer, unit: str) -> str:
    """Why few paragraphs prove little; nothing for many, and for one."""
    count = len(answer.paragraphs)
    if unit == "token" or not 2 <= count <= 6:
        return ""
    return f"{count} {unit}s have only {math.factorial(count)} possible orders, so one answer says little."
