"""A table's cells: unions of products, parts by scale, and what a command line does to them."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from kawhi.base.table_blocks import products
from kawhi.runs.table_rows import TableError, jobs, refuse_two_tables

BLOCKS = [
    {"model": "main", "study": "baseline"},
    {"model": ["main", "second"], "credit": ["uniform", "kawhi"]},
    {"model": "main", "credit": "kawhi"},
]
PARTS = {"model": {"main": "big", "second": "small"}}


def rows(*given: str) -> list[list[str]]:
    return jobs(BLOCKS, PARTS, OverridesParser.create().parse_overrides(list(given)))


def test_blocks_are_added_up_and_a_cell_stands_once():
    assert rows() == [
        ["model=big", "study=baseline"],
        ["model=big", "credit=uniform"],
        ["model=big", "credit=kawhi"],
        ["model=small", "credit=uniform"],
        ["model=small", "credit=kawhi"],
    ]


def test_a_key_of_the_table_restricts_it():
    assert rows("credit=kawhi,vppo") == [["model=big", "credit=kawhi"], ["model=small", "credit=kawhi"]]
    assert rows("study=baseline") == [["model=big", "study=baseline"]]
    assert rows("model=small") == [["model=small", "credit=uniform"], ["model=small", "credit=kawhi"]]


OPTIONS = products(
    [
        {
            "model": "main",
            "algorithm": "grpo",
            "rows": [
                {"credit": "uniform"},
                {"credit": "kawhi"},
                {"credit": "kawhi", "credit.label": "Skip ratio 0.1", "kawhi.regions.skip_ratio": 0.1},
                {"credit": "kawhi", "kawhi.alignment.heads": None},
            ],
        }
    ]
)


def options(*given: str) -> list[list[str]]:
    return jobs(OPTIONS, PARTS, OverridesParser.create().parse_overrides(list(given)))


def test_a_row_adds_its_options_in_hydras_grammar():
    before = ["model=big", "algorithm=grpo"]
    assert options() == [
        [*before, "credit=uniform"],
        [*before, "credit=kawhi"],
        [*before, "credit=kawhi", "credit.label='Skip ratio 0.1'", "kawhi.regions.skip_ratio=0.1"],
        [*before, "credit=kawhi", "kawhi.alignment.heads=null"],
    ]
    parsed = OverridesParser.create().parse_overrides(options()[2])
    assert [each.value() for each in parsed][-1] == 0.1


def test_a_key_with_one_value_throughout_is_set():
    assert [row[:2] for row in options("model=other", "algorithm=gspo")] == [["model=other", "algorithm=gspo"]] * 4
    assert len(options("model=other,another")) == 8
    assert options("credit=uniform", "model=other") == [["model=other", "algorithm=grpo", "credit=uniform"]]


@pytest.mark.parametrize(
    "words", ["credit.label='Skip ratio 0.1'", "credit.label=Skip ratio 0.1", "kawhi.regions.skip_ratio=0.1"]
)
def test_an_option_that_some_rows_have_selects_them(words):
    assert options(words) == [options()[2]]
    with pytest.raises(TableError, match="no cell with"):
        options("kawhi.regions.skip_ratio=0.2")


def test_any_other_key_multiplies_it():
    found = rows("model=small", "seeds.rollout=0,1", "steps=3")
    assert len(found) == 4
    assert ["seeds.rollout=1", "steps=3", "model=small", "credit=kawhi"] in found


def test_a_row_that_does_not_exist_is_told_with_those_that_do():
    with pytest.raises(TableError, match=r"no cell with model=huge; it has model \['big', 'small'\]"):
        rows("model=huge")


@pytest.mark.parametrize("words", [["experiment=a,b"], ["experiment=a", "ablation=b"], ["ablation=a,b"]])
def test_one_table_at_a_time(words):
    refuse_two_tables(OverridesParser.create().parse_overrides(["experiment=a", "credit=x,y"]))
    with pytest.raises(TableError, match="several tables"):
        refuse_two_tables(OverridesParser.create().parse_overrides(words))
