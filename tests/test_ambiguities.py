"""docs/ambiguities.md has a row for every option, with the default that conf/ has and overrides that compose."""

from __future__ import annotations

import re

import pytest
from omegaconf import OmegaConf

from kawhi.runs.verl_settings import settings
from tests.cells import CONF, ROOT, cell, options

TEXT = (ROOT / "docs" / "ambiguities.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
# `kawhi.options.w_min`: 0.1   or   `kawhi.regions.seed`: 0, from `seeds.regions`
DEFAULT = re.compile(r"`(kawhi\.[a-z_.]+)`: ([^,)]+)")
COMMAND = re.compile(r"`(\+?[a-z_0-9.]+(?:/[a-z]+)?=[^`]*)`")
# A value of a file of conf/ that no paper gives:   `kl_loss_type: low_var_kl      # our choice: ...`
CHOSEN = re.compile(r"^ *(?P<key>[a-z_]+): +\S.*# (our choice|verl default)", re.MULTILINE)
BLOCKS = sorted([*CONF.glob("algorithm/*.yaml"), *CONF.glob("recipe/*.yaml")])
OF_VERL = {  # what no file of conf/ sets and every training depends on
    "actor_rollout_ref.rollout.temperature": 1.0,
    "actor_rollout_ref.rollout.top_p": 1,
    "actor_rollout_ref.actor.optim.lr_warmup_steps_ratio": 0.0,
    "actor_rollout_ref.actor.optim.weight_decay": 0.01,
    "actor_rollout_ref.actor.optim.clip_grad": 1.0,
    "actor_rollout_ref.actor.freeze_vision_tower": False,
}


NO_CHOICE = {"log"}  # it changes no number
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


@pytest.mark.parametrize("file", BLOCKS, ids=lambda file: file.stem)
def test_every_value_of_an_algorithm_that_no_paper_gives_has_a_row(file):
    chosen = {found["key"] for found in CHOSEN.finditer(file.read_text(encoding="utf-8"))}
    assert chosen
    named = [line.split(" | ")[0] + line.split(" | ")[1] for line in ROWS]
    without = [
        key for key in sorted(chosen - NO_CHOICE) if not any(re.search(rf"`([a-z_.]+\.)?{key}`", row) for row in named)
    ]
    assert without == [], f"these values of {file.name} need a row in docs/ambiguities.md"


@pytest.mark.parametrize(("key", "value"), OF_VERL.items())
def test_what_is_verl_s_default_has_a_row_and_is_what_verl_takes(tmp_path, key, value):
    assert OmegaConf.select(settings(cell(tmp_path, "scale=h200x8", "data=geo3k")), key) == value
    assert any(f"`{key.rpartition('.')[2]}`" in row for row in ROWS)


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
        key, value = override.removeprefix("+").split("=", 1)
        if key not in GROUPS:
            assert OmegaConf.select(composed, key) == OmegaConf.create({"x": OmegaConf.create(f"x: {value}").x}).x


@pytest.mark.parametrize("name", options("ablation"))
def test_every_ablation_is_named(name):
    assert f"`ablation={name}`" in TEXT
