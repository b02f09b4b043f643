"""The child that judges: verdicts, limits, deaths, threads, forks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from kawhi.rewards import sandbox
from kawhi.rewards.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
HANGS = ("5", "9^{9^{9^{9}}}")


def python(program: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, cwd=ROOT, **options
    )


def gone(pid: int, seconds: float = 120) -> bool:
    """Whether a process ends; a zombie that nobody has collected counts as ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("pair", "outcome"),
    [
        (("5", "5"), "right"),
        (("5", "6"), "wrong"),
        ((r"\frac{1}{2}", "0.5"), "right"),
        ((r"1.6 \times 10^{-19}", r"9.1 \times 10^{-31}"), "wrong"),  # both are 0 to six decimals
        (("5", r"\frac{"), "wrong"),
        ((r"\frac{", "5"), "wrong"),
    ],
)
def test_verdicts(pair, outcome, box):
    assert box.compare([pair]) == outcome


def test_one_equal_reading_is_enough_but_close_ones_must_be(box):
    assert box.compare([("5", "6"), ("5", "5")]) == "right"
    assert box.compare([("17.3", "17.3")], [(r"10\sqrt{3}", "17.3")]) == "right"
    assert box.compare([("18", "18")], [(r"10\sqrt{3}", "18")]) == "wrong"
    assert box.compare([("18", "18")], [("x", "18")]) == "wrong"


def test_an_answer_that_hangs_is_refused_and_the_next_one_judged():
    box = Sandbox(cpu_seconds=0.5)
    assert box.compare([HANGS]) == "refused"
    assert box.refusals == {"CPU time": 1}
    assert box.compare([("5", "5")]) == "right"
    assert box.starts == 2
    box.close()


def test_a_child_that_sleeps_is_ended():
    box = Sandbox(wall_seconds=4)
    assert box.compare([("5", "5")]) == "right"
    first = box._child
    first.send_signal(signal.SIGSTOP)
    assert box.compare([("5", "5")]) == "right"  # a fresh child judged it
    assert first.returncode == -signal.SIGKILL
    assert box.starts == 2
    box.close()


def test_an_answer_whose_children_all_sleep_is_refused(monkeypatch):
    box = Sandbox()
    monkeypatch.setattr(box, "_ask", lambda request: ([], "wall time"))
    assert box.compare([("5", "5")]) == "refused"
    assert box.refusals == {"wall time": 1}


def test_a_child_killed_between_answers_costs_no_answer():
    box = Sandbox()
    assert box.compare([("5", "5")]) == "right"
    box._child.kill()
    assert box.compare([("5", "5.0")]) == "right"
    assert box.compare([("5", "6")]) == "wrong"
    assert (box.starts, box.refusals) == (2, {})
    box.close()


def test_a_child_killed_at_work_costs_no_answer():
    box = Sandbox(cpu_seconds=1)
    assert box.compare([("5", "5")]) == "right"
    threading.Timer(0.3, box._child.kill).start()
    assert box.compare([HANGS]) == "refused"
    assert box.refusals == {"CPU time": 1}  # of the second child
    assert box.starts == 2
    box.close()


def test_no_zombies_and_no_descriptors_are_left():
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before, box = descriptors(), Sandbox(cpu_seconds=0.2)
    for _ in range(2):
        assert box.compare([HANGS]) == "refused"
    pid = box._child.pid if box._child else None
    box.close()
    assert descriptors() == before
    assert pid is None
    children = psutil.Process().children()
    assert not [child for child in children if child.status() == psutil.STATUS_ZOMBIE]


def test_threads_take_turns_and_get_their_own_verdicts(box):
    def judge(number: int) -> bool:
        truth, answer = str(number), rf"\frac{{{2 * (number + number % 2)}}}{{2}}"
        return box.compare([(truth, answer)]) == ("wrong" if number % 2 else "right")

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(judge, range(200)))


def test_a_forked_process_starts_its_own_child():
    done = python(
        """
import os
from kawhi.rewards.sandbox import shared
assert shared().compare([("5", "5")]) == "right"
pid = os.fork()
assert shared().compare([("5", "5.0"), ("5", "6")][::-1]) == "right"
assert shared().compare([("5", "6")]) == "wrong"
if pid:
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shared().starts)
"""
    )
    assert done.stdout.split() == ["0", "1"], done.stderr


@pytest.mark.parametrize(
    "work", ["pass", "threading.Thread(target=box.compare, args=([HANGS],)).start(); time.sleep(0.5)"]
)
def test_no_child_outlives_its_parent(work):
    done = python(
        f"""
import os, signal, threading, time
from kawhi.rewards.sandbox import Sandbox
HANGS = {HANGS}
box = Sandbox(cpu_seconds=1)
box.compare([("5", "5")])
print(box._child.pid, flush=True)
{work}
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert gone(int(done.stdout))


def test_a_child_whose_pipe_another_process_holds_open_still_ends(tmp_path):
    done = python(
        """
import os, signal, subprocess
from kawhi.rewards.sandbox import Sandbox
box = Sandbox()
box.compare([("5", "5")])
holder = subprocess.Popen(["sleep", "600"], pass_fds=[box._child.stdin.fileno()], stdout=-3, stderr=-3)
print(box._child.pid, holder.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    child, holder = map(int, done.stdout.split())
    try:
        assert gone(child)
    finally:
        os.kill(holder, signal.SIGKILL)


def test_the_end_of_the_interpreter_is_quiet():
    done = python(
        "from kawhi.rewards.sandbox import shared; shared().compare([('5', '5')]); print(shared()._child.pid)",
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert gone(int(done.stdout), 1)


def test_a_child_that_cannot_start_stops_the_run(monkeypatch):
    monkeypatch.setattr(sandbox, "_MODULE", "kawhi.rewards.nobody")
    with pytest.raises(RuntimeError, match=r"cannot be started: .*No module named kawhi\.rewards\.nobody"):
        Sandbox().compare([("5", "5")])
    monkeypatch.setattr(sys, "executable", "/no/python")
    with pytest.raises(RuntimeError, match=r"cannot be started: .*No such file"):
        Sandbox().compare([("5", "5")])


def test_a_retired_child_is_replaced_once(monkeypatch):
    box = Sandbox()
    replies = [([], "retired"), (["parsed", "true"], None)]
    monkeypatch.setattr(box, "_ask", lambda request: replies.pop(0))
    assert box.compare([("5", "5")]) == "right"
    monkeypatch.setattr(box, "_ask", lambda request: ([], "retired"))
    with pytest.raises(RuntimeError, match="ends without judging"):
        box.compare([("5", "5")])


def test_a_child_that_has_grown_retires():
    program = """
import itertools, kawhi.rewards.sandbox_child as child
sizes = itertools.chain([0, 0, 0], itertools.repeat(1 << 30))
child.limit_memory = lambda: None
child.address_space = lambda: next(sizes)
child.main(5.0)
"""
    request = json.dumps({"truths": ["5"], "pairs": [["5", "5"]], "close": []}) + "\n"
    done = python(program, input=request * 3)
    assert done.returncode == 0
    assert done.stdout.split() == ["ready", "parsed", "true", "parsed", "true"]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("bytearray(3 << 30)", "MemoryError"),
        ("open('written', 'w').write('x' * 100000)", "File too large"),
    ],
)
def test_the_kernel_bounds_the_child(program, said, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", f"from kawhi.rewards.sandbox_child import limit_memory; limit_memory(); {program}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=300,
    )
    assert done.returncode == 1
    assert said in done.stderr
