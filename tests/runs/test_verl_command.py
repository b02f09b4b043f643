"""A cell reaches verl with the values it has, and verl's own configuration knows its keys."""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from kawhi.base import attention_choice
from kawhi.base.checkout import resolve_package_paths
from kawhi.base.errors import CellError
from kawhi.runs import verl_settings
from kawhi.runs.verl_command import command, environment, leaves, overrides, to_override
from kawhi.runs.verl_settings import validate_keys
from tests.cells import CONF, cell, options, overridden

FILES = {"train_file": Path("t.parquet"), "validation_file": Path("v.parquet"), "checkpoints": Path("c")}
PARSER = OverridesParser.create()
KEYS = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
# Lone surrogates cannot be passed to a process; ``${`` is an interpolation to OmegaConf whatever its quotes.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(lambda text: "${" not in text)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=3), max_leaves=6)

# fmt: off
AWKWARD = [
    "it's", 'say "no"', "it's \"no\"", "a,b", "a b", " a ", "[1]", "{a:1}", "k=v", "true", "False", "null", "1e-3",
    "", "-1", ".5", "inf", "nan", "größer λ 图", "a\\b", "a\\", "\\'", "a\\'b", "line\nline", "# text", "a:b",
    "/data/x.parquet", "pkg.module.Class", "~a", "+a", "a@b", "(x)", "*", "?",
    True, False, None, 0, -3, 10**20, 1e-07, 2.0, -0.5, float("inf"), [], {}, ["a", 1, None, [True]],
    {"a": "1", "b": {"c": ["x, y"]}},
]
# fmt: on


def parsed(value):
    return PARSER.parse_override(f"key={to_override(value)}").value()


def test_awkward_values_arrive_as_they_are():
    changed = {repr(value): got for value in AWKWARD if (got := parsed(value)) != value or type(got) is not type(value)}
    assert changed == {}


@given(VALUES)
def test_any_value_arrives_as_it_is(value):
    assert parsed(value) == value
    assert type(parsed(value)) is type(value)


def test_not_a_number_arrives():
    assert repr(parsed(float("nan"))) == "nan"


def test_package_paths_become_files():
    import kawhi

    folder = Path(kawhi.__file__).parent
    value = {"a": ["pkg://kawhi.rewards/boxed.py", 1], "b": "kawhi/rewards", "c": "pkg://kawhi/rewards"}
    assert resolve_package_paths(value) == {
        "a": [str(folder / "rewards" / "boxed.py"), 1],
        "b": "kawhi/rewards",
        "c": str(folder / "rewards"),
    }


def test_keys_that_verl_knows_and_keys_that_it_does_not(tmp_path):
    lines = overrides(cell(tmp_path, "steps=20", "+verl_added.trainer.odd='a, b'"), **FILES)
    assert "trainer.total_training_steps=20" in lines
    assert "data.train_files=t.parquet" in lines
    assert "data.val_files=v.parquet" in lines
    assert "trainer.default_local_dir=c" in lines
    assert "+trainer.odd='a, b'" in lines
    assert "+kawhi.method=kawhi" in lines
    assert "+kawhi.regions.sigma=1.0" in lines
    assert "actor_rollout_ref.model.external_lib=kawhi.verl_plugin.worker" in lines
    by_verl = "data.custom_cls.path=pkg://kawhi.verl_plugin.picture_dataset"
    assert [line for line in lines if "pkg:" in line or "${" in line] == [by_verl]
    keys = [line.split("=")[0].lstrip("+") for line in lines]
    assert len(keys) == len(set(keys))


def test_an_empty_block_is_passed_on(tmp_path):
    assert "+kawhi.options={}" in overrides(cell(tmp_path, "credit=uniform"), **FILES)


def test_verl_is_told_which_attention_was_chosen(tmp_path, monkeypatch):
    key = "+actor_rollout_ref.model.override_config.attn_implementation="
    assert f"{key}sdpa" in overrides(cell(tmp_path), **FILES)
    assert f"{key}eager" in overrides(cell(tmp_path, "scale.attention=eager"), **FILES)
    monkeypatch.setattr(attention_choice, "missing", lambda name, *_: None)
    asked = cell(tmp_path, "scale=h200x8", "data=geo3k", "model=qwen2_5_vl_7b")
    assert asked.scale.attention == asked.evaluation.attention == "auto"
    assert f"{key}flash_attention_2" in overrides(asked, **FILES)


def test_with_kawhi_off_verl_runs_alone(tmp_path, monkeypatch):
    monkeypatch.delenv("VERL_ENGINE_VENDOR", raising=False)
    off = cell(tmp_path, "credit=uniform", "kawhi.method=off")
    assert "actor_rollout_ref.model.external_lib=kawhi.verl_plugin.worker" in overrides(off, **FILES)  # corrections
    assert "data.custom_cls.name=PictureDataset" in overrides(off, **FILES)
    assert "VERL_ENGINE_VENDOR" not in environment(off, Path("m"))
    assert environment(cell(tmp_path), Path("m"))["VERL_ENGINE_VENDOR"] == "kawhi"


def test_the_environment_is_ours_plus_the_scale_s(tmp_path, monkeypatch):
    monkeypatch.setenv("KAWHI_TEST", "inherited")
    monkeypatch.setenv("VERL_PLATFORM", "of the shell")
    asked = cell(tmp_path, "scale.omp_threads=3", "scale.limits.weight_sync=7")
    found = environment(asked, tmp_path / "metrics.jsonl")
    assert found["KAWHI_TEST"] == "inherited"
    assert found["VERL_PLATFORM"] == "cpu"  # the cell decides
    assert found["OMP_NUM_THREADS"] == "3"
    assert found["KAWHI_WEIGHT_SYNC_LIMIT"] == "7"
    assert found["VERL_FILE_LOGGER_PATH"] == str(tmp_path / "metrics.jsonl")
    assert all(isinstance(value, str) for value in found.values())


