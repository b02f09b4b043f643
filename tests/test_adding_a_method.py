"""The example of docs/adding_a_method.md, executed in a copy of the repository."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from kawhi.verl_plugin import wire
from tests.cells import ROOT

PAGE = (ROOT / "docs" / "adding_a_method.md").read_text(encoding="utf-8")
FILE = re.compile(r"`([a-z_/]+\.(?:py|yaml))`:\n\n```\w+\n(.*?)```", re.DOTALL)
WEIGHTS = """
import json, torch
from kawhi.credit.methods import ResponseBatch, build
signals = {"log_probs": torch.tensor([-3.0, -2.0, -1.0, 0.0])}
batch = ResponseBatch(torch.zeros(4), torch.tensor([0, 1, 4]), signals, None)
print(json.dumps(build("unsure").weights(batch).tolist()))
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A copy with the page's two files written where the page says."""
    folder = tmp_path_factory.mktemp("repository")
    for name in ("kawhi", "conf", "experiments", "hydra_plugins"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    files = FILE.findall(PAGE)
    assert [path for path, _ in files] == ["kawhi/credit/methods/unsure.py", "conf/credit/unsure.yaml"]
    for path, text in files:
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def run(folder, *command: str, limit: float = 600) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=limit
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def test_the_method_is_found_and_weighs(repository):
    assert json.loads(run(repository, "-c", WEIGHTS).stdout) == [1.0, 1.0, 0.0, 0.0]


def test_its_configuration_composes_alone_and_in_a_product(repository):
    shown = run(repository, "experiments/run.py", "--cfg", "job", "credit=unsure", "algorithm=gspo").stdout
    assert "method: unsure" in shown
    product = ["credit=kawhi", "+kawhi.also.unsure={}", "credit.name=kawhi_unsure"]
    assert "unsure: {}" in run(repository, "experiments/run.py", "--cfg", "job", *product).stdout
    for command in re.findall(r"^python experiments/run\.py (.*)$", PAGE, re.MULTILINE):
        run(repository, "experiments/run.py", "--cfg", "job", *command.split())


def test_the_example_is_as_short_as_the_page_promises():
    code = FILE.findall(PAGE)[0][1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10


def test_every_signal_is_named():
    pytest.importorskip("verl", reason="the training extra is not installed")
    from kawhi.verl_plugin.trainer_signals import FIELDS

    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert named == set(FIELDS)
    for prefix in (wire.PERTURBED, wire.BLANK):
        assert f"`timing_s/{prefix}_pass`" in PAGE


@pytest.mark.slow
def test_it_trains(repository):
    run(repository, "experiments/run.py", "credit=unsure", "study=timing", "steps=1", limit=600)
    (record,) = (repository / "results" / "records").glob("*.json")
    (zeros,) = json.loads(record.read_text())["training"]["weight_zero_share"]
    assert zeros == pytest.approx(0.5, abs=0.01)
