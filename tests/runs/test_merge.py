"""The merge stage's refusals; the merge itself runs in every end-to-end cell."""

import json
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from verl.model_merger.fsdp_model_merger import FSDPModelMerger

from kawhi.base.errors import CellError
from kawhi.base.health import weights_changed
from kawhi.base.rundir import RunDirectory
from kawhi.runs import merge as stage
from kawhi.runs.merge import add_adapters, merge
from kawhi.tiny.architectures import build_model
from tests.cells import cell, metrics_row
from tests.runs.test_checkpoints import save


def test_no_complete_checkpoint_is_a_sentence(tmp_path):
    """verl writes the tracker file last, so shards without it are half a checkpoint."""
    run_directory = RunDirectory(tmp_path)
    (run_directory.checkpoints / "global_step_2" / "actor").mkdir(parents=True)
    with pytest.raises(CellError, match="no complete checkpoint"):
        merge(None, run_directory)
    assert not run_directory.merged.exists()


def test_a_change_below_bf16_is_no_change(tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    for folder, value in ((before, 1.0), (after, 1.0 + 2**-12)):
        folder.mkdir()
        save_file({"w": torch.full((3,), value)}, folder / "model.safetensors")
    assert not weights_changed(before, after)
    save_file({"w": torch.tensor([1.0, 1.0, 1.5])}, after / "model.safetensors")
    assert weights_changed(before, after)


def test_models_without_a_tensor_in_common_cannot_be_compared(tmp_path):
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        save_file({name: torch.ones(3)}, tmp_path / name / "model.safetensors")
    with pytest.raises(CellError, match="have no tensor in common"):
        weights_changed(tmp_path / "before", tmp_path / "after")


@pytest.fixture
def adapted(family, tokenizer):
    """A model with adapters that say something."""
    torch.manual_seed(0)
    config = LoraConfig(r=4, lora_alpha=6, target_modules="all-linear", exclude_modules=".*visual.*")
    model = get_peft_model(build_model(family, tokenizer), config)
    with torch.no_grad():
        for _, weight in adapters(model):
            weight.normal_(std=0.1)
    return model


def adapters(model) -> list:
    return [(name, weight) for name, weight in model.named_parameters() if "lora_" in name]


@pytest.fixture
def trained(tmp_path):
    """What verl writes of the adapters beside a checkpoint."""
    file = tmp_path / "lora_train_meta.json"
    file.write_text(json.dumps({"r": 4, "lora_alpha": 6, "task_type": "CAUSAL_LM"}))
    return file


def test_adapters_are_added_as_peft_adds_them(adapted, trained):
    state = {name: weight.clone() for name, weight in adapted.state_dict().items()}
    add_adapters(state, trained)
    expected = adapted.merge_and_unload().state_dict()
    assert state.keys() == expected.keys()
    torch.testing.assert_close(state, expected, atol=1e-6, rtol=1e-5)


def test_verl_leaves_the_untrained_weights(adapted, trained, tmp_path):
    """When this fails, verl merges adapters itself and ``add_adapters`` can go."""
    name = "model.language_model.layers.0.self_attn.q_proj"
    state = {name: weight.clone() for name, weight in adapted.state_dict().items()}
    before = state[f"base_model.model.{name}.base_layer.weight"].clone()
    merger = object.__new__(FSDPModelMerger)
    merger.config = SimpleNamespace(local_dir=str(trained.parent), target_dir=str(tmp_path / "merged"))
    assert merger.save_lora_adapter(state) == str(tmp_path / "merged" / "lora_adapter")
    assert torch.equal(state[f"{name}.weight"], before)


def test_without_adapters_nothing_happens(tmp_path):
    weight = torch.ones(2)
    state = {"model.embed_tokens.weight": weight}
    add_adapters(state, tmp_path / "lora_train_meta.json")
    assert list(state.items()) == [("model.embed_tokens.weight", weight)]


def test_adapters_of_unknown_scale_or_place_are_refused(adapted, trained):
    state = adapted.state_dict()
    with pytest.raises(CellError, match=r"the checkpoint has adapters and no nothing\.json, without which their scale"):
        add_adapters(dict(state), trained.with_name("nothing.json"))
    with pytest.raises(CellError, match=r"cannot be added to a linear layer: x\.lora_embedding_A\.default"):
        add_adapters({**state, "x.lora_embedding_A.default": torch.ones(1)}, trained)


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A training of a hub model that the cache has: what it ends in is what ``weight`` says."""
    run_directory = RunDirectory(tmp_path / "run")
    run_directory.checkpoints.mkdir(parents=True)
    (run_directory.checkpoints / "latest_checkpointed_iteration.txt").write_text("2")
    cache = tmp_path / "cache"
    cache.mkdir()
    save_file({"w": torch.ones(3)}, cache / "model.safetensors")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(cache))

    def merged(weight: float) -> RunDirectory:
        def write(actor, target):
            target.mkdir()
            return SimpleNamespace(
                merge_and_save=lambda: save_file({"w": torch.full((3,), weight)}, target / "model.safetensors")
            )

        monkeypatch.setattr(stage, "_merger", write)
        merge(cell(tmp_path, "model=qwen2_5_vl_7b"), run_directory)
        return run_directory

    return merged


def test_a_hub_model_that_training_left_as_it_was_is_refused(finished):
    with pytest.raises(CellError, match="training left every weight as it was"):
        finished(1.0)
    found = finished(1.5)
    assert json.loads(found.merge_report.read_text()) == {"step": 2, "weights_changed": True}
    assert (found.merged / "model.safetensors").is_file()


def test_a_hub_model_that_nobody_has_cannot_be_compared(finished, monkeypatch):
    def gone(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", gone)
    with pytest.raises(CellError, match=r"Qwen/Qwen2\.5-VL-7B-Instruct cannot be had \(no network\): `hf download"):
        finished(1.5)


@pytest.mark.parametrize(("rule", "merged"), [("last", 4), ("best_heldout", 2)])
def test_the_checkpoint_that_is_scored_is_merged(tmp_path, monkeypatch, rule, merged):
    run_directory = RunDirectory(tmp_path / "run")
    rows = [metrics_row(step, **{"val-core/geo3k/acc/mean@1": 0.5 - step / 100}) for step in (1, 2, 3, 4)]
    lines = [json.dumps({"step": row["step"], "data": row}) for row in rows]
    run_directory.new_metrics_file().write_text("".join(f"{line}\n" for line in lines))
    for step in (2, 4):
        save(run_directory.checkpoints, step)
    chosen = []

    def write(actor, target):
        chosen.append(int(actor.parent.name.removeprefix("global_step_")))
        raise CellError("as far as this goes")

    monkeypatch.setattr(stage, "_merger", write)
    with pytest.raises(CellError, match="as far as this goes"):
        merge(cell(tmp_path, f"study.checkpoint={rule}"), run_directory)
    assert chosen == [merged]
