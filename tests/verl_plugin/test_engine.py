"""alpha out of the real engine equals the brute-force cosine: both families, packed and padded, one and two ranks."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("verl", reason="the training extra is not installed")

from tests.verl_plugin.engine_world import VARIANTS

WORLD = Path(__file__).parent / "engine_world.py"


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def random_model(request, tmp_path_factory):
    """A randomly initialised tiny model: its heads look in all directions, so mistakes cannot hide."""
    from kawhi.tiny.models import build_model
    from kawhi.tiny.tokenizer import train_tokenizer
    from kawhi.tiny.warm_start import save

    folder = tmp_path_factory.mktemp(request.param)
    tokenizer = train_tokenizer()
    save(build_model(request.param, tokenizer, seed=1).to(torch.float32), request.param, tokenizer, folder)
    return request.param, folder


def deviations(model: tuple[str, Path], layout: str, ranks: int) -> list[float]:
    family, folder = model
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = []
    for rank in range(ranks):
        where = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(ranks),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, str(WORLD), str(folder), family, layout]
        processes.append(
            subprocess.Popen(
                command, env={**os.environ, **where}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        )
    outputs = [process.communicate(timeout=240)[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output[-3000:]
    return [float(found) for output in outputs for found in re.findall(r"deviation (\S+)", output)]


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "ranks"), [("packed", 1), ("padded", 1), ("packed", 2)])
def test_alpha_equals_brute_force_in_every_variant(random_model, layout, ranks):
    found = deviations(random_model, layout, ranks)
    assert len(found) == ranks * (len(VARIANTS) + 5)  # the other signals, and two batches with other numbers of images
    assert max(found) < 1e-5
