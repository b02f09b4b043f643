"""A checkpoint of one's own: what is read of its files, and heads that are never another model's."""

from __future__ import annotations

import json
import os
import re
import shutil

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

from kawhi.base.checkpoint_weights import weights_fingerprint
from kawhi.base.errors import CellError
from kawhi.probes.study_record import write_heads_record
from kawhi.runs.identity import cell_hash
from kawhi.runs.model_settings import validate_model
from kawhi.runs.own_model import own_model
from kawhi.runs.validation import validate
from kawhi.tiny.warm_start import CHECKPOINTS
from tests.cells import ROOT, cell, options

SHIPPED = {"qwen2_5_vl": "tiny_qwen2_5_vl", "qwen3_vl": "tiny_qwen3_vl"}


def own(folder, path, *overrides):
    return cell(folder, "model=own", f"model.path={path}", *overrides)


def measured(monkeypatch, folder, path, heads, threshold: float = 100.0):
    """A record of kawhi heads in the cell's folder of records."""
    monkeypatch.setenv("KAWHI_RECORDS", str(folder / "records"))
    settings = {"backend": "qwen2_5_vl", "weights": weights_fingerprint(str(path))}
    found = {"threshold": threshold, "critical_heads": heads}
    return write_heads_record(found, settings, name="any", provenance="tiny", command="kawhi heads")


def another(path, folder):
    """The same model with one more space in a file that is read with it."""
    copy = folder / "another"
    shutil.copytree(path, copy)
    with (copy / "config.json").open("a") as file:
        file.write("\n")
    return copy


@pytest.mark.parametrize("family", SHIPPED)
def test_it_is_read_as_the_shipped_file_says_it(tmp_path, family):
    """Of a model that has a file, every fact of the file, and that file's own name for its folder."""
    shipped, found = cell(tmp_path, f"model={SHIPPED[family]}"), own(tmp_path, CHECKPOINTS / family)
    for key in ("family", "image_size", "lmms_eval_model"):
        assert found.model[key] == shipped.model[key], key
    assert (found.model.name, found.model.query_heads) == (family, 4)
    assert found.verl.data.image_patch_size == shipped.verl.data.image_patch_size
    for key in ("min_pixels", "max_pixels"):
        assert found.evaluation[key] == shipped.evaluation[key]


@pytest.mark.parametrize("name", [name for name in options("model") if not name.startswith(("tiny", "own"))])
def test_a_published_model_is_read_as_its_file_says_it(tmp_path, name):
    """From a config.json of the published form, beside weights of one number."""
    told = cell(tmp_path, f"model={name}")
    sizes, pixels = told.model.sizes, told.evaluation
    text = {
        "num_attention_heads": told.model.query_heads,
        "num_hidden_layers": sizes.layers,
        "hidden_size": sizes.hidden,
        "intermediate_size": sizes.intermediate,
        "num_key_value_heads": sizes.key_width * told.model.query_heads // sizes.query_width,
        "vocab_size": sizes.vocabulary,
    }
    vision = {"depth": sizes.vision_layers, "hidden_size": sizes.vision_hidden}
    if told.model.family == "qwen2_5_vl":  # published before the text had a block of its own
        config, limits = text, {"min_pixels": pixels.min_pixels, "max_pixels": pixels.max_pixels}
    else:
        config = {"text_config": text | {"head_dim": 128}}
        limits = {"size": {"shortest_edge": pixels.min_pixels, "longest_edge": pixels.max_pixels}}
    folder = tmp_path / "Some-Model"
    for each in (folder, tmp_path / "bare"):
        each.mkdir()
        told_config = config | {"model_type": told.model.family, "vision_config": vision}
        (each / "config.json").write_text(json.dumps(told_config))
    assert own_model(f"{tmp_path}/bare", "sizes") is None  # without weights there are no parameters to count
    (folder / "preprocessor_config.json").write_text(json.dumps(limits))
    save_file({"one": torch.zeros(7)}, folder / "model.safetensors")
    found = {key: own_model(str(folder), key) for key in ("sizes", "query_heads", "family", "image_size", "name")}
    assert found["sizes"].parameters == 7
    assert OmegaConf.merge(found["sizes"], {"parameters": sizes.parameters}) == sizes
    assert (found["query_heads"], found["family"]) == (told.model.query_heads, told.model.family)
    assert (found["image_size"], found["name"]) == (told.model.image_size, "Some-Model")
    assert [own_model(str(folder), key) for key in ("min_pixels", "max_pixels")] == [
        pixels.min_pixels,
        pixels.max_pixels,
    ]


