"""Segments of one response, one byte of its text at a time: no table of flags, no cut positions, no packing."""

from __future__ import annotations

_WHITE = b" \t\n\r\x0b\x0c"
_MARKS = (b".", b"!", b"?")
_FULL_WIDTH_MARKS = tuple(mark.encode() for mark in "。！？")
_CLOSERS = tuple(closer.encode() for closer in "\"')]}”’」』）")


def segments(pieces: list[bytes], granularity: str) -> list[int]:
    """Segment of every token, given the bytes of each token."""
    if granularity == "token":
        return list(range(len(pieces)))
    text = b"".join(pieces)
    of_byte = {"paragraph": paragraph_of_bytes, "sentence": sentence_of_bytes}[granularity](text)
    found: list[int] = []
    position = 0
    for piece in pieces:
        visible = [i for i in range(position, position + len(piece)) if text[i] not in _WHITE]
        # White space and special tokens go with the token before them.
        found.append(of_byte[visible[0]] if visible else (found[-1] if found else 0))
        position += len(piece)
    # A segment in which no token begins has no number.
    names = {segment: rank for rank, segment in enumerate(dict.fromkeys(found))}
    return [names[segment] for segment in found]


def paragraph_of_bytes(text: bytes) -> list[int]:
    """Text opens a paragraph where a blank line is behind it and text behind that."""
    paragraph, newlines, blank_line, text_seen = 0, 0, False, False
    result = []
    for byte in text:
        if byte in _WHITE:
            newlines = newlines + 1 if byte == ord("\n") else 0
            blank_line = blank_line or newlines == 2
        else:
            paragraph += blank_line and text_seen
            newlines, blank_line, text_seen = 0, False, True
        result.append(paragraph)
    return result


def sentence_of_bytes(text: bytes) -> list[int]:
    sentence = 0
    result = []
    for position, byte in enumerate(text):
        sentence += byte not in _WHITE and opens_a_sentence(text[:position], text[position:])
        result.append(sentence)
    return result


def opens_a_sentence(before: bytes, after: bytes) -> bool:
    """``after`` begins with a byte that is not white space."""
    said = before.rstrip(_WHITE)
    gap = before[len(said) :]
    if not said:
        return False
    if b"\n" in gap:
        return True
    bare = said
    while bare.endswith(_CLOSERS):
        bare = bare[: -next(len(closer) for closer in _CLOSERS if bare.endswith(closer))]
    marks = bare
    while marks.endswith(_MARKS + _FULL_WIDTH_MARKS):
        marks = marks[: -next(len(mark) for mark in _MARKS + _FULL_WIDTH_MARKS if marks.endswith(mark))]
    if gap:
        return marks != bare
    # Without a gap only a full-width mark ends a sentence, and then not inside its own run of marks and closers.
    run_goes_on = after.startswith(_CLOSERS) or (bare == said and after.startswith(_MARKS + _FULL_WIDTH_MARKS))
    return _holds_full_width(bare[len(marks) :]) and not run_goes_on


def _holds_full_width(run: bytes) -> bool:
    return any(mark in run for mark in _FULL_WIDTH_MARKS)
