"""Every configuration file composes, and every number in it says where it comes from."""

from __future__ import annotations

import re

import pytest
from omegaconf import OmegaConf

from kawhi.base.scales import scale_settings
from kawhi.base.table_blocks import products
from kawhi.runs.identity import OF_TRAINING
from tests.cells import CONF, cell, options

GROUPS = sorted(folder.name for folder in CONF.iterdir() if folder.is_dir() and folder.name not in ("hydra", "lab"))
FILES = sorted(CONF.rglob("*.yaml"))
ENTRY = re.compile(r"^(?P<indent>\s*)(?:- )?(?P<key>[\w./]+):(?P<value>[^#]*?)\s*(?P<comment>#.*)?$")
NUMBER = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?|true|false", re.IGNORECASE)
SOURCE = re.compile(r"# (paper: \S|measured: \S|our choice|verl default)")


@pytest.mark.parametrize(("group", "name"), [(group, name) for group in GROUPS for name in options(group)])
def test_every_file_composes_with_the_defaults(tmp_path, group, name):
    composed = cell(tmp_path, f"{group}={name}")
    resolved = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    assert {*OF_TRAINING, "benchmarks", "evaluation", "judge"} < set(resolved)
    if group in ("model", "algorithm", "credit", "data", "scale") and name != "custom":  # whose name is its user's
        assert resolved[group]["name"].replace("-", "_").replace(".", "_") == name


@pytest.mark.parametrize(
    "file", [*CONF.glob("ablation/*.yaml"), *CONF.glob("experiment/*.yaml")], ids=lambda its: its.stem
)
def test_a_table_calls_models_data_and_benchmarks_by_their_part_at_every_scale(file):
    rows = products(OmegaConf.to_container(OmegaConf.load(file).hydra.sweeper.blocks))
    scales = [scale_settings(CONF, scale).scale.parts for scale in options("scale")]
    for row in rows:
        for group in ("model", "data", "benchmarks"):
            assert all(parts[group][row[group]] in options(group) for parts in scales)


def test_there_are_no_more_files_than_say_something_of_their_own():
    assert len(FILES) <= 80 + 6  # scales that change another's sizes, a model of its own files, a rival with a loss


def test_a_file_begins_with_what_it_is():
    assert {"model", "algorithm", "credit", "data", "benchmarks", "scale", "ablation"} <= set(GROUPS)
    first = {file: file.read_text().removeprefix("# @package _global_\n") for file in FILES}
    assert [str(file.relative_to(CONF)) for file, text in first.items() if not text.startswith("# ")] == []


def without_source(text: str) -> list[str]:
    """Numbers and switches with neither a source of their own nor one on the line that opens their block."""
    found, blocks = [], []  # blocks: (indent, has a source) of the keys around the current line
    for line in text.splitlines():
        entry = ENTRY.match(line)
        if not entry:
            continue
        indent = len(entry["indent"])
        blocks = [(depth, sourced) for depth, sourced in blocks if depth < indent]
        value, sourced = entry["value"].strip(), bool(SOURCE.match(entry["comment"] or ""))
        if NUMBER.fullmatch(value) and not sourced and not (blocks and blocks[-1][1]):
            found.append(line)
        if not value:
            blocks.append((indent, sourced))
    return found


def test_every_number_says_where_it_comes_from():
    found = {str(file.relative_to(CONF)): without_source(file.read_text()) for file in FILES}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_the_rule_finds_what_it_should():
    text = """\
a: 1
b: 1   # our choice: why
c: true   # because
d: -2.0e-4
e: ${steps}
f: word
g:   # measured: today
  h: 3
  i:
    j: 4
k:
  - l: 5   # paper: app. A
    m: 6   # paper:
"""
    assert without_source(text) == ["a: 1", "c: true   # because", "d: -2.0e-4", "    j: 4", "    m: 6   # paper:"]
