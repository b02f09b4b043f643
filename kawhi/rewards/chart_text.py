"""Short answers about charts: their text without mark-up, their number, their elements."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

from kawhi.rewards.limits import MAX_CHARACTERS

_WRAPPER = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|boldsymbol)\s*\{([^{}]*)\}")
_MARKUP = re.compile(r"\*\*|`|\\[()\[\]]|\\[,;:! ]|\\+\s*$")
_DASH = re.compile(r"[−–—](?=\s?[0-9.])")
_PAIRS = ("$$", "{}", '""', "''", "“”")
# float() would also take "nan", "1_000" and digits of other scripts.
_DIGITS = r"[-+]?(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+)"
_NUMBER = re.compile(rf"({_DIGITS})(?:[eE]([-+]?[0-9]{{1,3}}))?")
_POWER = re.compile(rf"(?:({_DIGITS})\s*(?:×|x|\*|\\times|\\cdot)\s*)?10\s*\^\s*\{{?([-+]?[0-9]{{1,3}})\}}?")
_SCALES = {"k": 3, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SCALED = re.compile(rf"({_DIGITS})\s*({'|'.join(_SCALES)})", re.IGNORECASE)


def tidy(text: str) -> str:
    """Without the mark-up around an answer: bold, LaTeX, quotes, a final full stop."""
    text = _DASH.sub("-", text.replace("\\%", "%").replace("\\$", "$"))
    text = _WRAPPER.sub(r"\1", _MARKUP.sub("", text)).strip()
    if text.endswith((".", "。")) and not text.endswith(".."):
        text = text[:-1].rstrip()
    while len(text) > 2 and text[0] + text[-1] in _PAIRS:
        text = text[1:-1].strip()
    return text


def plain(text: str) -> str:
    """For comparing words: lower case, one space, no LaTeX, no parentheses around it all, Greek letters by name."""
    text = unicodedata.normalize("NFKC", tidy(text)).casefold()
    text = "".join(_name(each) for each in text if each not in "$\\{}")
    text = " ".join(text.split())
    return text[1:-1].strip() if len(text) > 2 and text[0] + text[-1] == "()" else text


def _name(character: str) -> str:
    name = unicodedata.name(character, "")
    return name.split()[-1].lower() if name.startswith("GREEK SMALL LETTER") else character


def number(text: str, scales: bool = False) -> Decimal | None:
    """The exact value of ``40,000``, ``-1.5e3``, ``10^-2``, ``3 × 10^2`` or ``12%`` (that is 12); else ``None``.

    Args:
        scales: ``60k`` and ``3 million`` are numbers, too.
    """
    text = tidy(text).replace("$", "").rstrip("%").strip()
    if len(text) > MAX_CHARACTERS:
        return None
    if scales and (scaled := _SCALED.fullmatch(text)):
        return Decimal(f"{scaled[1].replace(',', '')}e{_SCALES[scaled[2].lower()]}")
    found = _POWER.fullmatch(text) or _NUMBER.fullmatch(text)
    if found is None:
        return None
    return Decimal(f"{(found[1] or '1').replace(',', '')}e{found[2] or 0}")


def elements(text: str) -> list[str] | None:
    """The elements of ``[a, 'b, c', d]``; ``None`` for anything else."""
    text = text.strip()
    if len(text) < 2 or text[0] != "[" or text[-1] != "]":
        return None
    inside = text[1:-1].replace('"', "'")
    found = re.findall(r"\s*(?:'([^']*)'(?=\s*(?:,|$))|([^,]+))\s*(?:,|$)", inside)
    return [tidy(quoted or bare) for quoted, bare in found]
