"""The command in a record runs the cell of the record."""

import shlex

import pytest
from omegaconf import OmegaConf, open_dict

from kawhi.runs.identity import cell_hash
from kawhi.runs.own_command import own_command
from tests.cells import CONF, cell, options

CELLS = [
    (),
    ("credit=uniform", "model=tiny_qwen3_vl", "seeds.rollout=2", "steps=5"),
    ("study=baseline",),
    ("study=grounding", "study.image=blank"),
    ("study=timing", "experiment=methods"),
    ("credit.name=kawhi_tau1", "kawhi.options.temperature=1.0"),
    ("algorithm=dapo", "exact=paper", "recipe=tor", "benchmarks.0.problems=200"),
    ("credit=kawhi_ft_rl",),
    ("+verl_new.trainer.note='a b: c'",),
]


def recomposed(words: str, tmp_path):
    program, script, *overrides = shlex.split(words)
    assert (program, script) == ("python", "experiments/run.py")
    return cell(tmp_path, *overrides)


@pytest.mark.parametrize("overrides", CELLS, ids=" ".join)
def test_it_gives_the_same_hash(tmp_path, overrides):
    asked = cell(tmp_path, *overrides)
    OmegaConf.resolve(asked)
    found = own_command(asked, CONF)
    assert found is not None
    assert cell_hash(recomposed(found, tmp_path)) == cell_hash(asked)


@pytest.mark.parametrize("credit", ["kawhi_visionzip", "tor", "kawhi_ft_rl", "kawhi_skip_0_3"])
def test_a_file_of_conf_is_named_not_spelt_out(tmp_path, credit):
    assert credit in options("credit")
    asked = cell(tmp_path, f"credit={credit}")
    OmegaConf.resolve(asked)
    assert own_command(asked, CONF) == f"python experiments/run.py credit={credit}"


def test_where_results_go_is_not_part_of_it(tmp_path):
    asked = cell(tmp_path, "logger=tensorboard", "folder=elsewhere", "scale.limits.train=7")
    OmegaConf.resolve(asked)
    assert own_command(asked, CONF) == "python experiments/run.py"


def test_a_configuration_that_no_command_gives_has_none(tmp_path):
    asked = cell(tmp_path)
    OmegaConf.resolve(asked)
    with open_dict(asked):
        del asked.verl.data.seed  # an override can set, not remove
    assert own_command(asked, CONF) is None
