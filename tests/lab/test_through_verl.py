"""A study's trainings by verl and vLLM: the same table from them, and mistakes before anything starts."""

from __future__ import annotations

import json

import pytest

from kawhi.commands.cli import main
from kawhi.lab.through_verl import cell_of
from kawhi.runs.identity import identity
from tests.lab import made

STUDY = f"""
algorithm: grpo
models: {{qwen2_5_vl: [model={made.SHIPPED["qwen2_5_vl"]}]}}
shared:
  - data=reading
  - steps=1
  - data.train_problems=16
  - data.validation_problems=8
  - verl.data.val_batch_size=8
  - verl.data.train_batch_size=4
  - verl.actor_rollout_ref.actor.ppo_mini_batch_size=4
  - verl.actor_rollout_ref.rollout.n=4
every: 1
evaluation: {{problems: 6, seed: 11, responses: 0}}
pairs: [[oracle, uniform]]
rows:
  - {{label: uniform, credit: uniform}}
  - {{label: oracle, credit: oracle}}
"""


@pytest.fixture
def study(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(STUDY)
    return file


def bench(study, out, *words: str) -> int:
    return main(["bench", "credit", "--through", "verl", "--study", str(study), "--out", str(out), *words])


def test_a_seed_draws_prompts_and_rollouts_and_folders_change_nothing(tmp_path):
    cell = made.cell_of("qwen2_5_vl")
    first, again, other = (cell_of(cell, seed, tmp_path / name) for seed, name in ((10, "a"), (10, "b"), (11, "a")))
    assert identity(first) == identity(again) != identity(other)
    assert (other.seeds.data, other.seeds.rollout, other.seeds.regions) == (11, 11, cell.seeds.regions)
    assert {str(path).rpartition("/")[0] for path in again.paths.values()} == {str(tmp_path / "b")}
    assert cell.seeds.rollout == 0  # nothing was changed of what was given


@pytest.mark.slow
def test_the_table_is_made_from_verl_s_trainings_and_finished_ones_stay(study, tmp_path, capsys):
    out = tmp_path / "out"
    assert bench(study, out, "--seeds", "1") == 0
    told = capsys.readouterr().out
    assert "this bench could not tell" in told
    assert "declared: oracle minus uniform" in told
    rows = json.loads((out / "verl" / "table.json").read_text())
    assert [(row["label"], row["seeds"]) for row in rows] == [("uniform", 1), ("oracle", 1)]
    assert "processor minutes" not in told  # of twenty processes nobody has counted
    runs = [json.loads(file.read_text()) for file in (out / "verl" / "runs").rglob("seed-0.json")]
    start, end = zip(*((run["measured"][0]["read"], run["measured"][1]["read"]) for run in runs), strict=True)
    assert len(set(start)) == 1
    assert len({*start, *end}) == 3
    for run in runs:  # as its own record has it
        (record,) = (out / "verl" / "cells" / "runs").rglob(f"{run['cell']}/record.json")
        assert json.loads(record.read_text())["config"]["kawhi"]["method"] == run["kawhi"]["method"]
    record.unlink()
    assert bench(study, out, "--seeds", "1") == 0
    assert not record.exists()


def test_what_verl_cannot_train_is_said_before_anything_starts(study, tmp_path, capsys):
    out = tmp_path / "out"
    assert bench(study, out, "--set", "verl.data.train_batch_size=3") == 1
    assert "ppo_mini_batch_size" in capsys.readouterr().err
    assert not list(out.rglob("*.json"))