def test_its_heads_are_those_of_its_weights(tmp_path, monkeypatch):
    path = CHECKPOINTS / "qwen2_5_vl"
    measured(monkeypatch, tmp_path, path, [0, 2])
    found = own(tmp_path, path)
    validate(found)
    assert list(found.kawhi.alignment.heads) == [0, 2]
    os.utime(measured(monkeypatch, tmp_path, path, [3], threshold=50.0), (2e9, 2e9))
    assert list(own(tmp_path, path).model.critical_heads) == [3]  # the newest that was asked for
    os.utime(measured(monkeypatch, tmp_path, path, [], threshold=900.0), (3e9, 3e9))
    assert own(tmp_path, path).kawhi.alignment.heads is None  # none is critical: all of them


def test_it_is_never_given_another_model_s(tmp_path, monkeypatch):
    path = CHECKPOINTS / "qwen2_5_vl"
    measured(monkeypatch, tmp_path, path, [0, 2])
    other = another(path, tmp_path)
    with pytest.raises(
        CellError, match=rf"the critical heads of another are not known: `kawhi heads {other} --data MME/\*.parquet`"
    ):
        validate(own(tmp_path, other))
    for given in ("model.critical_heads=null", "kawhi.alignment.heads=[1]", "credit=uniform"):
        validate(own(tmp_path, other, given))


def test_a_run_without_heads_stays_the_same_run_when_they_are_found(tmp_path, monkeypatch):
    path = CHECKPOINTS / "qwen2_5_vl"
    before = cell_hash(own(tmp_path, path, "credit=uniform"))
    measured(monkeypatch, tmp_path, path, [0, 2])
    assert cell_hash(own(tmp_path, path, "credit=uniform")) == before
    with_heads = cell_hash(own(tmp_path, path))
    assert cell_hash(own(tmp_path, path, "kawhi.alignment.heads=[0,2]")) == with_heads
    assert cell_hash(own(tmp_path, path, "kawhi.alignment.heads=[1,2]")) != with_heads


@pytest.mark.parametrize(
    ("file", "part", "says"),
    [
        ("qwen2_5_vl_7b", "num_hidden_layers", "64 layers, 28 query heads, 3584 numbers a token"),
        ("qwen2_5_vl_7b", "num_attention_heads", "28 layers, 64 query heads, 3584 numbers a token"),
        ("qwen3_vl_4b", "hidden_size", "36 layers, 32 query heads, 64 numbers a token"),
    ],
)
def test_a_file_of_another_size_is_refused_with_the_command(tmp_path, file, part, says):
    """Whichever of the three differs: Qwen3-VL-8B has as many heads and layers as the 4B."""
    told = cell(tmp_path, f"model={file}")
    text = {
        "num_hidden_layers": told.model.sizes.layers,
        "num_attention_heads": told.model.query_heads,
        "hidden_size": told.model.sizes.hidden,
    }
    for name, config in (("same", text), ("other", text | {part: 64})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(
            json.dumps({"model_type": told.model.family, "text_config": config})
        )
    validate_model(cell(tmp_path, f"model={file}", f"model.path={tmp_path}/same"))
    with pytest.raises(CellError) as refused:
        validate_model(cell(tmp_path, f"model={file}", f"model.path={tmp_path}/other"))
    sentence = str(refused.value)
    assert sentence.startswith(f"model.path={tmp_path}/other has {says}, and {told.model.name} has ")
    assert f"say model=own model.path={tmp_path}/other, and `kawhi heads {tmp_path}/other --data" in sentence


def test_what_is_no_model_is_said_before_anything_else(tmp_path):
    with pytest.raises(CellError, match=r"model=own needs model.path: the folder of a checkpoint"):
        validate(cell(tmp_path, "model=own"))
    with pytest.raises(CellError, match=r"model.path=nobody/nothing has no config.json on this machine: `hf download"):
        validate(own(tmp_path, "nobody/nothing"))
    with pytest.raises(CellError, match="model folder /nowhere/at/all does not exist"):
        validate(own(tmp_path, "/nowhere/at/all"))


@pytest.mark.parametrize("model", ["own", "qwen2_5_vl_7b"])
def test_another_family_is_refused_with_the_list(tmp_path, model):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llava_onevision", "text_config": {}}))
    with pytest.raises(CellError) as refused:
        validate(cell(tmp_path, f"model={model}", f"model.path={tmp_path}"))
    assert "llava_onevision" in str(refused.value)
    assert "qwen2_5_vl, qwen3_vl" in str(refused.value)
    assert "docs/adding_a_family.md" in str(refused.value)


def test_the_commands_of_the_page_are_cells(tmp_path):
    """The tiny world's as it stands; of the others the model's part."""
    page = (ROOT / "docs" / "your_model.md").read_text(encoding="utf-8")
    runs = re.findall(r"^(?:kawhi plan|python experiments/run.py) (model=own .*)$", page, re.MULTILINE)
    assert len(runs) == 3
    *full, tiny = (words.split() for words in runs)
    found = cell(tmp_path, *tiny)
    validate(found)
    assert list(found.kawhi.alignment.heads) == [1, 2]
    for words in full:
        validate_model(cell(tmp_path, *words, f"model.path={CHECKPOINTS / 'qwen2_5_vl'}"))
