"""Units: ``5 cm`` answers a question whose answer is ``5`` or ``5 cm``, not one whose answer is ``5 m``."""

from __future__ import annotations

import re

_NAMES = {
    "mm": "millimeter millimetre", "cm": "centimeter centimetre", "dm": "decimeter decimetre", "m": "meter metre",
    "km": "kilometer kilometre", "in": "inch inches", "ft": "foot feet", "yd": "yard", "mi": "mile",
    "mg": "milligram", "g": "gram gm", "kg": "kilogram", "lb": "pound lbs", "oz": "ounce", "t": "ton tonne",
    "s": "sec second", "ms": "millisecond", "min": "minute", "h": "hour hr", "day": "", "week": "", "month": "",
    "year": "yr", "L": "l liter litre", "mL": "ml milliliter millilitre", "gal": "gallon", "cc": "", "acre": "",
    "ha": "hectare", "mph": "", "kmh": "kmph", "^\\circ": "degree deg", "rad": "radian", "^\\circC": "celsius",
    "^\\circF": "fahrenheit", "K": "kelvin", "dollar": "usd", "cent": "", "euro": "eur", "N": "newton", "J": "joule",
    "kJ": "kilojoule", "W": "watt", "kW": "kilowatt", "V": "volt", "A": "ampere amp", "Hz": "hertz", "Pa": "pascal",
    "kPa": "kilopascal", "C": "coulomb", "mol": "mole", "eV": "", "ohm": "", "unit": "",
}  # fmt: skip
_UNIT = {spelling: unit for unit, names in _NAMES.items() for spelling in (unit, *names.split())}
_LOWER = {spelling.lower(): unit for spelling, unit in _UNIT.items() if len(spelling) > 2}
_CURRENCY = {"$": "dollar", r"\$": "dollar", "€": "euro", "£": "gbp", "¥": "yen", "₹": "rupee"}
_PREFIX = re.compile(r"([+-]?)\s*(\\?\$|[€£¥₹])\s*(?=[0-9.])")
# Words after a number that are no unit of it.
_NO_UNIT = re.compile(
    r"\b(?:and|or|to|not|no|plus|minus|times|more|less|over|under|than|at|least|most|about|dozen|half|pi|"
    r"hundred|thousand|million|billion|trillion|maybe|perhaps|possibly|probably|either|wrong|right|otherwise|else)\b"
)
_REWRITTEN = [
    (re.compile(pattern), spelling)
    for pattern, spelling in (
        (r"(?i)\b(?:square|sq\.?)\s+([A-Za-z]+)", r"\1^2"),
        (r"(?i)\b(?:cubic|cu\.?)\s+([A-Za-z]+)", r"\1^3"),
        (r"([A-Za-z]+)\s+squared\b", r"\1^2"),
        (r"([A-Za-z]+)\s+cubed\b", r"\1^3"),
        (r"\s*\bper\b\s*", "/"),
        (r"\s*([/^])\s*", r"\1"),
    )
]
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9][0-9.,]*")
_ATOM = r"(?:\\text\s*\{[^{}]*\}|(?<![A-Za-z\\])[A-Za-z]+)\s*(?:\^\s*\{?\s*-?[0-9]\s*\}?)?"
_DEGREES = r"\^\\circ\s*(?:\\text\s*\{\s*[CF]\s*\}|[CF](?![A-Za-z]))?"
_TAIL = re.compile(rf"(?<=[0-9}})\]\s.])\s*((?:{_ATOM})(?:\s*(?:/|\\cdot|\s)\s*(?:{_ATOM}))*|{_DEGREES})$")
_AFTER_COMMAND = re.compile(r"(?<=\\pi)\s*(\\text\s*\{[^{}]*\}(?:\s*\^\s*\{?[0-9]\}?)?)$")


def split_unit(text: str, any_letter: bool = False) -> tuple[str, str | None]:
    """A tidy answer as its value and its unit in one spelling; ``None`` if there is no unit.

    Args:
        any_letter: a single letter right after a number is a unit as well (``5m``).  Only right where the other side
            has no letters, for ``5m`` is also five times m.
    """
    text = re.sub(r"\b(sq|cu)\.\s*", r"\1 ", text)
    currency = _PREFIX.match(text)
    if currency:
        return currency[1] + text[currency.end() :], _CURRENCY[currency[2]]
    for tail in (_TAIL.search(text), _AFTER_COMMAND.search(text)):
        if tail is None:
            continue
        value = text[: tail.start()].strip()
        unit = _canonical(tail[1], plain=_PLAIN_NUMBER.fullmatch(value) is not None, touching=not any_letter and
                          tail[1].isalpha() and not text[: tail.start(1)].endswith(" "))  # fmt: skip
        if unit is not None and re.search(r"[0-9]|\\pi|[A-Za-z]", value):
            return value, unit
    return text, None


def _canonical(tail: str, plain: bool, touching: bool) -> str | None:
    """One spelling of a unit; ``None`` if these letters are none.

    Args:
        tail: what stands after the value.
        plain: the value is a number in digits, so that any noun after it counts things.
        touching: the letters follow the value without a space.
    """
    if tail.startswith("^\\circ"):
        return re.sub(r"\\text|[\s{}]", "", tail)
    words = re.sub(r"\\text|[{}\\]|cdot", " ", tail).strip()
    if _NO_UNIT.search(words.lower()) or not words or re.search(r"[A-Za-z]\s+[0-9]", words):
        return None
    for pattern, spelling in _REWRITTEN:
        words = pattern.sub(spelling, words)
    atoms = re.findall(r"[A-Za-z]+|[^A-Za-z\s]+", words)
    units = list(map(_lookup, atoms))
    letters = len(re.findall("[A-Za-z]", words))
    if not _may_be_unit(letters, all(units), "\\text" in tail, plain, touching):
        return None
    return "".join(unit or atom.lower().removesuffix("s") for unit, atom in zip(units, atoms, strict=True))


def _may_be_unit(letters: int, known: bool, quoted: bool, plain: bool, touching: bool) -> bool:
    """Whether so many letters, of units that are known or not, in ``\\text{}`` or not, are a unit at all."""
    if quoted:
        return known or letters != 1
    if letters == 1:
        return known and plain and not touching
    return known or (plain and letters > 2)


def _lookup(word: str) -> str | None:
    if not word.isalpha():
        return word
    singular = word[:-1] if word.endswith("s") and len(word) > 2 else word
    for spelling in (word, singular):
        unit = _UNIT.get(spelling) or _LOWER.get(spelling.lower())
        if unit:
            return unit
    return None


def same_unit(left: str | None, right: str | None) -> bool:
    """Whether two units agree; one that was left out agrees with any, and so does a bare "units"."""
    if left is None or right is None or left == right:
        return True
    return any(unit.startswith("unit") for unit in (left, right))
