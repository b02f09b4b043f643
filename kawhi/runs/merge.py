"""Stage ``merge``: verl's sharded checkpoint -> a Hugging Face checkpoint, and proof that training changed it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.health import weights_changed
from kawhi.base.published import fetched_model
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import stage_main
from kawhi.runs import checkpoints
from kawhi.runs.held_out import scores_best

_A, _B, _BASE = ".lora_A.default.weight", ".lora_B.default.weight", ".base_layer"
"""Where PEFT keeps a linear layer's adapter, and the layer itself."""


def merge(cell: DictConfig, run_directory: RunDirectory) -> None:
    """Merges the checkpoint that is scored: the last complete one, or the best on held-out data.

    The folder appears under its name only when it is whole.

    Raises:
        CellError: no complete checkpoint, or weights that training did not change.
    """
    tracker = run_directory.checkpoints / "latest_checkpointed_iteration.txt"  # verl writes it last
    if not tracker.exists():
        raise CellError(
            f"training left no complete checkpoint in {run_directory.checkpoints}; delete stages/train.json"
        )
    step = int(tracker.read_text())
    if scores_best(cell):
        rows = run_directory.metrics()
        step = checkpoints.best_held_out(checkpoints.usable_steps(run_directory.checkpoints, rows), rows)
    temporary = run_directory.merged.with_name(f".merged.{os.getpid()}")
    for left in run_directory.merged.parent.glob(".merged.*"):
        shutil.rmtree(left)
    _merger(run_directory.checkpoints / f"global_step_{step}" / "actor", temporary).merge_and_save()
    if not weights_changed(Path(fetched_model(cell.model.path, cell.model.get("revision"))), temporary):
        raise CellError("training left every weight as it was: look at actor/grad_norm and actor/lr in the metrics")
    write_json(run_directory.merge_report, {"step": step, "weights_changed": True})
    shutil.rmtree(run_directory.merged, ignore_errors=True)
    os.replace(temporary, run_directory.merged)


def _merger(actor: Path, target: Path) -> Any:
    """verl's merger, but for LoRA: verl saves the untrained weights, with the adapters in a folder beside them."""
    from verl.model_merger.base_model_merger import ModelMergerConfig
    from verl.model_merger.fsdp_model_merger import FSDPModelMerger

    class Merger(FSDPModelMerger):
        def save_lora_adapter(self, state_dict: dict[str, Any]) -> None:
            add_adapters(state_dict, actor / "lora_train_meta.json")

    return Merger(
        ModelMergerConfig(
            operation="merge",
            backend="fsdp",
            local_dir=str(actor),
            target_dir=str(target),
            hf_model_config_path=str(actor / "huggingface"),
        )
    )


def add_adapters(state: dict[str, Any], trained: Path) -> None:
    """Puts a model's trained tensors in the place of PEFT's, under their own names; nothing happens without adapters.

    Args:
        state: tensors by name; changed in place.
        trained: where verl wrote ``r`` and ``lora_alpha``, by which the adapters' output is scaled.

    Raises:
        CellError: adapters that nothing says the scale of, or that belong to no layer.
    """
    layers = [name.removesuffix(_A) for name in state if name.endswith(_A)]
    if not layers:
        return
    if not trained.is_file():
        raise CellError(f"the checkpoint has adapters and no {trained.name}, without which their scale is not known")
    said = json.loads(trained.read_text())
    for layer in layers:
        weight = f"{layer}{_BASE}.weight"
        delta = state.pop(f"{layer}{_B}").float() @ state.pop(f"{layer}{_A}").float()
        state[weight] = (state[weight].float() + said["lora_alpha"] / said["r"] * delta).to(state[weight].dtype)
    if left := [name for name in state if "lora_" in name]:
        raise CellError(f"the checkpoint has adapters that cannot be added to a linear layer: {left[0]}")
    for name in list(state):
        state[name.removeprefix("base_model.model.").replace(_BASE, "")] = state.pop(name)


if __name__ == "__main__":
    stage_main(merge)
