"""Answers made from truths: right forms, wrong neighbours, and how many of each are judged otherwise.

``python -m tests.evaluation.audit`` prints the table of docs/rewards.md.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from sys import stderr

import sympy
import yaml
from math_verify import parse, verify
from verl.utils.reward_score import geo3k

from kawhi.evaluation.benchmark import load
from kawhi.rewards import chart, math
from tests.rewards.test_answers import KNOWN_LIMITS

Judge = Callable[[str], bool]
RIGHT_LETTERS = (
    *("{L}", "({L})", "{{{L}}}", "[{L}]", '"{L}"', "{L}.", "\\text{{{L}}}", "\\boldsymbol{{{L}}}", "Option {L}"),
    *("\\mathbf{{({L})}}", "{L} ({text})", "{L} - {text}", "{L} – {text}", "{L} {text}", "{L}, {text}", "{L}: {text}"),
    *("({L}) {text}", "{L}. ${text}$", "\\text{{{L}. }} {text}", "{text} ({L})", "{text}", "${text}$", "{L}\\ "),
)
"""Of a right letter and its text; filled with a wrong letter and that one's text they are wrong."""
MIXED = (*(form for form in RIGHT_LETTERS if "{L}" in form and "{text}" in form), "{L} or {text}")
SAID = (
    *("Therefore, {L} is the correct answer.", "I choose {L}.", "({L})\nThe others do not fit.", "所以答案是{L}"),
    *(
        "故选{L}。",
        "<Answer>: <<{L}>>",
        "The correct option is ({L}).",
        "**Answer: {L}**",
        "So the answer must be {L}.",
    ),
    *("Both sides are equal.\nSo option {L}", "<think>A? B? C?</think><answer>{L}</answer>", "The answer is {text}."),
)
NOISE = (
    "{}",
    "{}\\,",
    "{}\\;",
    "{}\\ ",
    "{}\\\\",
    "${}$",
    "{{{}}}",
    "\\text{{Area}} = {}",
    "{}.",
    "\\boldsymbol{{{}}}",
    " {} ",
)
LINES = ("The sides are 7 and 9, so it is {}.", "We find {}", "x = {}", "Adding up:\n{}", "**{}**", "It must be ${}$")
CHOICES = [
    ("B", ["10 cm", "14 cm", "15 cm", "20 cm"]),
    ("C", [r"1.05 \mathrm{~m}", r"1.5 \mathrm{~m}", r"1.25 \mathrm{~m}", r"1.75 \mathrm{~m}"]),
    ("A", [r"\frac{1}{2}", r"\frac{1}{3}", r"\frac{2}{3}", "2"]),
    ("D", ["30°", "45°", "60°", "90°"]),
    ("B", ["increases", "decreases", "stays the same", "cannot be determined"]),
    ("C", [r"2\sqrt{3}", r"3\sqrt{2}", r"2\sqrt{2}", r"3\sqrt{3}"]),
    ("A", [r"9\pi", r"6\pi", r"12\pi", "9"]),
    ("D", ["(3, 4)", "(4, 3)", "(-3, 4)", "(3, -4)"]),
    ("E", ["12", "16", "18", "20", "24"]),
    ("B", ["2:3", "3:2", "4:9", "9:4"]),
    ("C", ["triangle", "square", "circle", "hexagon"]),
    ("A", ["x > 2", "x < 2", "x > -2", "x < -2"]),
]
VALUES = [  # truth, its other spellings, neighbours
    ("5", ["5.0", "5\\text{cm}"], ["6", "50", "0.5"]),
    ("24\\pi", ["24 \\pi", "24π"], ["24", "12\\pi", "24\\pi^2"]),
    ("\\frac{1}{2}", ["1/2", "0.5", "\\dfrac12"], ["2", "1", "\\frac{1}{3}"]),
    ("2\\sqrt{3}", ["2√3", "\\sqrt{12}"], ["3", "2", "3\\sqrt{2}"]),
    ("(3,-4)", ["(3, -4)", "\\left(3,-4\\right)"], ["-4", "(-4, 3)", "(3, 4)"]),
    ("-7", ["−7", "–7"], ["7", "-8"]),
    ("1,234", ["1234", "1{,}234"], ["234", "1.234"]),
    ("45^\\circ", ["45°", "45"], ["54°", "135"]),
    ("12 cm", ["12", "12\\text{ cm}"], ["12 m", "21 cm"]),
    ("3 \\times 10^{8}", ["300000000", "3 x 10^8"], ["3", "10^8", "3 \\times 10^{7}"]),
    ("2x+1", ["1 + 2x", "2 x + 1"], ["1", "2x", "2x-1"]),
    ("0.25", ["\\frac{1}{4}", ".25"], ["25", "0.52"]),
    ("\\sqrt{5}", ["√5", "5^{1/2}"], ["5", "-\\sqrt{5}"]),
    ("2:3", ["2 : 3", "\\frac{2}{3}"], ["3", "3:2"]),
]
NAMED = [  # truths that name their value
    ("Area $=9 \\pi \\mathrm{cm}^{2}$", ["9\\pi", "9π", "9\\pi \\text{ cm}^2"], ["9", "6\\pi", "9\\pi \\text{ m}^2"]),
    ("$5=s$", ["5", "s = 5", "5.0"], ["6", "s", "s = 6"]),
    ("Surface Area $=768 \\mathrm{~cm}^{2}$", ["768", "768 cm^2"], ["678", "768 cm^3"]),
    ("$x=12 \\mathrm{~mm}$", ["12", "12 mm", "x = 12"], ["21", "12 m", "x"]),
    ("Volume $=452.39$ $\\mathrm{cm}^{3}$", ["452.39", "452.39 \\text{ cm}^3"], ["452.93", "452.39 cm"]),
    ("$\\angle A=60^{\\circ}$", ["60", "60°", "60^\\circ"], ["30", "120°"]),
    ("Perimeter: 28 m", ["28", "28 m"], ["82", "28 cm"]),
    ("$\\frac{5}{13}=\\sin \\theta$", ["\\frac{5}{13}", "5/13"], ["\\frac{12}{13}", "13"]),
]
CHARTS = [
    ("-5", ["–5", "−5", "-5", "{-5}", "-5.1"], ["5", "–6", "{5}"]),
    ("14", ["{14}", "14", "14.2", "\\text{14}", "14\\,"], ["15", "{41}"]),
    ("54", ["54%", "54", "54\\%", "55"], ["0.54", "5.4%", "60%"]),
    ("54%", ["54%", "54", "0.54", "53\\%"], ["5.4", "0.0054", "45%"]),
    ("1998", ["1998", "{1998}", "1998\\ ", "\\text{1998}"], ["1997", "2008", "2050"]),
    ("2,500", ["2500", "2,500", "{2,500}", "2,510"], ["500", "25", "2,900"]),
    ("Coal", ["coal", '"Coal"', "\\text{Coal}", "{Coal}"], ["Gas", "Coal and gas"]),
]
EXTRACTED = [  # CharXiv
    ("60k", ["60k", "60K", "60,000", "The highest tick is 60k."], ["60", "6k", "60m"]),
    ("30, 40", ["30, 40", "[30, 40]", "30 and 40", "The answer is 30, 40."], ["30", "40, 30", "30, 50"]),
]
WORDS = [
    ("no", ["yes", "no"], "No, dark orchid is less than dim gray.", "Yes, dark orchid is less than dim gray."),
    ("yes", ["yes", "no"], "Yes, it is the largest.", "No, it is not."),
    ("yes", ["yes", "no"], "The bar is taller.\nSo yes, it is.", "The bar is taller.\nSo no."),
    ("red", ["red", "blue"], "Red, since that bar is taller.", "Blue, since that bar is taller."),
    ("B", ["x", "B", "C"], "B", "C"),
]
NOTHING = [
    "N/A",
    "",
    "cannot be determined",
    "None",
    "Not available",
    "The answer cannot be determined from the figure",
]


