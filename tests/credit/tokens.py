"""Texts as token ids, and back in parts."""

from __future__ import annotations

from kawhi.credit.segments import segment_response, token_bytes


def encode(tokenizer, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def single_bytes(tokenizer, text: str) -> list[int]:
    """The text as one token per byte: what a policy may sample although the tokenizer would never write it."""
    table = token_bytes(tokenizer)
    return [table.index(bytes([byte])) for byte in text.encode()]


def parts(tokenizer, ids: list[int], granularity: str = "paragraph") -> list[str]:
    """The response's segments as text: every token once and in order."""
    segments = segment_response(ids, tokenizer, granularity).tolist()
    assert len(segments) == len(ids)
    assert all(b - a in (0, 1) for a, b in zip([0, *segments], segments, strict=False))
    table = token_bytes(tokenizer)
    found = [b""] * (segments[-1] + 1 if segments else 0)
    for i, segment in zip(ids, segments, strict=True):
        found[segment] += table[i]
    return [part.decode(errors="replace") for part in found]
