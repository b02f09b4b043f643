"""What a page and a picture say in words: numbers, and in a sentence what the controls of one answer show."""

from __future__ import annotations

import math

from kawhi.explain.content import Answer

FAITHFUL = (
    "If alpha measured looking, then beside a blank or a wrong image the order of the paragraphs would fall apart "
    "(rank correlation near 0), another paragraph would come first, and the weights would move."
)
UNMOVED = 0.8
"""Rank correlation from which on an order is called almost the same."""


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
    numbers = f"rank correlation {signed(blank, 2)} with a blank image, {signed(wrong, 2)} with a wrong one"
    unmoved = [order >= UNMOVED for order in (blank, wrong)]
    if all(unmoved):
        said = f"Here the order hardly depends on the image: {numbers}."
        return f"{said} For this answer, which {unit} weighs most is no evidence of looking."
    if any(unmoved):
        return f"Here the order survives one of the two: {numbers}."
    return f"Here the order depends on the image: {numbers}."


def caution(answer: Answer, unit: str) -> str:
    """Why few paragraphs prove little; nothing for many, and for one."""
    count = len(answer.paragraphs)
    if unit == "token" or not 2 <= count <= 6:
        return ""
    return f"{count} {unit}s have only {math.factorial(count)} possible orders, so one answer says little."
