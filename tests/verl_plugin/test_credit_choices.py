"""``kawhi=NAME`` beside verl's own configuration is what a cell of that credit method has, and words win over it."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf

from kawhi.base.checkout import resolve_package_paths
from kawhi.runs.verl_command import leaves, overrides
from kawhi.verl_plugin import credit_choices
from tests.cells import CONF, cell, options, overridden

FOLDER = Path(str(find_spec("verl").submodule_search_locations[0])) / "trainer" / "config"
FILES = {"train_file": Path("t.parquet"), "validation_file": Path("v.parquet"), "checkpoints": Path("c")}


@cache
def _composed(*choice: str) -> DictConfig:
    credit_choices.store()
    with initialize_config_dir(str(FOLDER), version_base=None):
        return compose(credit_choices.PRIMARY, overrides=list(choice))


def in_verl(*words: str) -> DictConfig:
    """verl's configuration as our entry point composes it; its files, which take seconds, once for each choice."""
    choice = [word for word in words if word.startswith("kawhi=")]
    return overridden(_composed(*choice), [word for word in words if word not in choice])


@pytest.mark.parametrize("name", options("credit"))
def test_it_is_what_a_cell_of_the_method_has(tmp_path, name):
    composed, asked = in_verl(f"kawhi={name}"), cell(tmp_path, f"credit={name}")
    expected = OmegaConf.to_container(asked.kawhi, resolve=True)
    if "alignment" in expected:
        expected["alignment"]["heads"] = credit_choices.OF_MODEL
    assert OmegaConf.to_container(composed.kawhi, resolve=True) == expected
    words = dict(word.lstrip("+").split("=", 1) for word in overrides(asked, **FILES))
    for key, value in leaves(credit_choices.choice(CONF, name)):
        if not key.startswith(("kawhi.", "ray_kwargs.")):
            assert words[key] == value, key
            assert OmegaConf.select(composed, key) == value


def test_words_win_over_a_choice_and_misspelt_ones_are_refused():
    composed = in_verl("kawhi=kawhi", "kawhi.options.w_min=0.3", "actor_rollout_ref.actor.strategy=megatron")
    assert composed.kawhi.options.w_min == 0.3
    assert composed.kawhi.options.w_max == 1.0
    assert composed.actor_rollout_ref.actor.strategy == "megatron"
    with pytest.raises(ConfigCompositionException, match="w_mni"):
        in_verl("kawhi=kawhi", "kawhi.options.w_mni=0.3")


def test_without_a_choice_it_is_verl_s_own_configuration():
    ours = in_verl()
    with initialize_config_dir(str(FOLDER), version_base=None):
        assert ours == compose("ppo_trainer")


def test_the_files_that_verl_reads_are_there():
    loops = in_verl("kawhi=kawhi").actor_rollout_ref.rollout.agent.agent_loop_config_path
    assert Path(loops).is_file()
    assert loops == resolve_package_paths("pkg://kawhi.verl_plugin/agent_loops.yaml")
