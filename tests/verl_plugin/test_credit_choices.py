"""``kawhi=NAME`` beside verl's own configuration is what a cell of that credit method has, and words win over it."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf

from kawhi.base import included
from kawhi.base.checkout import resolve_package_paths
from kawhi.base.errors import CellError
from kawhi.credit.methods import configured
from kawhi.runs.verl_command import leaves, overrides
from kawhi.verl_plugin import credit_choices
from tests.cells import cell, options, overridden

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
    for key, value in leaves(credit_choices.choice(name, credit_choices.files())):
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


METHOD = """
import torch
from kawhi.credit.methods.base import register

@register("{name}")
class Method:
    needs = frozenset({{{needs}}})

    def __init__(self, level=1.0):
        self.level = level

    def weights(self, batch):
        return torch.full((len(batch.token_ids),), self.level)
"""


def of_their_own(*words: str) -> DictConfig:
    """Composed anew, as a process does that has ``KAWHI_INCLUDE``."""
    credit_choices.store(words)
    with initialize_config_dir(str(FOLDER), version_base=None):
        return compose(credit_choices.PRIMARY, overrides=list(words))


@pytest.mark.parametrize(
    ("needs", "loop", "blocks"),
    [
        ("", "kawhi_seeded", {"method", "options", "signals"}),
        ("'alignment'", "kawhi", {"method", "options", "signals", "alignment", "regions"}),
    ],
)
def test_a_method_of_one_s_own_is_a_choice_by_its_name(tmp_path, monkeypatch, needs, loop, blocks):
    (tmp_path / "mine.py").write_text(METHOD.format(name="own_name", needs=needs))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(included.VARIABLE, "mine.py")
    found = of_their_own("kawhi=own_name", "+kawhi.options.level=0.5")
    assert found.kawhi.method == "own_name"
    assert found.kawhi.keys() == blocks
    assert configured(OmegaConf.to_container(found.kawhi, resolve=True)).level == 0.5
    assert found.actor_rollout_ref.rollout.agent.default_agent_loop == loop
    variables = found.ray_kwargs.ray_init.runtime_env.env_vars
    assert variables[included.VARIABLE] == str(tmp_path / "mine.py")  # workers stand in other folders
    assert variables.VERL_ENGINE_VENDOR == "kawhi"


def test_a_file_of_one_s_own_may_build_on_ours(tmp_path):
    for name, text in {
        "methods/mine.py": METHOD.format(name="own_file", needs="'alignment'"),
        "conf/credit/own_file.yaml": "defaults: [kawhi, _self_]\nkawhi: {method: own_file, options: {level: 0.25}}\n"
        "credit: {name: own_file, label: Mine}\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    included.include([tmp_path])
    found = of_their_own("kawhi=own_file", "kawhi.options.level=0.75")
    assert (found.kawhi.method, found.kawhi.options.level) == ("own_file", 0.75)
    assert found.kawhi.regions == in_verl("kawhi=kawhi").kawhi.regions


def test_another_name_is_one_sentence_with_all_names(tmp_path):
    (tmp_path / "mine.py").write_text(METHOD.format(name="own_listed", needs=""))
    included.include([tmp_path / "mine.py"])
    with pytest.raises(CellError) as refused:
        credit_choices.store(["data.train_batch_size=2", "kawhi=own_lsted"])
    listed = ", ".join(sorted([*options("credit"), "own_listed"]))
    assert str(refused.value) == (
        f"there is no kawhi=own_lsted: it is one of {listed}, or a method in a file of your own "
        "(--include or KAWHI_INCLUDE)"
    )


def included_file(folder: Path, monkeypatch, text: str) -> Path:
    """``conf/credit/mm.yaml`` of somebody's own."""
    file = folder / "conf" / "credit" / "mm.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    monkeypatch.setenv(included.VARIABLE, str(folder))
    return file


@pytest.mark.parametrize("defaults", ["", "defaults: [/credit/uniform, _self_]\n"])
def test_a_file_without_settings_of_verl_is_a_choice_as_it_is_a_cell(tmp_path, monkeypatch, defaults):
    text = f"# @package _global_\n{defaults}credit: {{name: mm, label: M}}\nkawhi: {{method: uniform, options: {{}}}}\n"
    included_file(tmp_path, monkeypatch, text)
    found = of_their_own("kawhi=mm")
    assert found.kawhi.method == "uniform"
    loop = found.actor_rollout_ref.rollout.agent.default_agent_loop
    assert (loop == "kawhi_seeded") == bool(defaults)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("defaults: [uniform, override /algorithm: dapo]", "its defaults have {'override /algorithm': 'dapo'}, and "),
        ("defaults: [uniforn]", "its defaults have uniforn, and "),
        ("defaults: [mm]", "its defaults have mm, and kawhi=NAME builds on other credit methods only: anti_oracle, "),
        ("credit: {name: mm}", "Missing key kawhi"),
        ("kawhi: {method: uniform, options: {level: '${data.level}'}}", "Interpolation key 'data.level' not found"),
        ("kawhi: {", "while parsing"),
        ("[kawhi]", "it is no mapping"),
    ],
)
def test_a_file_that_cannot_be_built_stops_nobody_but_who_asks_for_it(tmp_path, monkeypatch, capsys, text, told):
    file = included_file(tmp_path, monkeypatch, text)
    with pytest.raises(CellError) as refused:
        credit_choices.store(["kawhi=kawhi,mm"])
    assert str(refused.value).startswith(f"{file}: {told}")
    assert "\n" not in str(refused.value)
    capsys.readouterr()
    assert of_their_own("kawhi=kawhi").kawhi == in_verl("kawhi=kawhi").kawhi
    assert capsys.readouterr().err.startswith(f"warning: there is no kawhi=mm: {file}: {told}")
    with pytest.raises(CellError, match="mean_one, mm, oracle"):
        credit_choices.store(["kawhi=kawi"])
