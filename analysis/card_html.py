"""A card as a page that needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from analysis.card import BENCHMARK_HEAD, Card, Section, curve_text
from analysis.card_markdown import NO_COMMAND, example_head, paragraph_numbers
from analysis.render_html import page
from analysis.table import EMPTY
from kawhi.records.schema import Curve, Example

CSS = """
body { max-width: 1080px; }
h1 { font-size: 1.3rem; }
pre { overflow-x: auto; background: var(--ground); border-radius: 6px; padding: 12px; margin: 8px 0 0;
  font-size: .8rem; }
section > h2 + dl { margin-top: 8px; }
dl { grid-template-columns: minmax(13em, auto) minmax(0, 1fr); }
dd { overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
td.words { text-align: left; white-space: normal; overflow-wrap: anywhere; }
figure.chart { margin: 10px 0 0; }
thead th.words, thead th + th.words { text-align: left; }
thead th:first-child:not(.words) { text-align: right; padding-right: 10px; }
td.words:first-child { padding-left: 0; }
.chart svg { display: block; overflow: visible; font-size: 12px; }
.examples table { width: 100%; margin: 4px 0 16px; }
@media (max-width: 620px) { dl { grid-template-columns: minmax(0, 1fr); } }
"""
WIDTH, HEIGHT = 480, 90
WORDS = ' class="words"'


def card_html(card: Card, record: str) -> str:
    """``record`` is the link to the file."""
    command = f"<pre><code>{escape(card.command)}</code></pre>" if card.command else f"<p>{EMPTY} {NO_COMMAND}</p>"
    caution = f'<p class="note">{escape(card.caution)}.</p>' if card.caution else ""
    parts = [
        f"<header><h1>{escape(card.lead)}</h1>{caution}</header>",
        f'<section><h2>Command</h2>{command}<p><a href="{escape(record)}">Record</a></p></section>',
    ]
    if card.benchmarks:
        parts.append(f"<section><h2>Scores</h2>{_table(BENCHMARK_HEAD, card.benchmarks)}</section>")
    parts += [_section(section, card) for section in card.sections]
    if card.examples:
        shown = "".join(map(_example, card.examples))
        parts.append(f'<section class="examples"><h2>Responses of the last training step</h2>{shown}</section>')
    parts.append(
        f"<section><details><summary>Configuration</summary><pre>{escape(card.config)}</pre></details></section>"
    )
    return page(card.lead, "\n".join(parts), CSS)


def _section(section: Section, card: Card) -> str:
    pairs = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in section.pairs)
    drawn = ""
    if section.title == "Training":
        drawn = _drawing("Reward by step", sparkline(card.reward)) + _drawing("Tokens by weight", bars(card.histogram))
    return f"<section><h2>{escape(section.title)}</h2>{drawn}<dl>{pairs}</dl></section>"


def _drawing(title: str, svg: str) -> str:
    return f'<figure class="chart"><figcaption>{title}</figcaption>{svg}</figure>' if svg else ""


def sparkline(curve: Curve) -> str:
    """Steps that did not log the value are gaps."""
    known = [value for value in curve if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    across, up = WIDTH / max(len(curve) - 1, 1), HEIGHT / ((high - low) or 1.0)
    runs: list[list[str]] = [[]]
    for i, value in enumerate(curve):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{i * across:.1f},{HEIGHT - (value - low) * up:.1f}")
    lines = "".join(f'<polyline points="{" ".join(run)}"/>' for run in runs if run)
    dots = "".join(
        f'<circle cx="{run[0].split(",")[0]}" cy="{run[0].split(",")[1]}" r="2"/>' for run in runs if len(run) == 1
    )
    return (
        f'<svg role="img" aria-label="{escape(curve_text(curve))}" width="{WIDTH + 60}" height="{HEIGHT + 12}" '
        f'viewBox="-4 -6 {WIDTH + 60} {HEIGHT + 12}"><g fill="none" stroke="#0072B2" stroke-width="1.6">{lines}</g>'
        f'<g fill="#0072B2">{dots}</g><text x="{WIDTH + 8}" y="8">{high:.4g}</text>'
        f'<text x="{WIDTH + 8}" y="{HEIGHT}">{low:.4g}</text></svg>'
    )


def bars(counts: Sequence[int]) -> str:
    """A bar for each bin of [0, 1], and one for what is above."""
    if not counts or not max(counts):
        return ""
    wide = WIDTH / len(counts)
    drawn = "".join(
        f'<rect x="{i * wide:.1f}" y="{HEIGHT * (1 - count / max(counts)):.1f}" width="{wide - 1.5:.1f}" '
        f'height="{HEIGHT * count / max(counts):.1f}"/>'
        for i, count in enumerate(counts)
    )
    return (
        f'<svg role="img" aria-label="{sum(counts)} tokens" width="{WIDTH + 60}" height="{HEIGHT + 22}" '
        f'viewBox="-4 -6 {WIDTH + 60} {HEIGHT + 22}"><g fill="#0072B2">{drawn}</g>'
        f'<text x="0" y="{HEIGHT + 13}">0</text><text x="{WIDTH - 2 * wide:.1f}" y="{HEIGHT + 13}">1</text>'
        f'<text x="{WIDTH - wide + 6:.1f}" y="{HEIGHT + 13}">&gt; 1</text></svg>'
    )


def _example(example: Example) -> str:
    lines = [(*paragraph_numbers(each.weight, each.alpha), each.text) for each in example.paragraphs]
    shades = [min(max(each.weight, 0.0), 1.0) for each in example.paragraphs]
    return f"<p>{escape(example_head(example))}</p>{_table(('Weight', 'Alpha', 'Paragraph'), lines, shades)}"


def _table(head: Sequence[str], lines: Sequence[tuple[str, ...]], shades: Sequence[float] = ()) -> str:
    """The first column of scores and the last of paragraphs are words."""
    words = len(head) - 1 if shades else 0
    names = "".join(f'<th scope="col"{WORDS if j == words else ""}>{escape(name)}</th>' for j, name in enumerate(head))
    body = ""
    for i, line in enumerate(lines):
        shade = f' style="background: rgb(0 114 178 / {0.6 * shades[i]:.2f})"' if shades else ""
        cells = "".join(
            f"<td{WORDS + shade if j == words else ''}>{escape(value)}</td>" for j, value in enumerate(line)
        )
        body += f"<tr>{cells}</tr>"
    return f'<div class="scroll"><table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>'
