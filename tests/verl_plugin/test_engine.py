"""alpha out of the real engine equals the brute-force cosine: both families, packed and padded, one and two ranks."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.verl_plugin.engine_world import CASES, VARIANTS

WORLD = Path(__file__).parent / "engine_world.py"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """What the ranks of all cases wrote, one folder for each family.

    The models are randomly initialised: their heads look in all directions, so mistakes cannot hide.
    """
    from kawhi.tiny.architectures import FAMILIES, build_model
    from kawhi.tiny.tokenizer import train_tokenizer
    from kawhi.tiny.warm_start import save

    root = tmp_path_factory.mktemp("world")
    tokenizer = train_tokenizer()
    for family in FAMILIES:
        save(build_model(family, tokenizer, seed=1).to(torch.float32), family, tokenizer, root / family)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, str(WORLD), str(root)], env=environment, timeout=600)
    return root


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "ranks"), CASES)
def test_alpha_equals_brute_force_in_every_variant(world, family, layout, ranks):
    for rank in range(ranks):
        output = (world / family / f"{layout}-{ranks}.{rank}.log").read_text()
        found = [float(each) for each in re.findall(r"deviation (\S+)", output)]
        # The other signals, two batches with other numbers of images, the reference policy; then asserts of its own.
        assert len(found) == len(VARIANTS) + (5 if layout == "lora" else 6), output[-3000:]
        assert max(found) < 1e-5
        assert output.endswith("done\n"), output[-3000:]
