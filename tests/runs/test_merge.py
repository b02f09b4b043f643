"""The merge stage's refusals; the merge itself runs in every end-to-end cell."""

import pytest
import torch
from safetensors.torch import save_file

from kawhi.base.errors import CellError
from kawhi.base.health import weights_changed
from kawhi.base.rundir import RunDirectory
from kawhi.runs.merge import merge


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
