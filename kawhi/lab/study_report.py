"""A study's runs as a table (Markdown, CSV, JSON), as one line each, and as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from kawhi.base.files import write_atomically, write_json
from kawhi.lab.comparison import (
    UNIFORM,
    Compared,
    Series,
    compare,
    could_tell,
    declared,
    first_line,
    gain_text,
    p_text,
    verdict,
)
from kawhi.lab.run_files import Run
from kawhi.lab.study_figures import draw_curves, draw_gains

Group = tuple[str, str]
"""Family and algorithm; methods are compared within one."""


def groups(runs: Sequence[Run]) -> dict[Group, list[tuple[Series, list[dict[str, Any]]]]]:
    """Of each family and algorithm, its methods with the finished runs of each, in the order of the study."""
    found: dict[Group, dict[str, list[dict[str, Any]]]] = {}
    rows = {}
    for run in runs:
        own = found.setdefault((run.family, run.algorithm), {}).setdefault(run.row.label, [])
        rows[run.row.label] = run.row
        if run.done:
            own.append(run.result())
    return {
        group: [(_series(label, rows[label].credit, results), results) for label, results in methods.items() if results]
        for group, methods in found.items()
    }


def _series(label: str, credit: str, results: Sequence[Mapping[str, Any]]) -> Series:
    after = {result["seed"]: 100 * result["measured"][-1]["read"] for result in results}
    spent = [result.get("processor_seconds") for result in results]
    return Series(label, credit, after, None if None in spent else sum(filter(None, spent)) / 60)


def write(
    runs: Sequence[Run],
    folder: Path,
    pairs: Sequence[Sequence[str]] = (),
    probed: Mapping[Group, Mapping[str, str]] | None = None,
) -> str:
    """Writes all files into a folder; returns the table as it is printed.

    Args:
        pairs: declared comparisons, by labels.
        probed: of each family and algorithm, what the probe says of each method.
    """
    parts, rows = [], []
    for group, methods in groups(runs).items():
        if not any(series.credit == UNIFORM for series, _ in methods):
            continue  # nothing is there to compare with yet
        found = compare([series for series, _ in methods])
        what, name = ", ".join(group), "-".join(group)
        table = _table(found, (probed or {}).get(group, {}))
        parts.append(f"{first_line(found, what)}\n\n{table.to_markdown(index=False)}\n")
        tested = sum(each.p is not None for each in found)
        parts += [f"Each interval is that of its row alone; p is corrected for {tested} rows.\n"] if tested else []
        said = [declared(pair, [series for series, _ in methods]) for pair in pairs]
        parts += [f"{line}\n" for line in said if line is not None]
        told = could_tell(found)
        rows += [{"family": group[0], "algorithm": group[1], **asdict(each), "could_tell": told} for each in found]
        draw_gains(found, what, [folder / f"gains-{name}.{kind}" for kind in ("png", "pdf")])
        curves = {series.label: [result["measured"] for result in results] for series, results in methods}
        draw_curves(curves, what, [folder / f"curves-{name}.{kind}" for kind in ("png", "pdf")])
    write_atomically(folder / "runs.csv", _runs(runs).to_csv(index=False))
    text = "\n".join(parts)
    write_atomically(folder / "table.md", text)
    write_json(folder / "table.json", rows)
    write_atomically(folder / "table.csv", pd.json_normalize(rows).to_csv(index=False))
    return text


def _runs(runs: Sequence[Run]) -> pd.DataFrame:
    """One line for each finished run: what it was, how well it read at each measurement, and the code that made it."""
    lines = []
    for run in runs:
        if run.done:
            found = run.result()
            lines.append(
                {
                    "family": run.family,
                    "algorithm": run.algorithm,
                    "label": run.row.label,
                    "credit": run.row.credit,
                    "seed": found["seed"],
                    **{f"read_{each['step']}": each["read"] for each in found["measured"]},
                    "processor_seconds": found.get("processor_seconds"),
                    "run": run.file.parent.name,
                    "commit": found["made_by"]["git"]["commit"],
                }
            )
    return pd.DataFrame(lines).dropna(axis="columns", how="all")


def _table(found: Sequence[Compared], probed: Mapping[str, str]) -> pd.DataFrame:
    told = could_tell(found)
    rows = [
        {
            "method": each.label,
            "P(read) after, %": f"{each.after:.1f}",
            "gain, points [95 %]": gain_text(each),
            "p (Holm)": "–" if each.p is None or not told else p_text(each.p),
            "verdict": verdict(each, told),
            **({"probe: gain a step (Adam)": probed.get(each.label, "–")} if probed else {}),
            "seeds": str(each.seeds),
            **({} if each.minutes is None else {"processor minutes": f"{each.minutes:.1f}"}),
        }
        for each in found
    ]
    return pd.DataFrame(rows)
