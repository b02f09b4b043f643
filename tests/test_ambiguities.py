"""docs/ambiguities.md has a row for every option, with the default that conf/ has and overrides that compose."""

from __future__ import annotations

import re

import pytest
from omegaconf import OmegaConf

from tests.cells import CONF, ROOT, cell, options

TEXT = (ROOT / "docs" / "ambiguities.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
# `kawhi.options.w_min`: 0.1   or   `kawhi.regions.seed`: 0, from `seeds.regions`
DEFAULT = re.compile(r"`(kawhi\.[a-z_.]+)`: ([^,)]+)")
COMMAND = re.compile(r"`([a-z_0-9.]+(?:/[a-z]+)?=[^`]*)`")


GROUPS = [folder.name for folder in CONF.iterdir() if folder.is_dir()]


def leaves() -> list[str]:
    """Every option of the method, ``kawhi.method`` apart."""
    blocks = OmegaConf.load(CONF / "credit" / "kawhi.yaml").kawhi
    return [f"kawhi.{block}.{name}" for block in ("options", "alignment", "regions") for name in blocks[block]]


@pytest.mark.parametrize("option", leaves())
def test_every_option_has_a_row_with_a_default_a_reason_and_a_test(option):
    rows = [row for row in ROWS if f"`{option}`:" in row.split("|")[1]]
    assert len(rows) == 1, f"{option} needs a row in docs/ambiguities.md"
    point, default, reason, test = (text.strip() for text in rows[0].strip("|").split(" | "))
    assert all((point, default, reason))
    assert option in test or "ablation=" in test or "seeds." in test


def test_the_defaults_are_those_of_conf(tmp_path):
    composed = cell(tmp_path)
    stated = dict(found for row in ROWS for found in DEFAULT.findall(row.split("|")[1]))
    assert set(stated) == set(leaves())
    assert len(stated) > 15
    for option, value in stated.items():
        if option != "kawhi.alignment.heads":  # each model's own
            assert str(OmegaConf.select(composed, option)) == value.strip(), option


@pytest.mark.parametrize("commands", sorted({command for row in ROWS for command in COMMAND.findall(row)}))
def test_every_override_composes(tmp_path, commands):
    overrides = commands.split()
    composed = cell(tmp_path, *overrides)
    for override in overrides:
        key, value = override.split("=", 1)
        if key not in GROUPS:
            assert OmegaConf.select(composed, key) == OmegaConf.create({"x": OmegaConf.create(f"x: {value}").x}).x


@pytest.mark.parametrize("name", options("ablation"))
def test_every_ablation_is_named(name):
    assert f"`ablation={name}`" in TEXT
