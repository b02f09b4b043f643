"""A PDF from LaTeX whose bytes repeat, and what is wrong with it: errors, lines that are too wide, links to nowhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path

from analysis.programs import replace

PROGRAM = "pdflatex"
MISSING = (
    f"{PROGRAM} is missing: install Debian's packages texlive-latex-base texlive-latex-recommended "
    "texlive-fonts-recommended lmodern"
)
ROUNDS = 5
"""Runs until page numbers, links and widths of long tables no longer move."""
TOLERANCE = 1.0
"""Points that a line may stick out."""
SECONDS = 900
MARK = "% table "
"""A line of the LaTeX file that names what comes after it."""
_TOO_LARGE = re.compile(r"^Overfull \\([hv])box \(([0-9.]+)pt too (?:wide|high)\) *(.*)$")
_LINE = re.compile(r"at lines? (\d+)")
_LOST = (
    (re.compile(r"name\{([^}]*)\} has been referenced but does not exist"), "the link to {} leads nowhere"),
    (re.compile(r"Hyper reference `([^']*)' .*undefined"), "the link to {} leads nowhere"),
    (re.compile(r"Reference `([^']*)' .*undefined"), "the reference to {} leads nowhere"),
    (re.compile(r"Label `([^']*)' multiply defined"), "{} is defined twice"),
    (re.compile(r"destination with the same identifier \(name\{([^}]*)\}\)"), "the place {} is there twice"),
    (re.compile(r"^Missing character: There is no (.*)"), "no font has the character {}"),
)


class LatexError(Exception):
    """There is no PDF; the sentence says why."""


def compile_pdf(tex: Path) -> list[str]:
    """Writes the PDF beside ``tex``.

    Returns:
        A sentence for everything that is wrong with the PDF.

    Raises:
        LatexError: there is none; one of an earlier call is removed, for it would be of other records.
    """
    pdf = tex.with_suffix(".pdf")
    try:
        with tempfile.TemporaryDirectory() as folder:
            log = _run_until_still(tex, Path(folder))
            replace(pdf, partial(shutil.copyfile, Path(folder) / pdf.name))
    except LatexError:
        pdf.unlink(missing_ok=True)
        raise
    return problems(log, tex.read_text(encoding="utf-8"))


def _run_until_still(tex: Path, folder: Path) -> str:
    """The last run's log."""
    if shutil.which(PROGRAM) is None:
        raise LatexError(MISSING)
    # Dates and names of folders would change the bytes; a log with short lines would break its own messages.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1", "max_print_line": "100000"}
    options = ["-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", f"-output-directory={folder}"]
    before = None
    for _ in range(ROUNDS):
        try:
            done = subprocess.run(
                [PROGRAM, *options, tex.name],
                cwd=tex.parent,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise LatexError(f"{PROGRAM} did not end within {SECONDS} s") from error
        file = folder / f"{tex.stem}.log"
        log = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else done.stdout.decode("latin-1")
        if done.returncode != 0:
            raise LatexError(f"{tex.name} cannot be typeset: {_first_error(log)}")
        after = {each.name: each.read_bytes() for each in sorted(folder.iterdir()) if each.suffix in (".aux", ".toc")}
        if after == before:
            return log
        before = after
    raise LatexError(f"{tex.name} is not the same after {ROUNDS} runs of {PROGRAM}")


def _first_error(log: str) -> str:
    """The line that says it, and the line of the file that it is about."""
    lines = log.splitlines()
    for i, line in enumerate(lines):
        if line.startswith("!"):
            place = next((each for each in lines[i + 1 :] if re.match(r"l\.\d+", each)), "")
            return f"{line.lstrip('! ').strip()} {f'({place.strip()})' if place else ''}".strip()
    return "its log names no error"


def problems(log: str, tex: str) -> list[str]:
    """What a log complains about, each once."""
    found = []
    lines = tex.splitlines()
    for line in log.splitlines():
        if (large := _TOO_LARGE.match(line)) and float(large[2]) > TOLERANCE:
            way = "wide" if large[1] == "h" else "high"
            found.append(f"{_named(large[3], lines)} is {large[2]} points too {way}")
        for pattern, sentence in _LOST:
            if lost := pattern.search(line):
                found.append(sentence.format(lost[1]))
    return list(dict.fromkeys(found))


def _named(place: str, tex: list[str]) -> str:
    if not (at := _LINE.search(place)):
        return f"a page ({place.strip() or 'no line is named'})"
    number = int(at[1])
    marks = [line.removeprefix(MARK) for line in tex[:number] if line.startswith(MARK)]
    where = f"table {marks[-1]}" if marks and marks[-1] else "a line"
    return f"{where} (line {number} of the LaTeX file)"
