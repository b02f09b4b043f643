"""The tables of docs/performance.md, made from what was measured.

python benchmarks/report.py        # benchmarks/results/*.json -> docs/performance.md, between its markers
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if not __package__:  # run as a script
    sys.path[0] = str(ROOT)

from benchmarks.races import RESULTS, Race, Session, Target  # noqa: E402

PAGE = ROOT / "docs" / "performance.md"
BLOCKS = {
    "start-up": "start-up*.json",
    "middle": "middle*.json",
    "statistics": "statistics*.json",
    "entropy": "entropy*.json",
    "passes": "passes*.json",
    "overhead": "overhead-*.json",
    "judge": "judge*.json",
}
"""Marker in the page -> the results shown there."""

_TITLES = {
    "start-up processor": "A small cell, processor seconds of all its processes",
    "start-up wall": "The same cell, seconds on the wall",
    "regions": "SGUF",
    "growth": "SGUF, time per pixel at 16 megapixels and at fewer",
    "alignment": "Alignment",
    "weights": "Weights of a batch",
    "statistics": "One response of 2,048 tokens, a prompt of 1,024, all of them selected, Qwen2.5-VL-7B's attention",
    "statistics step": "A step of the tiny world: alpha of its responses, and the two passes over them",
    "statistics counted": "Operations, in thousands of millions: alpha of that response, and the forward pass",
    "entropy": "Rows of 152,064 logits, p = 0.99",
    "passes": "Log-probs and entropies of a step of the tiny world beside other images",
    "overhead": "The old-log-prob pass with capture and alignment, and without",
    "overhead alone": "Capture and alignment alone, and what they are part of",
    "overhead memory": "Peak memory of the pass with capture and alignment, and without",
    "judge": "1,000 judged samples, from the file of samples to the score",
    "judge overhead": "What a judged sample costs this machine",
}
_ORDER = {section: i for i, section in enumerate(_TITLES)}


def main() -> None:
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(targets(race for files in BLOCKS.values() for session in _sessions(files) for race in session.races))


def filled(page: str) -> str:
    """The page with all results between its markers."""
    for name, files in BLOCKS.items():
        page = fill(page, name, block(_sessions(files)))
    return page


def fill(page: str, name: str, content: str) -> str:
    """The page with ``content`` between the markers of ``name``.

    Raises:
        ValueError: the page does not have these markers, once and in order.
    """
    begin, end = f"<!-- {name}: begin, written by benchmarks/report.py -->", f"<!-- {name}: end -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if len(pattern.findall(page)) != 1:
        raise ValueError(f"the page needs one block from {begin!r} to {end!r}")
    return pattern.sub(lambda _: f"{begin}\n\n{content}\n\n{end}", page)


def block(sessions: Sequence[Session]) -> str:
    """Where and when, the targets, and all measurements, per machine."""
    parts = []
    for _, group in groupby(sessions, key=lambda s: (s.machine, s.date, s.versions)):
        together = list(group)
        races = sorted((race for session in together for race in session.races), key=lambda race: _ORDER[race.section])
        parts += [_origin(together), targets(races)]
        for section, shown in groupby(races, key=lambda race: race.section):
            parts += [f"**{_TITLES[section]}**", _measurements(list(shown))]
    return "\n\n".join(parts) if parts else "Nothing was measured."


def targets(races: Iterable[Race]) -> str:
    """Every promise, and whether it was kept."""
    head = ("Target", "Measured on", "Measured", "Limit", "Met")
    rows = [
        (target.claim, race.setting, *_compared(race, target), "yes" if race.meets(target) else "**no**")
        for race in races
        for target in race.targets
    ]
    return _table(head, rows, numbers=range(2, 4))


def _sessions(files: str) -> list[Session]:
    return [Session.read(file) for file in sorted(RESULTS.glob(files))]


def _origin(sessions: Sequence[Session]) -> str:
    first = sessions[0]
    versions = ", ".join(f"{package} {version}" for package, version in first.versions.items())
    commands = ", ".join(f"`{session.command}`" for session in sessions)
    load = ", ".join(f"{session.load:g}" for session in sessions)
    return f"{first.machine}; {first.date}; load average at the start {load}; {versions}. Command: {commands}."


def _measurements(races: Sequence[Race]) -> str:
    rivals = list(dict.fromkeys(name for race in races for name in race.rivals))
    rows = []
    for race in races:
        cells = [
            f"{_number(race.rivals[name])} ({_number(race.rivals[name] / race.kawhi)}×)" if name in race.rivals else "–"
            for name in rivals
        ]
        rows.append((race.setting, race.unit, _number(race.kawhi), *cells))
    return _table(("Measured on", "Unit", "KAWHI", *rivals), rows, numbers=range(2, 3 + len(rivals)))


def _compared(race: Race, target: Target) -> tuple[str, str]:
    """What was measured and its limit, in the same unit."""
    sign = "≤" if target.sense == "at_most" else "≥"
    measured, limit, unit = race.measured(target), target.limit, "×"
    if target.rival is None:
        unit = f" {race.unit}"
    elif limit < 0.5:
        measured, limit, unit = 100 * measured, 100 * limit, "%"
    elif limit < 1.1:  # a ratio that is to be almost 1
        return f"{measured:.4f}{unit}", f"{sign} {limit:.4f}{unit}"
    return f"{_number(measured)}{unit}", f"{sign} {limit:g}{unit}"


def _number(value: float) -> str:
    """Three significant digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Iterable[int]) -> str:
    right = set(numbers)
    rule = ["---:" if i in right else "---" for i in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


if __name__ == "__main__":
    main()
