"""A card as GitHub's Markdown."""

from __future__ import annotations

import re

from analysis.card import BENCHMARK_HEAD, Card, text
from analysis.table import EMPTY
from kawhi.records.schema import Example

NO_COMMAND = "The record does not say the command."


def card_markdown(card: Card, record: str, whose: str) -> str:
    """``record`` is the link to the file, ``whose`` what the link says."""
    lines = [f"# {escaped(card.lead)}", ""]
    lines += [f"{escaped(card.caution)}.", ""] if card.caution else []
    lines += [*fenced(card.command, "sh"), ""] if card.command else [f"{EMPTY} {NO_COMMAND}", ""]
    lines += [f"[{whose}](<{record}>)", ""]
    if card.benchmarks:
        lines += ["## Scores", "", *_table([BENCHMARK_HEAD, *card.benchmarks]), ""]
    for section in card.sections:
        lines += [f"## {escaped(section.title)}", "", *_table([("", ""), *section.pairs]), ""]
    if card.examples:
        lines += ["## Responses of the last training step", ""]
        for example in card.examples:
            lines += [escaped(example_head(example)), "", *_table(_paragraphs(example)), ""]
    lines += ["<details><summary>Configuration</summary>", "", *fenced(card.config, "yaml"), "", "</details>", ""]
    return "\n".join(lines)


def example_head(example: Example) -> str:
    """What is known of a response as a whole."""
    problem = text(example.index)
    return f"Problem {problem}, step {example.step}: reward {example.reward:.4g}, advantage {example.advantage:.4g}"


def paragraph_numbers(weight: float, alpha: float | None) -> tuple[str, str]:
    """Weight and alignment as a card prints them."""
    return f"{weight:.3f}", EMPTY if alpha is None else f"{alpha:+.3f}"


def _paragraphs(example: Example) -> list[tuple[str, ...]]:
    lines = [(*paragraph_numbers(each.weight, each.alpha), each.text) for each in example.paragraphs]
    return [("Weight", "Alpha", "Paragraph"), *lines]


def _table(lines: list[tuple[str, ...]]) -> list[str]:
    rows = [f"| {' | '.join(map(escaped, line))} |" for line in lines]
    return [rows[0], f"|{' --- |' * len(lines[0])}", *rows[1:]]


def fenced(content: str, language: str) -> list[str]:
    """A block of code whose fence is longer than any in it."""
    longest = max((len(found) for found in re.findall("`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", content.rstrip("\n"), fence]


def escaped(content: str) -> str:
    """On one line, with no sign that Markdown or HTML would act on; an underscore inside a word is none."""
    line = " ".join(content.split())
    return re.sub(r"([\\`*\[\]<>|$~#&]|(?<!\w)_|_(?!\w))", r"\\\1", line)
