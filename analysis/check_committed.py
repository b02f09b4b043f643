"""Whether the tables of results/published are what its records give: they are made again and compared byte by byte.

python analysis/check_committed.py      # exit code 1 names every file that differs or that no record gives
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __package__ is None:  # run as a script
    sys.path[0] = str(ROOT)

from analysis.make_tables import FORMATS, NAMES, make_tables, on_request, rendered  # noqa: E402
from analysis.render import Links  # noqa: E402
from kawhi.base.checkout import PUBLISHED  # noqa: E402
from kawhi.records.folder import read_folder  # noqa: E402


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=PUBLISHED.parent, help="has records/ and tables/")
    given = parser.parse_args(arguments)
    wrong = differences(given.results)
    for text in wrong:
        print(text, file=sys.stderr)
    if wrong:
        told = "1 file is" if len(wrong) == 1 else f"{len(wrong)} files are"
        print(f"{told} not what the records give: `make publish` makes the tables again", file=sys.stderr)
        return 1
    print("the published tables are what the records give")
    return 0


def differences(results: Path) -> list[str]:
    """A sentence for every table that is not as the records say."""
    texts = expected(results)
    wrong = []
    for file in sorted((results / "tables").iterdir()):
        where = f"{file.parent.name}/{file.name}"
        if file.name not in texts:
            wrong.append(f"{where} is left over: no record gives it")
        elif line := _first_difference(texts[file.name], file.read_text(encoding="utf-8", errors="replace")):
            wrong.append(f"{where} differs, first in line {line}")
    return wrong


def expected(results: Path) -> dict[str, str]:
    """The text of every table that there could be, by the name of its file."""
    tables, _ = make_tables(read_folder(results / "records").joined().records, [*NAMES, *on_request()])
    links = Links(results / "tables")
    return {f"{table.name}.{FORMATS[kind]}": text for table in tables for kind, text in rendered(table, links).items()}


def _first_difference(ours: str, theirs: str) -> int:
    """The number of the first line that differs; 0 where none does."""
    if ours == theirs:
        return 0
    pairs = zip(ours.splitlines(keepends=True), theirs.splitlines(keepends=True), strict=False)
    lines = (number for number, (own, other) in enumerate(pairs, 1) if own != other)
    return next(lines, min(ours.count("\n"), theirs.count("\n")) + 1)


if __name__ == "__main__":
    sys.exit(main())
