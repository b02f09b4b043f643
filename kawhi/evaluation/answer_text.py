"""Where the answer stands in a free-text response: rules for the scores that need no judge.

In this order: the last ``<answer>`` tag, the last ``\\boxed{}``, what follows the last "answer is" or "answer:", the
last line.  Nothing here raises, whatever the response, and every pass takes a time proportional to its length.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kawhi.evaluation.benchmark import Outcome, visible
from kawhi.rewards.answers import judge
from kawhi.rewards.boxed import boxed_answer
from kawhi.rewards.choices import choices_of, letter_and_text, names_another
from kawhi.rewards.latex import as_text, tidy
from kawhi.rewards.limits import MAX_CHARACTERS

_LETTERS = "ABCDEFGH"
_TAG, _END_TAG = re.compile("<answer>", re.IGNORECASE), re.compile("</answer>", re.IGNORECASE)
_PHRASE = re.compile(
    r"\b(?:answer|option|choice)\b(?: to (?:the|this) (?:question|problem))?\s{0,3}"
    r"(?:\bis\b|\bshould be\b|\bwould be\b|\bmust be\b|=|:|：)[ \t:]{0,3}",
    re.IGNORECASE,
)
_END_OF_SENTENCE = re.compile(r"\.\s|[,;]?\s(?:because|since|which|so|where|as)\s")
# Of an answer that begins with its letter: "B, because", "B (5 cm)", "B from the table"; A may be an article.
_LETTER_FIRST = re.compile(r"\(?([A-J])\)?(?=\s{0,3}(?:$|[,.;:(=–—-]))|\(?([B-H])\)?(?=\s)")
_MENTION = re.compile(r"\b(?i:option|choice|answer(?: is)?)\s\(?([A-J])(?![A-Za-z])|\(([A-Ja-j])\)|\b([A-J])[.)]{0,2}$")
_ALONE = re.compile(r"(?<![A-Za-z\\])[A-J](?![A-Za-z])")
_DENIAL = re.compile(r"\b(?:not|neither|except|exclud\w+|eliminat\w+|rul\w+ out|wrong|incorrect)\b", re.IGNORECASE)
_LABEL = re.compile(r"\s*\(?[A-J][).:]\s")
_FORMULA = re.compile(r"\$([^$\n]{1,300})\$|\\\(([^\n]{1,300}?)\\\)|\\\[([^\n]{1,300}?)\\\]")
_NUMBER = re.compile(r"(?:(?<![0-9A-Za-z)\]}])-)?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?")
_LIST = re.compile(r"\[[^\[\]\n]{0,300}\]")


def lettered(choices: Sequence[str]) -> dict[str, str]:
    """The choices by letter."""
    return {chr(ord("A") + i): choice for i, choice in enumerate(choices)}


def listed_choices(question: str, answer: str) -> dict[str, str]:
    """The choices in a question's text, by letter; letters without texts where the right one cannot be found there."""
    choices = choices_of(question)
    return choices if answer in choices else dict.fromkeys(_LETTERS, "")


def stated(response: str) -> str:
    """What the response calls its answer; empty when it calls nothing so."""
    text = visible(response)
    tags = list(_TAG.finditer(text))
    if tags:
        inside = text[tags[-1].end() :].strip()
        end = _END_TAG.search(inside)
        inside = inside[: end.start()].strip() if end else inside
        return boxed_answer(inside) or inside
    boxed = boxed_answer(text)
    if boxed is not None:
        return boxed
    text = text.replace("**", "")
    phrases = list(_PHRASE.finditer(text))
    if not phrases:
        return ""
    rest = text[phrases[-1].end() :].strip().split("\n", 1)[0]
    return _END_OF_SENTENCE.split(rest, maxsplit=1)[0].strip()


def chosen(response: str, choices: Mapping[str, str]) -> str:
    """The letter of the choice that the response takes; empty when it takes none, or more than one."""
    piece = stated(response)
    if not piece and _ends_in_a_list(response):
        return ""
    piece = piece or last_line(response)
    letter = _letter(piece, choices) or ("" if _DENIAL.search(piece) else _only_mention(piece, choices))
    return letter if letter in choices else ""


def value(response: str) -> str:
    """The answer of a question without choices: what is stated, else the last formula or number of the last line."""
    piece = stated(response)
    line = piece or last_line(response)
    formulas = ["".join(filter(None, found.groups())) for found in _FORMULA.finditer(line)]
    if piece:
        return formulas[0].strip() if len(formulas) == 1 else piece
    return formulas[-1].strip() if formulas else number(line) or line


def number(text: str) -> str:
    """The last number of a text, without separators; empty without one."""
    found = _NUMBER.findall(text)
    return found[-1].replace(",", "") if found else ""


def bracketed_list(text: str) -> str:
    """The last ``[...]`` of a text; empty without one."""
    found = _LIST.findall(text)
    return found[-1] if found else ""


def last_line(response: str) -> str:
    """The last line that says something, without marks of emphasis."""
    lines = [line for line in visible(response).replace("**", "").split("\n") if line.strip()]
    return lines[-1].strip() if lines else ""


def compare(response: str, truth: str, choices: Mapping[str, str]) -> Outcome:
    """The rule's outcome: the choice that was taken, else the value as ``kawhi.rewards.answers`` compares it.

    Args:
        truth: ground truth, a letter where there are choices.
        choices: texts by letter; empty for a free-form question.
    """
    if not visible(response).strip():
        return Outcome(0.0)
    if choices and truth in choices:
        letter = chosen(response, choices)
        if letter:
            return Outcome(float(letter == truth), letter)
        answer = stated(response)
    else:
        answer = value(response)
    if not answer or len(answer) > MAX_CHARACTERS:  # a whole paragraph is no answer
        return Outcome(0.0)
    return Outcome(float(judge(answer, truth, choices) == "right"), answer)


def _letter(piece: str, choices: Mapping[str, str]) -> str:
    if not piece or len(piece) > MAX_CHARACTERS:
        return ""
    text = tidy(piece)
    named = letter_and_text(text)
    if named and named[0] in choices:
        letter, rest = named
        own = as_text(tidy(choices[letter])) == as_text(rest)  # a choice's text may hold a letter of its own
        return letter if own or not names_another(rest) else ""
    same = [letter for letter, choice in choices.items() if choice and as_text(tidy(choice)) == as_text(text)]
    if len(same) == 1:
        return same[0]
    first = _LETTER_FIRST.match(text)
    return (first[1] or first[2]) if first and set(_ALONE.findall(text)) <= {first[1] or first[2]} else ""


def _ends_in_a_list(response: str) -> bool:
    """Whether the last two lines are labelled: the choices were copied, and the last of them is no answer."""
    lines = [line for line in visible(response).split("\n") if line.strip()]
    return len(lines) > 1 and all(_LABEL.match(line) for line in lines[-2:])


def _only_mention(piece: str, choices: Mapping[str, str]) -> str:
    """The one letter that is named as an option, if no other stands alone."""
    named = {next(filter(None, found.groups())).upper() for found in _MENTION.finditer(piece)}
    return named.pop() if len(named) == 1 and set(_ALONE.findall(piece)) <= named <= set(choices) else ""
