"""The committed study, by the lab and through verl: each table is what its runs say."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from kawhi.base.checkout import PUBLISHED
from kawhi.lab.comparison import Series, compare, could_tell

FOLDER = PUBLISHED.parent / "lab"
RUNS = {name: pd.read_csv(folder / "runs.csv") for name, folder in (("lab", FOLDER), ("verl", FOLDER / "verl"))}
TABLES = {"lab": FOLDER / "table.json", "verl": FOLDER / "verl" / "table.json"}
GROUPS = [(name, *each) for name, runs in RUNS.items() for each in runs.groupby(["family", "algorithm"], sort=False)]


def series(own: pd.DataFrame) -> list[Series]:
    steps = [name for name in own.columns if name.startswith("read_")]
    last = max(steps, key=lambda name: int(name.removeprefix("read_")))
    return [
        Series(
            label,
            runs["credit"].iloc[0],
            dict(zip(runs["seed"], 100 * runs[last], strict=True)),
            None,
        )
        for label, runs in own.groupby("label", sort=False)
    ]


@pytest.mark.parametrize(("name", "group", "own"), GROUPS)
def test_the_table_follows_from_the_runs(name, group, own):
    found = compare(series(own))
    table = json.loads(TABLES[name].read_text(encoding="utf-8"))
    printed = [row for row in table if (row["family"], row["algorithm"]) == group]
    assert [each.label for each in found] == [row["label"] for row in printed]
    for each, row in zip(found, printed, strict=True):
        assert (each.seeds, row["could_tell"]) == (row["seeds"], could_tell(found))
        numbers = {name: getattr(each, name) for name in ("after", "gain", "p") if row[name] is not None}
        assert numbers == pytest.approx({name: row[name] for name in numbers}, rel=1e-6)
        assert numbers or row["seeds"] == 0


@pytest.mark.parametrize("runs", RUNS.values(), ids=RUNS)
def test_all_runs_of_a_row_are_of_one_configuration(runs):
    assert (runs.groupby(["family", "algorithm", "label"])["run"].nunique() == 1).all()
    assert not runs.duplicated(["run", "seed"]).any()


def test_both_trained_the_same_cells():
    own = [set(zip(runs["run"], runs["seed"], strict=True)) for runs in RUNS.values()]
    assert own[1]
    assert own[1] <= own[0]
