"""Answers in one spelling: what LaTeX, Unicode and habit write in many ways.  Pure text; nothing is computed."""

from __future__ import annotations

import re
import unicodedata

_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "×": r"\times ", "÷": r"\div ", "·": r"\cdot ", "⋅": r"\cdot ",
    "π": r"\pi ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "∞": r"\infty ",
    "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "±": r"\pm ", "≈": r"\approx ", "∈": r"\in ", "∪": r"\cup ",
    "∩": r"\cap ", "∠": r"\angle ", "△": r"\triangle ", "°": r"^\circ ", "∅": r"\emptyset ",
    "（": "(", "）": ")", "：": ":", "，": ", ", "。": ".",
    "“": '"', "”": '"', "‘": "'", "’": "'", "\n": " ", "\t": " ", "\r": " ",
    "\u00a0": " ", "\u2009": " ", "\u202f": " ",
}  # fmt: skip
_UNICODE = str.maketrans(_SYMBOLS)
_POWER = re.compile(r"(?<=[A-Za-z)}])([²³])")
_ROOT = re.compile(r"(?:√|(?<![A-Za-z\\])sqrt)\s*(?:\(([^()]*)\)|\{([^{}]*)\}|([0-9]+|[A-Za-z]))")

_SPACING = re.compile(r"(?<!\\)\\[,;:! ]|\\q?quad(?![A-Za-z])|~|\\(?:displaystyle|textstyle|limits)(?![A-Za-z])")
_SIZING = re.compile(r"\\(?:left|right|[bB]igg?[lr]?)(?![A-Za-z])\.?")
_TEXT = re.compile(
    r"\\(?:mathrm|mathbf|mathit|mathsf|textbf|textit|textrm|textsf|textnormal|mbox|operatorname|bf|rm|emph)(?![A-Za-z])"
)
_FONT = re.compile(r"\\(?:boldsymbol|bm|pmb|underline)(?![A-Za-z])")  # of formulas as well
_DEGREE = re.compile(r"\^\s*\{?\s*\\circ\s*\}?|\\degree(?![A-Za-z])")
_PERCENT = re.compile(r"\\%|\\text\s*\{\s*(?:\\?%|percent|per cent)\s*\}|(?<=[0-9}])\s*(?:percent|per cent|pct)\b")
_SYNONYM = {"dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "leq": "le", "leqslant": "le", "geq": "ge",
            "geqslant": "ge", "neq": "ne",
            "varnothing": "emptyset", "simeq": "approx", "lbrace": "{", "rbrace": "}"}  # fmt: skip
_COMMAND = re.compile(r"\\(" + "|".join(_SYNONYM) + r")(?![A-Za-z])")
_DOLLARS = re.compile(r"(?<!\\)\$([^$]+?)(?<!\\)\$")
_QUOTED = re.compile(r"\\text\s*\{([^{}]*)\}")
_OPENING, _BRACES = re.compile(r"(?:\\text\s*)?\{"), re.compile(r"\\.|[{}]")
_WRAPPERS = [("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`")]

# Not after a digit, bracket or comma, nor before one: (1,234) is a point.
_THOUSANDS = re.compile(r"(?<![0-9.,(\[{])([0-9]{1,3}(?:,[0-9]{3})+)(?![0-9,)\]}])")
_THIN_THOUSANDS = re.compile(r"(?<=[0-9])\\[,;](?=[0-9]{3}(?![0-9]))")
_SPACED_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?: [0-9]{3})+(?:\.[0-9]+)?")
_MIXED = re.compile(r"(?<![0-9.^_])([0-9]+)\s+([0-9]+)\s*/\s*([0-9]+)(?![0-9.])")
_SCIENTIFIC = re.compile(r"(?<![0-9.A-Za-z])([0-9]+(?:\.[0-9]+)?)\s*[eE]\s*([+-]?[0-9]{1,4})(?![0-9.A-Za-z])")
_TIMES = re.compile(r"(?<=[0-9])\s*(?:x|X|\*)\s*(?=10\s*\^)")
_SCALE = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SCALED = re.compile(
    r"(?<=[0-9])\s*(?:\\text\s*\{\s*)?(" + "|".join(_SCALE) + r")s?\b(?:\s*\}|(\s[^{}]*)\})?", re.IGNORECASE
)
_OHM = re.compile(r"(?<=[0-9])\s*(?:\\Omega(?![A-Za-z])|Ω)")
_LEAD = re.compile(
    r"(?:(?:the )?(?:final )?answer(?: is\b|:)|approximately\b|approx\b\.?|about\b|\\approx)\s*", re.IGNORECASE
)
_PI = re.compile(r"(?<![A-Za-z\\])pi(?![A-Za-z])")
_SEGMENT = re.compile(r"\\overline\s*\{\s*([A-Z]+)\s*\}")  # of a number it marks the period
_STRING_NOISE = re.compile(r"\\text(?![A-Za-z])|[\s{}$\"'`*\\]")
_ARTICLE = re.compile(r"^(?:the|a|an)\s+", re.IGNORECASE)

