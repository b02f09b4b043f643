"""Step-GRPO's rewards written out response by response."""

from __future__ import annotations

from tests.reference.segments import paragraphs


def numbers(text: str) -> set[str]:
    """Numbers before the last box, read digit by digit, without zeros that change nothing."""
    end = text.rfind("\\boxed{")
    text = text[:end] if end >= 0 else text
    found, i = set(), 0
    while i < len(text):
        if text[i] not in "0123456789":
            i += 1
            continue
        j = i
        while j < len(text) and text[j] in "0123456789":
            j += 1
        if j + 1 < len(text) and text[j] == "." and text[j + 1] in "0123456789":
            j += 1
            while j < len(text) and text[j] in "0123456789":
                j += 1
        found.add(f"{float(text[i:j]):.12g}")
        i = j
    return found


def rewards(
    texts: list[str], groups: list[str], correct: list[bool], base: list[float], step_weight: float, validity: float
) -> list[float]:
    result = []
    for text, group, reward in zip(texts, groups, base, strict=True):
        solved = [numbers(t) for t, g, right in zip(texts, groups, correct, strict=True) if right and g == group]
        candidates = set().union(*solved)
        keys = {n for n in candidates if sum(n in own for own in solved) >= len(solved) / 2}
        share = len(keys & numbers(text)) / len(keys) if keys else 0.0
        boxes = [paragraph for i, paragraph in enumerate(paragraphs(text)) if text[i:].startswith("\\boxed{")]
        valid = len(boxes) == 1 and 0 < boxes[0] == paragraphs(text)[-1]
        result.append(reward + step_weight * share + validity * valid)
    return result
