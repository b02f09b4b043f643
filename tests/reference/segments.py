"""Segments of one response, one character of its decoded text at a time: no table, no patterns, no packing."""

from __future__ import annotations

_MARKS, _WIDE_MARKS, _CLOSERS = ".!?", "。！？", "\"')]}”’」』）"
_DASHES = "-*=_–—─━═"


def segments(pieces: list[bytes], granularity: str) -> list[int]:
    """Segment of every token, given the bytes of each token."""
    if granularity == "token":
        return list(range(len(pieces)))
    # A byte that is no character by itself, and not in one with its neighbours, stays as it is.
    text = b"".join(pieces).decode(errors="surrogateescape")
    of_character = {"paragraph": paragraphs, "sentence": sentences}[granularity](text)
    of_byte = [
        None if white(shown) else segment
        for character, shown, segment in zip(text, without_rules(text), of_character, strict=True)
        for _ in character.encode(errors="surrogateescape")
    ]
    found: list[int] = []
    position = 0
    for piece in pieces:
        visible = [segment for segment in of_byte[position : position + len(piece)] if segment is not None]
        # White space, rules and special tokens go with the token before them.
        found.append(visible[0] if visible else (found[-1] if found else 0))
        position += len(piece)
    # A segment in which no token begins has no number.
    names = {segment: rank for rank, segment in enumerate(dict.fromkeys(found))}
    return [names[segment] for segment in found]


def white(text: str) -> bool:
    return all((c.isspace() and not 0x1C <= ord(c) <= 0x1F) or c in "\u200b\ufeff" for c in text)


def is_rule(line: str) -> bool:
    """Three or more dashes of one kind."""
    dashes = [character for character in line if not white(character)]
    return len(dashes) >= 3 and len(set(dashes)) == 1 and dashes[0] in _DASHES


def without_rules(text: str) -> str:
    """With as many spaces in their place."""
    return "\n".join(" " * len(line) if is_rule(line) else line for line in text.split("\n"))


def paragraphs(text: str) -> list[int]:
    """A line of text opens a paragraph where a blank line is behind it and text behind that."""
    paragraph, blank_line, text_seen = 0, False, False
    result = []
    for line in text.split("\n"):
        is_text = not white(line) and not is_rule(line)
        indent = next(i for i, character in enumerate(line) if not white(character)) if is_text else len(line)
        result += [paragraph] * indent
        if is_text:
            paragraph += blank_line and text_seen
            blank_line, text_seen = False, True
        blank_line = blank_line or white(line)
        result += [paragraph] * (len(line) - indent + 1)  # and the newline
    return result[:-1]


def sentences(text: str) -> list[int]:
    """A character opens a sentence where the text before it ends one."""
    text = without_rules(text)
    sentence = 0
    result = []
    for position, character in enumerate(text):
        sentence += not white(character) and opens_a_sentence(text[:position], text[position:])
        result.append(sentence)
    return result


def opens_a_sentence(before: str, after: str) -> bool:
    """``after`` does not begin with white space."""
    said = before
    while said and white(said[-1]):
        said = said[:-1]
    gap = before[len(said) :]
    if not said or "\n" in gap:
        return bool(said)
    bare = said.rstrip(_CLOSERS)
    marks = bare.rstrip(_MARKS + _WIDE_MARKS)
    if gap:
        return marks != bare
    # Without a gap only a full-width mark ends a sentence, and then not inside its own run of marks and closers.
    run_goes_on = after[0] in _CLOSERS or (bare == said and after[0] in _MARKS + _WIDE_MARKS)
    return any(mark in _WIDE_MARKS for mark in bare[len(marks) :]) and not run_goes_on
