"""Processes of the lab that are killed, that fail, and whose parent is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from threading import Barrier, Thread

import psutil
import pytest
import torch

from kawhi.base.errors import CellError
from kawhi.lab.side_by_side import INHERITED, forked

# Made with torch's own threads before a fork, after which a forked process's first thread need not begin anew.
NUMBERS = torch.zeros(300, 300)


def work_on(number: int) -> int:
    return INHERITED[-1](number)


def killed(_: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def refused(number: int) -> int:
    raise CellError(f"no {number}")


def test_they_have_what_cannot_be_sent():
    with forked(2, lambda number: 2 * number) as pool:
        assert list(pool.map(work_on, range(5))) == [0, 2, 4, 6, 8]
    assert not INHERITED  # of the parent, which works on nothing


@pytest.mark.parametrize(("work", "said"), [(killed, "a process of the lab was killed"), (refused, "no 0")])
def test_what_goes_wrong_in_one_is_a_sentence(work, said):
    with pytest.raises(CellError, match=said), forked(2, work) as pool:
        list(pool.map(work_on, range(5)))


def refused_threads(_: int = 0) -> list[str]:
    """What torch says to threads that use it at once for the first time, as transformers' loader of weights does."""
    together, said = Barrier(8), []

    def use() -> None:
        together.wait()
        try:
            NUMBERS.to(torch.bfloat16)
        except RuntimeError as error:
            said.append(str(error))

    threads = [Thread(target=use) for _ in range(together.parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


@pytest.fixture
def two_threads():
    torch.set_num_threads(2)  # whose pool takes longer to make than one thread's
    yield
    torch.set_num_threads(1)


@pytest.mark.usefixtures("two_threads")
def test_threads_may_use_torch_at_once():
    for _ in range(50):
        with forked(1) as pool:
            assert pool.submit(refused_threads).result() == []


@pytest.mark.usefixtures("two_threads")
def test_a_fork_alone_may_not():
    """When this fails, the lab's forked processes need not set their number of threads."""
    plain = get_context("fork")
    for _ in range(500):
        with ProcessPoolExecutor(1, mp_context=plain) as pool:
            if "Invalid thread pool" in "".join(pool.submit(refused_threads).result()):
                return
    pytest.fail("500 forked processes, in each of which 8 threads used torch at once")


def test_they_end_with_a_parent_that_is_killed(tmp_path):
    code = f"""
import os, time
from tests.lab.test_side_by_side import forked, work_on

def note(number):
    open({str(tmp_path)!r} + f"/{{number}}.part", "w").write(str(os.getpid()))
    os.rename({str(tmp_path)!r} + f"/{{number}}.part", {str(tmp_path)!r} + f"/{{number}}.pid")
    time.sleep(600)

with forked(2, note) as pool:
    list(pool.map(work_on, range(2)))
"""
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=os.getcwd())
    end = time.monotonic() + 300
    while len(found := list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    children = [psutil.Process(int(file.read_text())) for file in found]
    parent.kill()
    parent.wait()
    _, left = psutil.wait_procs(children, timeout=300)
    assert len(children) == 2
    assert not left
