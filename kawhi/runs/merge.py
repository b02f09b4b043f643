"""Stage ``merge``: verl's sharded checkpoint -> a Hugging Face checkpoint, and proof that training changed it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from omegaconf import DictConfig

from kawhi.base.checkout import resolve_package_paths
from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.health import weights_changed
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import stage_main


def merge(cell: DictConfig, run_directory: RunDirectory) -> None:
    """Merges the last complete checkpoint; the folder appears under its name only when it is whole.

    Raises:
        CellError: no complete checkpoint, or weights that training did not change.
    """
    tracker = run_directory.checkpoints / "latest_checkpointed_iteration.txt"  # verl writes it last
    if not tracker.exists():
        raise CellError(
            f"training left no complete checkpoint in {run_directory.checkpoints}; delete stages/train.json"
        )
    step = int(tracker.read_text())
    temporary = run_directory.merged.with_name(f".merged.{os.getpid()}")
    for left in run_directory.merged.parent.glob(".merged.*"):
        shutil.rmtree(left)

    from verl.model_merger.base_model_merger import ModelMergerConfig
    from verl.model_merger.fsdp_model_merger import FSDPModelMerger

    actor = run_directory.checkpoints / f"global_step_{step}" / "actor"
    merger = FSDPModelMerger(
        ModelMergerConfig(
            operation="merge",
            backend="fsdp",
            local_dir=str(actor),
            target_dir=str(temporary),
            hf_model_config_path=str(actor / "huggingface"),
        )
    )
    merger.merge_and_save()
    before = Path(resolve_package_paths(cell.model.path))
    # A hub model's original is not at hand here; its run relies on the gradient norms.
    changed = weights_changed(before, temporary) if before.is_dir() else None
    if changed is False:
        raise CellError("training left every weight as it was: look at actor/grad_norm and actor/lr in the metrics")
    write_json(run_directory.merge_report, {"step": step, "weights_changed": changed})
    shutil.rmtree(run_directory.merged, ignore_errors=True)
    os.replace(temporary, run_directory.merged)


if __name__ == "__main__":
    stage_main(merge)
