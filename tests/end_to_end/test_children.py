"""What the session's fork server has imported leaves its children a random state of their own."""

import os
import subprocess
from pathlib import Path

import pytest

from kawhi import fork_server
from kawhi.runs.verl_command import environment
from tests.cells import cell

pytestmark = pytest.mark.slow

DRAWS = """
import random, secrets, uuid
import numpy, ray
print(ray.ObjectID.from_random().hex(), random.random(), secrets.token_hex(), uuid.uuid4(), numpy.random.rand())
"""


def test_two_children_draw_nothing_alike(tmp_path):
    python = Path(os.environ[fork_server.VARIABLE]) / "python"
    (tmp_path / "draws.py").write_text(DRAWS)
    own = environment(cell(tmp_path), tmp_path / "train" / "metrics.jsonl")
    words = [python, tmp_path / "draws.py"]
    told = [subprocess.run(words, env=own, capture_output=True, text=True) for _ in range(2)]
    assert not any("started plainly" in each.stderr for each in told)
    first, second = (each.stdout.split() for each in told)
    assert len(first) == 5
    assert not set(first) & set(second)
