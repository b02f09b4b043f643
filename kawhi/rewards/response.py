"""Where the answer stands in a response: the one finder of every rule.  What a benchmark does otherwise is a parameter.

In this order: the last ``<answer>`` tag, the last ``\\boxed{}``, what follows the last "answer is" or "answer:", the
last line.  Nothing here raises, whatever the response, and every pass takes a time proportional to its length.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kawhi.rewards.answers import choice_of
from kawhi.rewards.boxed import boxed_answer
from kawhi.rewards.chart_text import tidy as chart_tidy
from kawhi.rewards.choices import ALONE, DENIAL, letter_and_text
from kawhi.rewards.latex import as_text, tidy
from kawhi.rewards.limits import MAX_CHARACTERS
from kawhi.rewards.units import split_unit

_TAG, _END_TAG = re.compile("<answer>", re.IGNORECASE), re.compile("</answer>", re.IGNORECASE)
_PHRASE = re.compile(
    r"(?:\b(?:answer|option|choice)\b(?: to (?:the|this) (?:question|problem))?[\s*_\"]{0,3}"
    r"(?:\b(?:is|are|(?:should|would|must) be)\b|=|:|：)"
    r"|(?:答案|选项)(?:应该|应当|应)?\s{0,3}(?:是|为|选|:|：))[\s:：*_]{0,9}",
    re.IGNORECASE,
)
_END_OF_SENTENCE = re.compile(r"\.\s|。|[,;，；]?\s(?:because|since|which|so|where|as)\s")
# Of a short answer, which may be a name: no end after an initial ("U.S. Bank"), nor before a small letter.
_NEXT_SENTENCE = re.compile(r"(?<![.\s][A-Za-z])\.\s+(?=[A-Z])")
_MENTION = re.compile(
    r"(?i:\b(?:option|choice|answer(?: is)?|choose|select|pick)\s|选[择项]?\s?|答案\s?)\(?([A-J])(?![A-Za-z])"
    r"|\(([A-Ja-j])\)"
    r"|(?<![A-Za-z\\])([A-J])\s(?:is|must be)\s(?:the\s)?(?:only\s)?(?:correct|right|best|final|answer)\b"
    r"|(?<![A-Za-z\\])([A-J])[.)。]{0,2}$"
)
_LABEL = re.compile(r"\s*\(?[A-J](?:[).:]\s|\)\s*$)")
_WORDS = ({"yes", "no"}, {"true", "false"})
_FORMULA = re.compile(r"\$([^$\n]{1,300})\$|\\\(([^\n]{1,300}?)\\\)|\\\[([^\n]{1,300}?)\\\]")
_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?"
_NUMBER = re.compile(rf"(?:(?<![0-9A-Za-z)\]}}])-)?{_DIGITS}")
_LIST = re.compile(r"\[[^\[\]\n]{0,300}\]")
_IS = re.compile(r"(?:\b(?:is|are|was|were|equals)\b|=)\s*", re.IGNORECASE)
_IN_TEXT = re.compile(r"(?<![\w.,/])[-+−–]?[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?\s?%?(?![\w/])")

# Pieces of an expression in running text, and what may stand between two of them.
_PIECE = re.compile(
    r"(?:\\[dt]?frac(?:\s?\{[^{}]{1,40}\}\s?\{[^{}]{1,40}\}|[0-9]{2})|\\sqrt(?:\[[0-9]\])?\s?\{[^{}]{1,40}\}"
    r"|(?:√|(?<![A-Za-z])sqrt)\s?(?:\([^()]{1,40}\)|[0-9]+|[a-z](?![a-z]))|(?:\\pi|π|(?<![A-Za-z])pi)(?![A-Za-z])"
    rf"|(?<![A-Za-z_0-9])[0-9]+\s[0-9]+/[0-9]+|(?<![A-Za-z_])(?:{_DIGITS}(?:[eE][-+]?[0-9]{{1,3}}(?![0-9]))?|\.[0-9]+)"
    r"|[(\[](?:[^()\[\]A-Za-z\n]|(?<![A-Za-z])[A-Za-z](?![A-Za-z])|\\[a-z]+|sqrt|pi){1,60}[)\]]"
    r"|(?<![A-Za-z\\])(?!x\s10)[A-Za-z](?![A-Za-z]))"
    r"(?:\^\s?(?:\{[^{}]{1,20}\}|-?[0-9A-Za-z])|[²³])?(?:\s?\\?[%°!]|\s?\^\s?\{?\\circ\}?)?"
)
_JOINT = re.compile(
    r"(\s?)(?:[-+*/^:±×÷·−≈]|\\(?:times|cdot|div|pm|approx)(?![A-Za-z]))\1"
    r"|\sx\s(?=10)|\s(?=[√π\\]|sqrt|pi|[a-z]\s[-+]\s)|"
)
_SIGN = re.compile(r"(?<![0-9A-Za-z)\]}])[-−–±]\s?$")
_UNIT = re.compile(r"\s?([A-Za-z]+(?:\^\{?[23]\}?|[²³])?(?:/[A-Za-z]+)?)([\s.*]*$)?")
_COUNTS = re.compile(r"[0-9π]|\\pi|pi")


def visible(response: str) -> str:
    """What follows the last ``</think>``, stripped; the whole response where there is none, as in lmms-eval.

    Of a response that opens ``<think>``, never closes it and marks no answer, nothing counts: it was cut off.
    """
    text = response.rpartition("</think>")[2].strip()
    return "" if text.startswith("<think>") and not any(mark in text for mark in ("<answer>", "\\boxed")) else text


def stated(response: str, names: bool = False) -> str:
    """What the response calls its answer; empty when it calls nothing so.

    Args:
        names: the answer may be a name with full stops in it, such as "U.S. Bank".
    """
    text = visible(response)
    tags = list(_TAG.finditer(text))
    if tags:
        inside = text[tags[-1].end() :].strip()
        end = _END_TAG.search(inside)
        inside = (inside[: end.start()] if end else inside).lstrip(":： ").strip()
        return boxed_answer(inside) or inside
    boxed = boxed_answer(text)
    if boxed is not None:
        return boxed
    text = text.replace("**", "")
    phrases = list(_PHRASE.finditer(text))
    if not phrases:
        return ""
    rest = text[phrases[-1].end() :].strip().split("\n", 1)[0]
    return (_NEXT_SENTENCE if names else _END_OF_SENTENCE).split(rest, maxsplit=1)[0].strip()


def last_line(response: str) -> str:
    """The last line that says something, without marks of emphasis."""
    return next(reversed(_lines(response)), "")


def _lines(response: str) -> list[str]:
    lines = visible(response).replace("**", "").split("\n")
    return [line.strip() for line in lines if line.strip()]


def chosen(response: str, choices: Mapping[str, str]) -> str:
    """The letter of the choice that the response takes; empty when it takes none, or more than one."""
    piece, lines = stated(response), _lines(response)
    if piece or not lines:
        return _letter(piece, choices) or ""
    return _letter_of_lines(lines, choices)


def _letter_of_lines(lines: Sequence[str], choices: Mapping[str, str]) -> str:
    """The choice that the last line takes, else the first one."""
    labelled = [line for line in lines if _LABEL.match(line)]
    if len(lines) > 1 and labelled[-2:] == lines[-2:]:
        return ""  # the choices were copied, and the last of them is no answer
    letter = _letter(lines[-1], choices)
    if letter is None and len(labelled) < 2 and letter_and_text(lines[0]):
        letter = _letter(lines[0], choices)
    return _opening_text(lines, choices) if letter is None else letter


def _letter(piece: str, choices: Mapping[str, str]) -> str | None:
    """The choice that a piece of a response takes; empty for a bet on two, ``None`` where it names none."""
    text = tidy(piece) if len(piece) <= MAX_CHARACTERS else ""
    taken = choice_of(text, choices) if text else None
    if taken is not None or DENIAL.search(piece):
        return taken
    named = {next(filter(None, found.groups())).upper() for found in _MENTION.finditer(piece)}
    return named.pop() if len(named) == 1 and set(ALONE.findall(piece)) <= named <= set(choices) else None


def _opening_text(lines: Sequence[str], choices: Mapping[str, str]) -> str:
    """The choice whose text the first or the last line opens with: ``No, the red one is longer``."""
    by_text = {as_text(tidy(text)): letter for letter, text in choices.items() if text}
    if (words := set(by_text)) in _WORDS:
        return by_text.get(first_word("\n".join(lines), sorted(words)), "")
    opened = {
        by_text.get(as_text(tidy(re.split(r"[,.;:–—]\s", line, maxsplit=1)[0]))) for line in (lines[0], lines[-1])
    }
    opened.discard(None)
    return opened.pop() or "" if len(opened) == 1 else ""


def value(response: str) -> str:
    """The answer of a question without choices: what is stated, else the last formula of the last line.

    A formula stands between dollars or the like, or is an expression in the text: ``24π``, not its 24.
    """
    piece = stated(response)
    line = piece or last_line(response)
    formulas = ["".join(filter(None, found.groups())) for found in _FORMULA.finditer(line)]
    if piece:
        return formulas[0].strip() if len(formulas) == 1 and formulas[0][:1] != "=" else piece
    return formulas[-1].strip() if formulas else _expression(line[-MAX_CHARACTERS:].replace("{,}", ",")) or line


def _expression(line: str) -> str:
    """The last expression with a number in a line of text, with its unit where the line ends with that.

    Empty where it goes on with letters that are no unit.
    """
    start, end = next((run for run in reversed(_runs(line)) if _COUNTS.search(line, *run)), (0, 0))
    word = _UNIT.match(line, end)
    if word and _is_unit(word[1]):
        end = end if word[2] is None else word.end(1)
    elif word and word.start(1) == end:
        return ""
    sign = _SIGN.search(line, 0, start)
    found = line[sign.start() if sign else start : end].strip()
    return found.replace(",", "") if _NUMBER.fullmatch(found) else found


def _is_unit(word: str) -> bool:
    """Whether a word after a number is a unit that has a name, not a thing that is counted."""
    return split_unit(f"{1 if len(word) == 1 else '(1)'} {word}")[1] is not None


def _runs(line: str) -> list[tuple[int, int]]:
    """Where expressions stand in a line of text."""
    runs: list[tuple[int, int]] = []
    for piece in _PIECE.finditer(line):
        joint = _JOINT.match(line, runs[-1][1]) if runs else None
        if joint and joint.end() == piece.start():
            runs[-1] = (runs[-1][0], piece.end())
        else:
            runs.append(piece.span())
    return runs


def number(text: str) -> str:
    """The last number of a text, without separators; empty without one."""
    found = _NUMBER.findall(text)
    return found[-1].replace(",", "") if found else ""


def bracketed_list(text: str) -> str:
    """The last ``[...]`` of a text; empty without one."""
    found = _LIST.findall(text)
    return found[-1] if found else ""


def final_answer(response: str) -> str:
    """The short answer that is stated, else the last line; without mark-up, empty where there is neither."""
    return chart_tidy(stated(response, names=True) or last_line(response))


def candidates(response: str) -> list[str]:
    """Readings of the response that a rule may compare with the truth, a short answer.

    The whole of it, its final answer, what follows the last "is" of that, and the only number of that.  None of them
    depends on the truth.
    """
    answer = final_answer(response)
    after = _IS.split(answer)[-1].strip()
    numbers = _IN_TEXT.findall(after) or _IN_TEXT.findall(answer)
    found = [chart_tidy(visible(response)), answer, chart_tidy(after), *(numbers if len(numbers) == 1 else [])]
    return [each for each in dict.fromkeys(found) if each and len(each) <= MAX_CHARACTERS]


def first_word(response: str, words: Sequence[str]) -> str:
    """Which of some lower-case words, such as yes and no, the response answers with; empty where it is none.

    The word that the stated answer, or the response, opens with; else the only one of them in the stated answer, or in
    the last line that has any.  "Yes or no", "not yes" and the "no" of "no other bar" say neither.
    """
    marked = chart_tidy(stated(response, names=True))
    if marked:
        return _opening(marked, words) or _only(_said(marked, words))
    lines = visible(response).split("\n")
    if opening := _opening(lines[0], words):
        return opening
    for line in reversed(lines):
        if said := _said(line, words):
            return _opening(line, words) or _only(said)
    return ""


def _only(said: set[str]) -> str:
    return next(iter(said)) if len(said) == 1 else ""


def _opening(piece: str, words: Sequence[str]) -> str:
    """The word that a piece starts with, unless it goes on with "or" or "and" and another of the words."""
    either = "|".join(words)
    found = re.match(rf"[*_`\"'\s]*({either})\b(?!\s*(?:or|and|/)\s*(?:{either})\b)", piece, re.IGNORECASE)
    return found[1].lower() if found else ""


def _said(piece: str, words: Sequence[str]) -> set[str]:
    """Those of the words that a piece says of itself: not after "not", and not the "no" of "no other bar"."""
    either = "|".join(words)
    found = re.findall(rf"(?<!\bnot )\b({either})\b(?!(?<=no)\s+\w)", piece, re.IGNORECASE)
    return {word.lower() for word in found}
