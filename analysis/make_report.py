"""The report (results/report/report.tex, .pdf and .html) and a card for each record (results/cards), from records.

python analysis/make_report.py                          # with the figures of make_figures.py, where there are some
python analysis/make_report.py --tables main heads      # with these tables alone
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __package__ is None:  # run as a script
    sys.path[0] = str(ROOT)

from analysis.cards import MADE, card_files  # noqa: E402
from analysis.make_tables import known  # noqa: E402
from analysis.pdf import LatexError, compile_pdf  # noqa: E402
from analysis.programs import include_first, parsed, parser, read, results  # noqa: E402
from analysis.report import Report, gather  # noqa: E402
from analysis.report_html import report_html  # noqa: E402
from analysis.report_latex import report_tex  # noqa: E402
from kawhi.base.files import write_atomically as write  # noqa: E402

CARD_ENDINGS = (".md", ".html")


def main(arguments: list[str] | None = None) -> int:
    """Command line; what is wrong is named, the rest is made, and the exit code is 1."""
    arguments = include_first(arguments)
    options = parser(__doc__, "report", "cards lie in cards/ beside it")
    options.add_argument("--figures", type=Path, default=results() / "figures")
    about = "these alone, named as make_tables.py does"
    options.add_argument("--tables", nargs="*", default=[], metavar="name", dest="names", help=about)
    given = parsed(options, arguments, "table", known())
    report = gather(read(given.records), given.figures, given.names)
    given.out.mkdir(parents=True, exist_ok=True)
    for name, text in report_files(report, given.out).items():
        write(given.out / name, text)
    cards = given.out.parent / "cards"
    write_cards(report, cards)
    wrong = [f"left out {text}" for text in report.left_out]
    try:
        wrong += [f"report.pdf: {text}" for text in compile_pdf(given.out / "report.tex")]
    except LatexError as error:
        wrong.append(f"no report.pdf: {error}")
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    print(f"wrote the report into {given.out} and the cards of {len(report.read.records)} records into {cards}")
    return 1 if wrong else 0


def report_files(report: Report, out: Path) -> dict[str, str]:
    """The report's texts by the names of their files in ``out``."""
    return {"report.tex": report_tex(report, out), "report.html": report_html(report, out)}


def write_cards(report: Report, folder: Path) -> None:
    """Removes the cards of records that are no longer there."""
    folder.mkdir(parents=True, exist_ok=True)
    files = card_files(report.read, folder)
    for name, text in files.items():
        write(folder / name, text)
    for file in sorted(folder.iterdir()):
        own = file.suffix in CARD_ENDINGS and MADE in file.read_text(encoding="utf-8", errors="replace")
        if own and file.name not in files:
            file.unlink()


if __name__ == "__main__":
    sys.exit(main())