@dataclass(frozen=True)
class Case:
    """A truth in one setting: what judges, and texts that a fair grader would call right and wrong."""

    kind: str
    truth: str
    judge: Judge
    right: Sequence[str]
    wrong: Sequence[str]


def _choice_texts(letter: str, texts: Sequence[str], forms: Sequence[str]) -> tuple[list[str], list[str]]:
    by_letter = dict(zip("ABCDEFG", texts, strict=False))
    others = [each for each in by_letter if each != letter]
    right = [form.format(L=letter, text=by_letter[letter]) for form in forms]
    wrong = [form.format(L=other, text=by_letter[other]) for form in forms for other in others]
    for form in MIXED if forms is RIGHT_LETTERS else ():
        wrong += [form.format(L=letter, text=by_letter[other]) for other in others]
        article = ("A",) if form == "{L} {text}" else ()  # "A circle"
        wrong += [form.format(L=other, text=by_letter[letter]) for other in others if other not in article]
    return right, [*wrong, f"{letter} or {others[0]}", f"({others[0]}) or ({letter})", f"{letter}, {others[0]}"]


def _reward(truth: str, **extra: object) -> Judge:
    return lambda text: math.compute_score("", f"So \\boxed{{{text}}}", truth, extra)["acc"] == 1


def _rule(task: str, **facts: object) -> Judge:
    return lambda text: load(f"kawhi_{task}").rule({"id": "0", "question": "", **facts}, text).score == 1


