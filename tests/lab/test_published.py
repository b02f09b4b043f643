"""The committed study: its table is what its runs say, and its page and the README quote it."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from kawhi.base.checkout import PUBLISHED
from kawhi.lab.comparison import Series, compare, could_tell

FOLDER = PUBLISHED.parent / "lab"
RUNS = pd.read_csv(FOLDER / "runs.csv")
TABLE = json.loads((FOLDER / "table.json").read_text(encoding="utf-8"))


def series(own: pd.DataFrame) -> list[Series]:
    steps = [name for name in own.columns if name.startswith("read_")]
    last = max(steps, key=lambda name: int(name.removeprefix("read_")))
    return [
        Series(
            label,
            runs["credit"].iloc[0],
            dict(zip(runs["seed"], 100 * runs[last], strict=True)),
            runs["processor_seconds"].sum() / 60,
        )
        for label, runs in own.groupby("label", sort=False)
    ]


@pytest.mark.parametrize(("group", "own"), list(RUNS.groupby(["family", "algorithm"], sort=False)))
def test_the_table_follows_from_the_runs(group, own):
    found = compare(series(own))
    printed = [row for row in TABLE if (row["family"], row["algorithm"]) == group]
    assert [each.label for each in found] == [row["label"] for row in printed]
    for each, row in zip(found, printed, strict=True):
        assert (each.seeds, row["could_tell"]) == (row["seeds"], could_tell(found))
        numbers = {name: getattr(each, name) for name in ("after", "gain", "p") if row[name] is not None}
        assert numbers == pytest.approx({name: row[name] for name in numbers}, rel=1e-6)
        assert numbers or row["seeds"] == 0


def test_all_runs_of_a_row_are_of_one_configuration():
    assert (RUNS.groupby(["family", "algorithm", "label"])["run"].nunique() == 1).all()
    assert not RUNS.duplicated(["run", "seed"]).any()
