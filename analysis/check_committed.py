"""Whether results/ is what the records give: tables, report and cards are made again and compared byte by byte.

python analysis/check_committed.py      # exit code 1 names every file that differs, is missing or is left over

Not compared are the PDF and the pictures inside the page: their bytes depend on the machine's fonts and libraries.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __package__ is None:  # run as a script
    sys.path[0] = str(ROOT)

from analysis.cards import card_files  # noqa: E402
from analysis.make_report import report_files  # noqa: E402
from analysis.make_tables import FORMATS, make_tables, rendered  # noqa: E402
from analysis.render import Links  # noqa: E402
from analysis.report import gather  # noqa: E402
from kawhi.base.checkout import RESULTS  # noqa: E402

ALLOWED = {"report": {"report.pdf"}}
"""Files of a folder that are not compared."""
_PICTURE = re.compile(r'src="data:image/png;base64,[^"]*"')


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS, help="has records/, tables/, report/, cards/")
    given = parser.parse_args(arguments)
    wrong = differences(given.results)
    for text in wrong:
        print(text, file=sys.stderr)
    if wrong:
        print(f"{len(wrong)} files are not what the records give: `make paper` makes them again", file=sys.stderr)
        return 1
    print("tables, report and cards are what the records give")
    return 0


def differences(results: Path) -> list[str]:
    """A sentence for every file that is not as the records say."""
    wrong = []
    for folder, files in expected(results).items():
        there = {file.name for file in (results / folder).glob("*") if not file.name.startswith(".")}
        for name, text in sorted(files.items()):
            where = f"{folder}/{name}"
            if name not in there:
                wrong.append(f"{where} is missing")
            elif line := _first_difference(
                text, (results / folder / name).read_text(encoding="utf-8", errors="replace")
            ):
                wrong.append(f"{where} differs, first in line {line}")
        left_over = sorted(there - set(files) - ALLOWED.get(folder, set()))
        wrong += [f"{folder}/{name} is left over: no record gives it" for name in left_over]
    return wrong


def expected(results: Path) -> dict[str, dict[str, str]]:
    """Folder -> name of a file -> its text."""
    report = gather(results / "records", results / "figures")
    tables, _ = make_tables(report.records, [])
    links = Links(results / "tables")
    texts = {f"{table.name}.{FORMATS[kind]}": text for table in tables for kind, text in rendered(table, links).items()}
    return {
        "tables": texts,
        "report": report_files(report, results / "report"),
        "cards": card_files(report.records, results / "cards"),
    }


def _first_difference(ours: str, theirs: str) -> int:
    """The number of the first line that differs; 0 where none does."""
    ours, theirs = _PICTURE.sub("", ours), _PICTURE.sub("", theirs)
    if ours == theirs:
        return 0
    pairs = zip(ours.splitlines(keepends=True), theirs.splitlines(keepends=True), strict=False)
    lines = (number for number, (own, other) in enumerate(pairs, 1) if own != other)
    return next(lines, min(ours.count("\n"), theirs.count("\n")) + 1)


if __name__ == "__main__":
    sys.exit(main())
