"""The lab and verl's own engine make the same of the same rollouts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kawhi.tiny.warm_start import CHECKPOINTS
from tests.lab.engine_pair import ALIGNMENTS, METHODS

PROGRAM = Path(__file__).parent / "engine_pair.py"


@pytest.mark.slow
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_signals_weights_losses_and_gradients_are_those_of_verl_s_engine(tmp_path, family):
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
    assert found["log_probs"] < 1e-5
    assert found["perturbed_log_probs"] < 1e-4  # of tokens that nothing in the masked image speaks for
    assert found["entropy"] < 1e-4  # verl sums it in another order
    for name in ALIGNMENTS:
        assert found[f"alpha {name}"] < 1e-6
        assert found[f"spread of alpha {name}"] > 1e-3
    for method in METHODS:
        assert found[f"{method} weights"] < 1e-6
        for algorithm in ("grpo", "dapo", "gspo"):
            assert found[f"{method} {algorithm} loss"] < 1e-5
            assert found[f"{method} {algorithm} gradient"] < 1e-5
            assert found[f"{method} {algorithm} largest gradient"] > 1e-3
            assert (found[f"{method} {algorithm} added"] > 1e-3) == (method == "papo")
