"""Which commit of a published model is read, with the hub's own library and no network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from kawhi.base.checkout import CONF, ROOT
from kawhi.base.errors import CellError
from kawhi.base.published import fetched_model, model_place, pinned
from kawhi.data.sources import NAMES, source_class
from kawhi.evaluation import benchmarks
from kawhi.evaluation.benchmark import load

COMMIT = "c" * 40


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The cache of a machine without a network that has one commit of one model, and ``main`` at another."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--owner--model"
    for commit in (COMMIT, "a" * 40):
        (repository / "snapshots" / commit).mkdir(parents=True)
        (repository / "snapshots" / commit / "model.safetensors").write_bytes(b"")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    return repository / "snapshots"


def test_a_commit_is_read_from_its_own_folder(cache):
    assert model_place("owner/model", COMMIT) == fetched_model("owner/model", COMMIT) == str(cache / COMMIT)


def test_without_a_commit_it_is_what_main_is(cache):
    assert fetched_model("owner/model", None) == str(cache / ("a" * 40))
    assert model_place("owner/model", None) == "owner/model"


def test_what_the_cache_has_not_keeps_its_name_in_a_plan_and_stops_a_stage(cache):
    assert model_place("owner/model", "b" * 40) == "owner/model"
    with pytest.raises(CellError, match=f"hf download owner/model --revision {'b' * 40}"):
        fetched_model("owner/model", "b" * 40)


def test_a_snapshot_without_weights_stops_a_stage(cache):
    (cache / COMMIT / "model.safetensors").unlink()  # as `kawhi prepare`, which needs the processor alone, leaves it
    with pytest.raises(CellError, match="without its weights"):
        fetched_model("owner/model", COMMIT)


def test_of_a_folder_a_commit_says_nothing(tmp_path, cache):
    assert model_place(str(tmp_path), COMMIT) == fetched_model(str(tmp_path), COMMIT) == str(tmp_path)


def test_published_models_are_pinned_where_they_are_configured():
    assert len(pinned("Qwen/Qwen2.5-VL-7B-Instruct", CONF) or "") == 40
    assert pinned("owner/model", CONF) is None


def test_the_page_of_full_scale_names_what_is_read_and_at_which_commit():
    page = (ROOT / "docs" / "full_scale.md").read_text()
    said = dict(re.findall(r"^\| (\S+/\S+) \| `([0-9a-f]{40})` \|", page, re.MULTILINE))
    files = [*(CONF / "model").glob("*.yaml"), *(CONF / "judge").glob("*.yaml")]
    blocks = [OmegaConf.load(file).get(file.parent.name) for file in files]
    read = {each.get("path", each.get("model")): each.revision for each in blocks if each and each.get("revision")}
    read |= {source_class(name).repository: source_class(name).revision for name in NAMES}
    tasks = [
        load(f"kawhi_{file.stem}").data
        for file in Path(benchmarks.__path__[0]).glob("[a-z]*.py")
        if file.stem != "charxiv"
    ]
    pinned_tasks = [each for each in tasks if "revision" in each.get("dataset_kwargs", {})]
    read |= {each["dataset_path"]: each["dataset_kwargs"]["revision"] for each in pinned_tasks}
    assert said == read
    assert all(each["dataset_path"].rpartition("/")[2] in page for each in tasks if each)
