"""One Slurm for all tests of this folder."""

from __future__ import annotations

import os

import pytest

from tests.slurm.lab import Lab, missing, started


@pytest.fixture(scope="session")
def _lab():
    if why := missing():
        if os.environ.get("KAWHI_CI"):
            pytest.fail(f"the tests of Slurm do not run: {why}", pytrace=False)
        pytest.skip(f"no Slurm here: {why}")
    with started() as lab:
        yield lab


@pytest.fixture(scope="module")
def lab(_lab: Lab):
    """A real Slurm with two nodes, the same for all modules; each module ends with an empty queue and both nodes."""
    yield _lab
    _lab.clear()


@pytest.fixture
def in_lab(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The lab with two free nodes, also for code that is called in this process."""
    for name in [name for name in os.environ if name.startswith(("SLURM", "SBATCH", "SRUN", "SALLOC"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLURM_CONF", lab.environment["SLURM_CONF"])
    lab.clear()  # what an earlier test has left, or one that failed
    return lab


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """What the daemons wrote belongs to a failure."""
    report = (yield).get_result()
    lab = getattr(item, "funcargs", {}).get("lab")
    if report.failed and isinstance(lab, Lab):
        report.sections.append(("Slurm's queue and logs", "\n".join(lab.squeue()) + "\n" + lab.logs()))
