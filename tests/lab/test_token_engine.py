"""The rows of ``kawhi tokens`` are what verl's engine and the trainer make of the same responses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kawhi.tiny.warm_start import CHECKPOINTS
from tests.lab.token_engine_pair import METHODS

PROGRAM = Path(__file__).parent / "token_engine_pair.py"
ALIKE = {"uniform", "step_grpo"}
"""Methods that weigh all tokens alike."""


@pytest.mark.slow
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_every_method_s_weights_are_the_trainer_s(tmp_path, family):
    out = tmp_path / "found.json"
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(CHECKPOINTS / family), family, str(out)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(out.read_text())
    for name in ("log_probs", "blank_log_probs", "perturbed_log_probs"):
        assert found[name] < 1e-4, name
    for name in ("entropy", "nucleus_entropy", "blank_entropy"):
        assert found[name] < 1e-4, name  # verl sums it in another order
    assert found["alignment"] < 1e-6
    for method in METHODS:
        assert found[f"{method} weights"] < 1e-6, method
        assert (found[f"{method} spread"] > 1e-3) is (method not in ALIKE), method