# Unicode categories: numerals, control and invisible characters, surrogates, private and unassigned ones.
_REFUSED = {"Nd", "Nl", "No", "Cc", "Cf", "Cs", "Co", "Cn"}


def foreign_character(text: str) -> str | None:
    """The first character that no honest answer needs; ``None`` if there is none.

    Those are numerals other than 0-9 (``３``, ``٣``, ``½``, ``Ⅷ``), of which Python and sympy would read some, control
    and invisible characters, and halves of surrogate pairs.  ``²`` and ``³`` pass after a letter, as in cm².
    """
    for character in _POWER.sub("", text):
        if character.isascii():
            if not character.isprintable() and character not in "\n\r\t":
                return character
        elif unicodedata.category(character) in _REFUSED:
            return character
    return None


def tidy(text: str) -> str:
    """An answer without the marks that do not change it: dollars, spacing, sizes, fonts, a final full stop.

    Numbers lose their separators and ``million`` becomes a power of ten.
    """
    text = _ROOT.sub(lambda found: rf"\sqrt{{{found[1] or found[2] or found[3]}}}", text)
    text = _POWER.sub(lambda found: {"²": "^2", "³": "^3"}[found[1]], text).translate(_UNICODE)
    text = _THIN_THOUSANDS.sub("", text.replace("{,}", ","))
    text = _SIZING.sub("", _unwrap(_FONT.sub("", _SPACING.sub(" ", text))))
    text = _TEXT.sub(r"\\text", text)
    text = _COMMAND.sub(lambda found: "\\" + _SYNONYM[found[1]], text)
    text = _PERCENT.sub("%", _DEGREE.sub(r"^\\circ ", text))
    text = _SEGMENT.sub(r"\1", _PI.sub(r"\\pi ", text))
    text = _OHM.sub(r" \\text{ohm}", re.sub(r"\s+", " ", text)).strip()
    lead = _LEAD.match(text)
    text = _DOLLARS.sub(r"\1", _unwrap(text[lead.end() :] or text if lead else text))
    text = _THOUSANDS.sub(lambda found: found[1].replace(",", ""), text)
    return _SCALED.sub(lambda found: rf" \times 10^{{{_SCALE[found[1].lower()]}}}" + (found[2] or ""), text)


def _unwrap(text: str) -> str:
    """Without dollars and the like around the whole, and without a final full stop, comma or line break."""
    while True:
        before = text
        text = text.rstrip("\\ \n\t\r").lstrip()
        if text.endswith((".", ",", ";")) and not text.endswith(".."):
            text = text[:-1]
        for start, end in _WRAPPERS:
            text = inside(text, start, end)
        text = _between_braces(text)
        if text == before:
            return text


def _between_braces(text: str) -> str:
    """What ``{...}`` or ``\\text{...}`` around the whole holds; else the text."""
    start = _OPENING.match(text)
    if start is None or not text.endswith("}"):
        return text
    depth = 1
    for found in _BRACES.finditer(text, start.end()):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if not depth:
            return text[start.end() : -1] if found.end() == len(text) > start.end() + 1 else text
    return text


def inside(text: str, start: str, end: str) -> str:
    """What stands between the two marks, if they belong to each other; else the text."""
    between = text[len(start) : len(text) - len(end)]
    wrapped = between and text.startswith(start) and text.endswith(end)
    return between if wrapped and start not in between and not between.endswith("\\") else text


def formula(text: str) -> str:
    """A tidy answer as LaTeX that math-verify reads as people do: mixed numbers, powers of ten, percent signs."""
    text = text.replace("$", "")
    if _SPACED_THOUSANDS.fullmatch(text):
        text = text.replace(" ", "")
    text = _MIXED.sub(r"\1\\frac{\2}{\3}", text)
    text = _SCIENTIFIC.sub(lambda found: rf"{found[1]}\times 10^{{{int(found[2])}}}", text)
    text = _TIMES.sub(r"\\times ", text)
    text = re.sub(r"\\text\s*\{\s*(and|or)\s*\}", r" \1 ", text)
    return re.sub(r"(?<!\\)%", r"\\%", text).strip()


def as_text(text: str) -> str:
    """Words for comparison letter by letter: lower case, no article, white space, braces, quotes or fonts."""
    return _STRING_NOISE.sub("", _ARTICLE.sub("", plain_text(text))).rstrip(".,;:").lower()


def plain_text(text: str) -> str:
    """A tidy answer with the contents of every ``\\text{}`` in its place."""
    previous = None
    while previous != text:
        previous, text = text, _QUOTED.sub(r"\1", text)
    return re.sub(r"\s+", " ", text).strip()
