"""``kawhi samples``, ``kawhi judge-agreement`` and ``kawhi rejudge``: every mistake is one sentence."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `kawhi status` is typed often and needs none of these
    from kawhi.evaluation.samples import Sample

COMMANDS = ("samples", "judge-agreement", "rejudge")


def add_parser(commands) -> None:
    """Adds the commands to ``kawhi``; imports nothing heavy."""
    samples = commands.add_parser("samples", help="browse a run's samples: one HTML file, no network")
    samples.add_argument("run", type=Path, help="a run directory; `kawhi status` lists them")
    samples.add_argument("--out", type=Path, metavar="FILE", help="where to write (default: RUN/samples.html)")
    samples.add_argument("--benchmark", metavar="TASK", help="only this one (default: all)")
    samples.add_argument("--limit", type=int, metavar="N", help="the first N samples of each benchmark (default: all)")

    agreement = commands.add_parser(
        "judge-agreement", help="how far two judges agree on the same responses, and where they do not"
    )
    agreement.add_argument("first", type=Path, metavar="RUN_A")
    agreement.add_argument("second", type=Path, metavar="RUN_B", help="RUN_A judged again, see `kawhi rejudge`")
    agreement.add_argument(
        "--show", type=int, default=10, metavar="N", help="disagreements to show of each benchmark (default: 10)"
    )

    again = commands.add_parser("rejudge", help="the same responses, another judge, another run directory")
    again.add_argument("run", type=Path, help="a run directory; `kawhi status` lists them")
    again.add_argument(
        "--judge",
        required=True,
        nargs="+",
        metavar=("NAME", "KEY=VALUE"),
        help="a file of conf/judge, and perhaps other values of its settings",
    )


def run(given: argparse.Namespace) -> int:
    """Runs one of the commands; returns the exit code."""
    from kawhi.base.errors import CellError

    work: dict[str, Callable[[argparse.Namespace], int]] = {
        "samples": _samples,
        "judge-agreement": _agreement,
        "rejudge": _rejudge,
    }
    try:
        return work[given.command](given)
    except (CellError, OSError) as error:
        return _refuse(" ".join(str(error).split()))
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130


def _refuse(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return 1


def _samples(given: argparse.Namespace) -> int:
    from kawhi.base.errors import CellError
    from kawhi.base.files import write_atomically
    from kawhi.evaluation.browser.gather import gather
    from kawhi.evaluation.browser.page import render
    from kawhi.evaluation.results import open_run

    if given.limit is not None and given.limit < 1:
        raise CellError("--limit takes a whole number of at least 1")
    found = gather(open_run(given.run), given.benchmark, given.limit, _progress)
    out = given.out or given.run / "samples.html"
    write_atomically(out, render(found))
    print(f"wrote {out} ({len(found.samples)} samples, {out.stat().st_size / 2**20:.2f} MiB)")
    return 0


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


def _agreement(given: argparse.Namespace) -> int:
    from kawhi.base.errors import CellError
    from kawhi.evaluation.agreement_view import compare, print_comparison
    from kawhi.evaluation.results import open_run

    if given.show < 0:
        raise CellError("--show takes a whole number of at least 0")
    print_comparison(compare(open_run(given.first), open_run(given.second)), given.show)
    return 0


def _rejudge(given: argparse.Namespace) -> int:
    from kawhi.base.checkout import configuration_folder
    from kawhi.evaluation.results import open_run
    from kawhi.runs.rejudge import judge_config, rejudge

    run = open_run(given.run)
    done = rejudge(run, judge_config(configuration_folder(), given.judge[0], given.judge[1:]))
    if done.already:
        print(f"nothing to do: this judge's verdicts on these responses are in {done.run.path}")
        return 0
    for task, (before, after) in done.scores.items():
        print(f"{task}: {'–' if before is None else f'{before:.2f}'} -> {after:.2f}")
    print(f"wrote {done.run.path}")
    return 0