def _boxed(judge: Judge) -> Judge:
    return lambda text: judge(f"So \\boxed{{{text}}}")


def _choices() -> Iterator[Case]:
    for letter, texts in CHOICES:
        right, wrong = _choice_texts(letter, texts, RIGHT_LETTERS)
        by_letter = dict(zip("ABCDEFG", texts, strict=False))
        yield Case("choices in a box, reward", letter, _reward(letter, choices=texts), right, wrong)
        rule = _rule("mathvision", answer=letter, options=texts)
        yield Case("choices in a box, rule", letter, _boxed(rule), right, wrong)
        said = _choice_texts(letter, texts, SAID)
        yield Case("choices in sentences, rule", letter, _rule("wemath", answer=letter, choices=by_letter), *said)


def _values() -> Iterator[Case]:
    for truth, same, others in VALUES:
        right = [form.format(text) for text in (truth, *same) for form in NOISE]
        wrong = [form.format(text) for text in others for form in NOISE]
        yield Case("values in a box, reward", truth, _reward(truth), right, wrong)
        rule = _rule("mathverse", answer=truth, choices={})
        yield Case("values in a box, rule", truth, _boxed(rule), right, wrong)
        right = [form.format(text) for text in (truth, *same) for form in LINES]
        wrong = [form.format(text) for text in others for form in LINES]
        yield Case("values without a box, rule", truth, rule, right, wrong)
    for truth, right, wrong in NAMED:
        yield Case("truths that name their value, reward", truth, _reward(truth), [truth, *right], wrong)
        rule = _rule("mathverse", answer=truth, choices={})
        yield Case("truths that name their value, rule", truth, _boxed(rule), [truth, *right], wrong)


def _short() -> Iterator[Case]:
    for truth, right, wrong in CHARTS:

        def reward(text: str, truth: str = truth) -> bool:
            return chart.compute_score("", f"\\boxed{{{text}}}", truth)["acc"] == 1

        yield Case("charts, reward", truth, reward, right, wrong)
    for truth, right, wrong in EXTRACTED:
        rule = _rule("charxiv_reasoning", answer=truth, kind="number_in_chart")
        yield Case("numbers with letters and lists, rule", truth, rule, right, wrong)
    for truth, texts, right, wrong in WORDS:
        facts = {"answer": truth, "choices": texts, "question_type": "multi_choice", "answer_type": "text"}
        yield Case("options named by their text, rule", truth, _rule("mathvista", **facts), [right], [wrong])
    matches = load("kawhi_mathvista").verdict
    assert matches is not None
    for truth in ("no", "maybe"):
        facts = {"answer": truth, "choices": ["yes", "no", "maybe"], "question_type": "multi_choice"}

        def found(text: str, facts: dict = facts) -> bool:
            return matches(facts, "", None, [{"extraction": text}]).score == 1

        yield Case("nothing found, MathVista's judge", truth, found, [truth], NOTHING)


def cases() -> list[Case]:
    """All of them; a text counts once in a case."""
    found = [*_choices(), *_values(), *_short()]
    return [
        Case(c.kind, c.truth, c.judge, *(list(dict.fromkeys(texts)) for texts in (c.right, c.wrong))) for c in found
    ]


