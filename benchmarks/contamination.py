"""How many planted copies `kawhi contamination` finds, by what became of them, and its false alarms.

    python benchmarks/contamination.py --json benchmarks/results/contamination.json

Pictures and questions are drawn.  The thresholds of kawhi/pictures/likeness.py and kawhi/evaluation/contamination.py
were chosen on drawings of the seeds 7 to 100; these are of another one.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
if not __package__:  # run as a script
    sys.path[0] = str(ROOT)

from benchmarks.drawn_pictures import CHANGES, DRAWINGS, REWORDED, question  # noqa: E402
from kawhi.base.files import write_json  # noqa: E402
from kawhi.evaluation.contamination import Rows, pairs  # noqa: E402
from kawhi.pictures.likeness import Looks, look  # noqa: E402

SEED = 2026
PICTURES = 200
APART = 100
"""Pictures on either side of the pairs that are two pictures: 10,000 pairs."""


def pictures(kind: str, count: int, apart: int, seed: int) -> dict[str, tuple[int, int]]:
    """Found and planted by change, and false alarms among pairs of different pictures of the kind."""
    rng = np.random.default_rng([seed, [*DRAWINGS].index(kind)])
    drawn = [DRAWINGS[kind](rng) for _ in track(range(count), f"{kind}, drawn")]
    known = Looks([look(each) for each in drawn])
    found = {}
    for name, change in CHANGES.items():
        hits = [number in known.same_as(look(change(each, rng))) for number, each in enumerate(drawn)]
        found[name] = sum(hits), count
    known = Looks([look(each) for each in drawn[:apart]])
    others = [look(DRAWINGS[kind](rng)) for _ in track(range(apart), f"{kind}, others")]
    return found | {"false alarms": (sum(len(known.same_as(each)) for each in others), apart * apart)}


def questions(count: int, apart: int, seed: int) -> dict[str, tuple[int, int]]:
    """The same of questions without a picture."""
    rng = np.random.default_rng([seed, 99])
    drawn = [question(rng) for _ in range(count)]
    train = Rows.of((str(number), text, ()) for number, text in enumerate(drawn))
    found = {}
    for name, change in REWORDED.items():
        asked = Rows.of((str(number), change(text, rng), ()) for number, text in enumerate(drawn))
        found[name] = sum(pair.item == pair.train for pair in pairs("drawn", asked, train, Looks([]))), count
    some = Rows.of((str(number), text, ()) for number, text in enumerate(drawn[:apart]))
    others = Rows.of((str(number), question(rng), ()) for number in range(apart))
    return found | {"false alarms": (len(pairs("drawn", others, some, Looks([]))), apart * apart)}


def main(arguments: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--json", type=Path, help="where the counts go, too")
    options.add_argument("--seed", type=int, default=SEED)
    options.add_argument("--pictures", type=int, default=PICTURES, help="planted of each kind")
    options.add_argument("--apart", type=int, default=APART, help="on either side of the pairs that are two")
    given = options.parse_args(arguments)
    sizes = given.pictures, given.apart, given.seed
    found = {kind: pictures(kind, *sizes) for kind in DRAWINGS} | {"questions": questions(*sizes)}
    _show(found)
    if given.json:
        write_json(given.json, {"seed": given.seed, "found": found})
    return 0


def _show(found: Mapping[str, Mapping[str, tuple[int, int]]]) -> None:
    table = Table("", *found)
    for name in dict.fromkeys(itertools.chain.from_iterable(found.values())):
        table.add_row(name, *("{} of {}".format(*own[name]) if name in own else "" for own in found.values()))
    Console(width=120).print(table)


if __name__ == "__main__":
    sys.exit(main())
