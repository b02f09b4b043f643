"""``kawhi samples``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kawhi.base.errors import CellError
from kawhi.commands.app import RUN, app

if TYPE_CHECKING:  # `kawhi status` is typed often and needs none of these
    from kawhi.evaluation.samples import Sample


@app.command(short_help="browse a run's samples: one HTML file, no network")
@RUN
@click.option("--out", type=Path, metavar="FILE", help="where to write (default: RUN/samples.html)")
@click.option("--benchmark", metavar="TASK", help="only this one (default: all)")
@click.option("--limit", type=int, metavar="N", help="the first N samples of each benchmark (default: all)")
def samples(run: Path, out: Path | None, benchmark: str | None, limit: int | None) -> None:
    """Writes a run's samples as a page to browse: one HTML file, no network."""
    from kawhi.base.files import write_atomically
    from kawhi.evaluation.browser.gather import gather
    from kawhi.evaluation.browser.page import render
    from kawhi.evaluation.results import open_evaluations

    if limit is not None and limit < 1:
        raise CellError("--limit takes a whole number of at least 1")
    found = gather(open_evaluations(run, benchmark), limit, _progress)
    out = out or run / "samples.html"
    write_atomically(out, render(found))
    print(f"wrote {out} ({len(found.samples)} samples, {out.stat().st_size / 2**20:.2f} MiB)")


def _progress(samples: Sequence[Sample], task: str) -> Iterator[Sample]:
    """A bar in a terminal, a line now and then elsewhere."""
    from rich.progress import track

    if sys.stdout.isatty():
        yield from track(samples, task)
        return
    for number, sample in enumerate(samples):
        if number and number % 500 == 0:
            print(f"{task}: {number} of {len(samples)} samples", flush=True)
        yield sample