def audit() -> dict[str, tuple[list[tuple[str, str]], int, list[tuple[str, str]], int]]:
    """By kind: (truth, text) of what is right and judged wrong, how many are right, and the other way round."""
    found: dict[str, tuple[list[tuple[str, str]], int, list[tuple[str, str]], int]] = {}
    for case in cases():
        missed, right, taken, wrong = found.get(case.kind, ([], 0, [], 0))
        missed = missed + [(case.truth, text) for text in case.right if not case.judge(text)]
        taken = taken + [(case.truth, text) for text in case.wrong if case.judge(text)]
        found[case.kind] = (missed, right + len(case.right), taken, wrong + len(case.wrong))
    return found


def drawn(count: int = 200) -> Iterator[tuple[str, str, bool]]:
    """Answers, truths and whether they are equal, drawn with sympy, which also says what is equal."""
    rng, x = random.Random(0), sympy.Symbol("x")
    for _ in range(count):
        root, power = sympy.sqrt(rng.choice((2, 3, 5))), x ** rng.choice((1, 2))
        a, b, c = (sympy.Integer(rng.choice((-7, -4, -3, -1, 1, 2, 3, 5, 8, 12))) for _ in "abc")
        truth = rng.choice(
            (a / b, a * root / c, a * sympy.pi / b + c, a + b * root, a * power + b * x + c, (x + a) * (x - b))
        )
        for other in (sympy.expand(truth), sympy.together(truth), sympy.factor(truth), -truth, truth + 1, truth * 2):
            spelling = rng.choice((sympy.latex(other), str(other).replace("**", "^")))
            yield spelling, sympy.latex(truth), sympy.simplify(other - truth) == 0


def pairs() -> dict[str, list[tuple[str, str, bool, bool]]]:
    """By source: answers in a box, their truths, whether a fair grader says right, and whether our reward does."""
    table = yaml.safe_load((Path(__file__).parents[1] / "rewards" / "answer_pairs.yaml").read_text(encoding="utf-8"))
    found: dict[str, list[tuple[str, str, bool, bool]]] = {}
    for group in table:
        for answer, truth, fair in [(*each, word == "right") for word in ("right", "wrong") for each in group[word]]:
            kind = "table of pairs, choices" if "choice" in group["kind"] else "table of pairs, values"
            ours = _reward(truth, choices=group.get("choices"))(answer)
            found.setdefault(kind, []).append((answer, truth, fair, ours))
    for answer, truth, ours, _ in KNOWN_LIMITS:
        found.setdefault("known limits of ours", []).append((answer, truth, ours == "wrong", ours == "right"))
    for answer, truth, fair in dict.fromkeys(drawn()):
        found.setdefault("drawn with sympy", []).append((answer, truth, fair, _reward(truth)(answer)))
    for case in cases():
        if case.kind.endswith(" reward") and not case.kind.startswith("charts"):
            for text, fair in [*((each, True) for each in case.right), *((each, False) for each in case.wrong)]:
                found.setdefault(f"audit, {case.kind[:-8]}", []).append((text, case.truth, fair, case.judge(text)))
    return found


def _math_verify(answer: str, truth: str) -> bool:
    return verify(parse(f"${truth}$", parsing_timeout=None), parse(f"\\boxed{{{answer}}}", parsing_timeout=None))


def _verl(answer: str, truth: str) -> bool:
    return geo3k.acc_reward(f"\\boxed{{{answer}}}", truth) == 1


def graders() -> Iterator[str]:
    """Rows of a table: our reward beside math-verify and beside verl's grader of Geo3K."""
    for kind, those in pairs().items():
        row = [kind, str(len(those))]
        for theirs in (_math_verify, _verl):
            differ = [(fair, ours) for answer, truth, fair, ours in those if theirs(answer, truth) != ours]
            own = sum(fair == ours for fair, ours in differ)
            row += [str(len(differ)), str(own), str(len(differ) - own)]
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    print("| | right, judged wrong | wrong, judged right |\n| --- | --- | --- |")
    for kind, (missed, right, taken, wrong) in audit().items():
        print(*missed, *taken, sep="\n", file=stderr)
        print(f"| {kind} | {len(missed)} of {right} | {len(taken)} of {wrong} |")
    print("\n| | pairs | math-verify differs | we are right | it is | verl differs | we are right | it is |")
    print(*("| " + " | ".join(["---"] * 8) + " |", *graders()), sep="\n")