def test_nothing_is_compiled_without_a_gpu(tmp_path, monkeypatch):
    monkeypatch.delenv("TORCHDYNAMO_DISABLE", raising=False)
    assert environment(cell(tmp_path), tmp_path / "metrics.jsonl")["TORCHDYNAMO_DISABLE"] == "1"
    assert "TORCHDYNAMO_DISABLE" not in environment(cell(tmp_path, "scale.device=cuda"), tmp_path / "metrics.jsonl")


def test_the_command_is_our_entry_point_in_this_interpreter(tmp_path):
    asked = cell(tmp_path)
    assert command(asked, **FILES)[:3] == [sys.executable, "-m", "kawhi.verl_plugin.main"]
    assert command(asked, **FILES)[3:] == overrides(asked, **FILES)


def composed_by_verl(*lines: str):
    """verl's configuration with overrides, found without importing verl, which takes seconds."""
    folder = Path(find_spec("verl").submodule_search_locations[0]) / "trainer" / "config"
    with initialize_config_dir(str(folder), version_base=None):
        return compose("ppo_trainer", overrides=list(lines))


verl_defaults = cache(composed_by_verl)


def in_verl(*lines: str):
    """:func:`composed_by_verl`, in a sixth of its time: its files are composed once."""
    return overridden(verl_defaults(), lines)


@pytest.mark.parametrize("scale", ["cpu", "h200x8"])
def test_the_quick_way_to_a_configuration_gives_what_hydra_composes(tmp_path, scale):
    values = ["steps=7", "+verl_added.trainer.odd='a, b'", "seeds.data=4"]
    asked = cell(tmp_path, f"scale={scale}", "model=qwen2_5_vl_7b", "algorithm=dapo", *values)
    paths = [f"paths.{name}={tmp_path / name}" for name in ("runs", "records", "data")]
    needs = ["scale.needs.memory_gib=0", "scale.needs.disk_gib=0"]
    groups = [f"scale={scale}", "model=qwen2_5_vl_7b", "algorithm=dapo"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        assert asked == compose("run", overrides=[*groups, *values, *paths, *needs])
    assert in_verl(*overrides(asked, **FILES)) == composed_by_verl(*overrides(asked, **FILES))


@pytest.mark.parametrize(
    ("model", "credit"),
    [(model, "kawhi") for model in options("model")] + [("tiny_qwen2_5_vl", credit) for credit in options("credit")],
)
def test_verl_accepts_every_cell(tmp_path, model, credit):
    asked = cell(tmp_path, f"model={model}", f"credit={credit}")
    composed = in_verl(*overrides(asked, **FILES))
    validate_keys(asked)
    for block in (asked.verl, asked.verl_added):
        for key, value in leaves(resolve_package_paths(OmegaConf.to_container(block, resolve=True))):
            assert OmegaConf.select(composed, key) == value, key
    assert composed.kawhi == OmegaConf.to_container(asked.kawhi, resolve=True)
    assert composed.actor_rollout_ref.model.path == resolve_package_paths(asked.model.path)


def test_adapters_reach_verl_at_either_scale(tmp_path):
    for more, rate in ((), 2e-4), (("scale=h200x8", "model=qwen2_5_vl_7b", "data=geo3k", "benchmarks=math"), 1e-5):
        asked = cell(tmp_path, "lora=r64", *more)
        validate_keys(asked)
        composed = in_verl(*overrides(asked, **FILES)).actor_rollout_ref
        assert composed.model.lora_rank == 64
        assert composed.model.exclude_modules == ".*visual.*"
        assert composed.rollout.load_format == "safetensors"
        assert composed.actor.optim.lr == rate  # in the tiny world the scale's


@pytest.mark.parametrize("override", ["+verl.trainer.no_such_key=1", "+verl_added.trainer.nnodes=1"])
def test_known_and_new_keys_cannot_be_confused(tmp_path, override):
    """A misspelt key under ``verl`` and one under ``verl_added`` that verl has after all are both refused."""
    asked = cell(tmp_path, override)
    with pytest.raises(ConfigCompositionException, match=override.split(".")[-1].split("=")[0]):
        in_verl(*overrides(asked, **FILES))
    with pytest.raises(CellError, match=override.split(".")[-1].split("=")[0]):
        validate_keys(asked)


def test_what_verl_keeps_as_one_file_is_what_it_composes():
    """But for the name of the engine, which chooses files and has no effect of its own."""
    composed = OmegaConf.to_container(verl_defaults(), resolve=False)
    assert composed.pop("model_engine") == "dp"
    assert OmegaConf.to_container(verl_settings.verl_defaults(), resolve=False) == composed


TAGGED = [file for file in sorted(CONF.rglob("*.yaml")) if "# verl default" in file.read_text()]


@pytest.mark.parametrize("file", TAGGED, ids=lambda file: str(file.relative_to(CONF)))
def test_what_is_called_verl_s_default_is(tmp_path, file):
    """The comments of the configuration are read by people who decide what to change."""
    own = [] if file.parent == CONF else [f"{file.parent.name}={file.stem}"]
    ours = dict(leaves(OmegaConf.to_container(cell(tmp_path, *own).verl, resolve=True)))
    tagged = {line.split(":")[0].strip() for line in file.read_text().splitlines() if "# verl default" in line}
    checked = {key for key in ours if key.rsplit(".", 1)[-1] in tagged}
    assert {key.rsplit(".", 1)[-1] for key in checked} == tagged
    assert {key: ours[key] for key in checked} == {key: OmegaConf.select(verl_defaults(), key) for key in checked}
