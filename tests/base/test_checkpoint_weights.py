"""A model is known by its weights, wherever it lies, and its critical heads by theirs."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from kawhi.base import checkpoint_weights
from kawhi.base.checkout import resolve_package_paths
from kawhi.base.checkpoint_weights import UNMEASURED, measured_heads, weights_fingerprint
from kawhi.base.errors import CellError


def test_a_second_shard_counts(checkpoint):
    first = weights_fingerprint(str(checkpoint))
    (checkpoint / "model-2.safetensors").write_bytes(b"more")
    assert weights_fingerprint(str(checkpoint)) != first


def test_large_weights_are_told_apart_by_name_and_size(checkpoint, monkeypatch):
    """Hashing 16 GB takes a minute; the path of the model is in the identity too."""
    monkeypatch.setattr(checkpoint_weights, "_SMALL", 4)
    first = weights_fingerprint(str(checkpoint))
    (checkpoint / "model.safetensors").write_bytes(b"weights of another size")
    assert weights_fingerprint(str(checkpoint)) != first


def test_a_hub_model_is_its_name():
    assert weights_fingerprint("Qwen/Qwen2.5-VL-7B-Instruct") == "hub:Qwen/Qwen2.5-VL-7B-Instruct"
    assert weights_fingerprint("Qwen/Qwen2.5-VL-7B-Instruct", "c0") == "hub:Qwen/Qwen2.5-VL-7B-Instruct@c0"


def test_the_shipped_checkpoint_elsewhere_has_the_same_weights(tmp_path):
    shipped = "pkg://kawhi.tiny/checkpoints/qwen2_5_vl"
    copied = shutil.copytree(resolve_package_paths(shipped), tmp_path / "copy")
    assert weights_fingerprint(str(copied)) == weights_fingerprint(shipped)


def test_heads_are_those_of_the_newest_record_of_the_very_weights(tmp_path, checkpoint):
    """A name is nobody's heads: weights are."""

    def measured(name: str, weights: str, heads: list[int], at: float) -> None:
        record = {"model": {"name": "model", "weights": weights}, "heads": {"critical_heads": heads}}
        (tmp_path / f"{name}_heads-0.json").write_text(json.dumps(record))
        os.utime(tmp_path / f"{name}_heads-0.json", (at, at))

    measured("other", "another model's", [4], at=5e9)
    assert measured_heads(str(checkpoint), None, tmp_path) == UNMEASURED
    measured("first", weights_fingerprint(str(checkpoint)), [0, 2], at=1e9)
    measured("second", weights_fingerprint(str(checkpoint)), [3], at=2e9)
    assert measured_heads(str(checkpoint), None, tmp_path) == [3]
    measured("third", weights_fingerprint(str(checkpoint)), [], at=3e9)
    assert measured_heads(str(checkpoint), None, tmp_path) is None  # none is critical: all of them
    measured("hub", "hub:somebody/model@c0", [1], at=1e9)
    assert measured_heads("somebody/model", "c0", tmp_path) == [1]
    assert measured_heads("somebody/model", "c1", tmp_path) == UNMEASURED
    with pytest.raises(CellError, match="does not exist"):
        measured_heads("/nowhere/at/all", None, tmp_path)
