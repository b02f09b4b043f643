"""With every weight forced to 1 the plug-in is stock verl, bit for bit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from kawhi import fork_server
from kawhi.runs.verl_command import command, environment
from kawhi.tiny.dataset import write_split
from tests.cells import ROOT

from .conftest import SMALL

pytestmark = pytest.mark.slow

# Time, memory, and what only the plug-in logs.
IGNORED = ("timing", "perf/", "kawhi/")
# Which requests vLLM computes together depends on the machine's load and moves the last digits of the rollout's
# log-probs; one request at a time, from its first token on, leaves nothing to the load.
ALONE = ("verl.actor_rollout_ref.rollout.max_num_seqs=1", "+verl.actor_rollout_ref.rollout.enable_prefix_caching=false")


def metrics(family: str, folder: Path, *, stock: bool) -> list[dict]:
    """Two steps of training: stock verl by its own entry point, or the plug-in with w_min = w_max = 1."""
    choice = ["kawhi.method=off"] if stock else ["kawhi.options.w_min=1.0", "kawhi.options.w_max=1.0"]
    paths = [f"paths.{name}={folder / name}" for name in ("runs", "records", "data")]
    loop = ["verl.actor_rollout_ref.rollout.agent.default_agent_loop=kawhi_seeded"] if stock else []
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cell = compose(
            "run", overrides=[f"model={family}", "hydra/launcher=basic", *SMALL, *ALONE, *choice, *paths, *loop]
        )
    for split, count in (("train", 32), ("validation", 8)):
        write_split(folder / f"{split}.parquet", split, count, cell.model.image_size, seed=0)
    name = "stock" if stock else "plugin"
    file = folder / f"{name}.jsonl"
    # The token that keeps the weight syncs of runs side by side apart.
    with fork_server.running(environment(cell, file)):
        own = {**environment(cell, file), "KAWHI_RUN_DIR": str(folder / name)}
        arguments = command(
            cell,
            train_file=folder / "train.parquet",
            validation_file=folder / "validation.parquet",
            checkpoints=folder / f"{name}-checkpoints",
        )
        if stock:
            arguments[1:3] = ["-m", "verl.trainer.main_ppo"]
            arguments = [argument for argument in arguments if not argument.startswith("+kawhi.")]
        assert arguments[0] == sys.executable
        done = subprocess.run(arguments, env=own, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "started plainly" not in done.stdout + done.stderr
    rows = [json.loads(line)["data"] for line in file.read_text().splitlines()]
    return [{k: v for k, v in row.items() if not any(i in k for i in IGNORED)} for row in rows]


@pytest.mark.parametrize("family", ["tiny_qwen2_5_vl", "tiny_qwen3_vl"])
def test_weights_of_one_are_stock_verl(family, tmp_path):
    stock, plugin = metrics(family, tmp_path, stock=True), metrics(family, tmp_path, stock=False)
    assert len(stock) == len(plugin) == 2
    for step, (expected, got) in enumerate(zip(stock, plugin, strict=True), start=1):
        assert len(expected) > 50, "the comparison must cover verl's metrics"
        assert expected.keys() == got.keys()
        different = {name: (expected[name], got[name]) for name in expected if expected[name] != got[name]}
        assert different == {}, f"step {step}"
