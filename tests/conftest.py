"""Fixtures that several folders share."""

from __future__ import annotations

import gc
import os

gc.disable()  # until all is imported and collected: a quarter of that time, with nothing to collect

# verl reads its platform when it is imported, so the CPU platform is named before any test module imports it.
os.environ.setdefault("VERL_PLATFORM", "cpu")
os.environ.setdefault("VERL_USE_EXTERNAL_MODULES", "kawhi.verl_plugin.cpu.platform")

# Before anything imports transformers: the torchvision wheel may not fit a CPU-only torch.
from kawhi.wheels import torchvision_shim  # noqa: E402

torchvision_shim.install()

import sys  # noqa: E402
from contextlib import ExitStack  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

from kawhi import fork_server  # noqa: E402
from kawhi.base import included  # noqa: E402
from kawhi.credit.methods import METHODS  # noqa: E402
from kawhi.runs.verl_command import environment  # noqa: E402

from .cells import cell  # noqa: E402

# A deadline per example fails at random on a busy machine; derandomize, so that a red test is red again tomorrow.
settings.register_profile("kawhi", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("kawhi")

# One fork server for a session, all its xdist workers included; none while no test starts a trainer.
_FORK_SERVER = ExitStack()
_SWITCHED_OFF = os.environ.get(fork_server.VARIABLE) == "0"


def pytest_configure(config):
    works = hasattr(config, "workerinput")
    controls = getattr(config.option, "numprocesses", None) and not works
    if not controls:  # it runs tests, so it imports these in any case
        import cv2
        import torch

        torch.set_num_threads(1)
        cv2.setNumThreads(1)
    if controls and config.option.markexpr != "not slow":
        _start_fork_server()
    elif not works:
        os.environ[fork_server.VARIABLE] = "0"  # else each cell that a test makes would start one


def pytest_collection_finish(session):
    gc.enable()
    gc.freeze()
    if not hasattr(session.config, "workerinput") and any(item.get_closest_marker("slow") for item in session.items):
        _start_fork_server()


def pytest_unconfigure(config):
    _FORK_SERVER.close()


def _start_fork_server() -> None:
    """Cells find it in their environment.  What a test itself starts is started plainly, as a user's commands are."""
    if not _SWITCHED_OFF:
        os.environ.pop(fork_server.VARIABLE, None)
        python = sys.executable
        _FORK_SERVER.enter_context(fork_server.running(environment(cell(Path("unused")), Path("unused/train/unused"))))
        sys.executable = python


_LONG = ("slurm", "end_to_end")
_TRAIN = ("tests/slurm", "tests/end_to_end", "tests/test_adding.py")
_TRAIN_AT_ONCE = 2
_LONG_MODULES = ("test_experiments", "test_hostile", "test_launcher", "test_sandbox", "test_coverage", "test_job")


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items):
    """Folders of minutes first, then modules with slow tests and others of a minute, then the many short ones.

    ``make test`` deals modules out to its processes in this order, so that short ones fill up the end.
    """
    for item in items:
        if item.path.parent.name == "slurm":
            item.add_marker(pytest.mark.slow)
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def rank(item) -> int:
        folder = item.path.parent.name
        if folder in _LONG:
            return _LONG.index(folder)
        return len(_LONG) + (item.path not in slow and item.path.stem not in _LONG_MODULES)

    items.sort(key=rank)


@pytest.fixture(autouse=True)
def _interpreter():
    """A test leaves behind the interpreter that it found, or later ones start their programs with another one."""
    before = sys.executable
    yield
    assert sys.executable == before


@pytest.fixture(autouse=True)
def _included():
    """A test begins with nothing included, and leaves behind neither files nor the credit methods that they registered.

    ``--include`` is for a process and all that it starts; a process of tests plays many commands.
    """
    os.environ.pop(included.VARIABLE, None)
    ours = set(METHODS)
    yield
    os.environ.pop(included.VARIABLE, None)
    for name in set(METHODS) - ours:
        METHODS.pop(name)
    for name in [name for name in sys.modules if name.startswith("included_")]:
        sys.modules.pop(name)


@pytest.fixture(scope="session")
def tokenizer():
    from kawhi.tiny.tokenizer import train_tokenizer

    return train_tokenizer()


@pytest.fixture(scope="session")
def sentencepiece_tokenizer():
    """One as Llama's: a space is written as U+2581, and what the vocabulary does not have, as bytes."""
    from tests.credit.sentencepiece import train

    return train()


@pytest.fixture(scope="session")
def qwen_tokenizer():
    """A real one: 151,669 tokens, as those of the models of ``conf/model``."""
    from kawhi.rehearsal.model_stand_in import tokenizer

    return tokenizer("qwen3_vl")


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint of a few bytes; the fingerprint reads no tensors."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture(params=["qwen2_5_vl", "qwen3_vl"])
def family(request):
    return request.param


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """The tests of Slurm go to one worker, which starts one Slurm for all of them; the others go by module.

    Two Slurms side by side would start up to four cells at once, which is more than the memory of a small machine.  For
    the same reason only two workers begin with tests that train; a third one fills the time in which those wait.
    """
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class OneSlurm(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return "tests/slurm" if nodeid.startswith("tests/slurm/") else super()._split_scope(nodeid)

        def _assign_work_unit(self, node):
            if int(node.gateway.id.removeprefix("gw")) >= _TRAIN_AT_ONCE:
                light = next((scope for scope in self.workqueue if not scope.startswith(_TRAIN)), None)
                if light is not None:
                    self.workqueue.move_to_end(light, last=False)
            super()._assign_work_unit(node)

    return OneSlurm(config, log)
