"""Real processes: none of them outlives its stage, its time limit or the harness."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from kawhi.base import processes
from kawhi.base.processes import RUN_DIRECTORY, end_stragglers, run
from tests.cells import gone, until

SLEEP = ["sleep", "600"]
# A grandchild in a session of its own, as Ray's and vLLM's workers are; its process id is the log.  The second one does
# not end when it is asked to.
POLITE = "setsid sleep 600 & echo $!"
DEAF = "(trap '' TERM; exec setsid sleep 600) & echo $!"


def start(command: list[str], folder: Path, limit: float = 300, **more):
    return run(command, environment=dict(os.environ), run_directory=folder, log=folder / "log", limit=limit, **more)


def python(folder: Path, code: str, limit: float = 300, **more):
    return start([sys.executable, "-c", code], folder, limit, **more)


@pytest.mark.parametrize("code", [0, 1, 75, -9])
def test_exit_codes_come_through_and_a_signal_is_a_negative_one(tmp_path, code):
    ended = python(tmp_path, f"import os; os._exit({code}) if {code} >= 0 else os.kill(os.getpid(), {-code})")
    assert ended.code == code
    assert not ended.asked
    assert 0 < ended.seconds < 300


def test_both_streams_are_appended_to_the_log(tmp_path):
    for word in ("first", "second"):
        python(tmp_path, f"import sys; print('{word}'); sys.stdout.flush(); print('to stderr', file=sys.stderr)")
    assert (tmp_path / "log").read_text().split("\n") == ["first", "to stderr", "second", "to stderr", ""]


def test_the_child_has_its_environment_and_no_input(tmp_path):
    python(tmp_path, f"import os, sys; print(os.environ['{RUN_DIRECTORY}'], repr(sys.stdin.read()))")
    assert (tmp_path / "log").read_text() == f"{tmp_path} ''\n"


def test_the_memory_of_all_its_processes_is_seen_with_shared_pages_once(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "MEMORY_SECONDS", 0)
    held = "import os, time; block = b'x' * (256 * 2**20); os.fork(); time.sleep(2.5)"
    assert 0.25 < python(tmp_path, held).memory_gib < 0.4  # twice the interpreter, once the block


def test_what_its_processes_use_is_seen_with_that_of_children_that_ended(tmp_path):
    seen = []
    busy = "import os, time\nif os.fork() == 0:\n while time.process_time() < 0.6: pass\n os._exit(0)\nos.wait()\n"
    python(tmp_path, f"{busy}time.sleep(2)", watch=lambda: seen.append(processes.processor_seconds(tmp_path)))
    assert 0.6 <= max(seen) < 5
    assert processes.processor_seconds(tmp_path) == 0


def test_watch_is_called_while_the_command_runs(tmp_path):
    seen = []
    start(["sleep", "1.2"], tmp_path, watch=lambda: seen.append(time.monotonic()))
    assert seen


def test_an_error_of_the_watcher_ends_the_command(tmp_path):
    def fail():
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        start(SLEEP, tmp_path, watch=fail)
    assert end_stragglers(tmp_path) == 0


def test_the_time_limit_ends_a_grandchild_in_another_session(tmp_path):
    ended = start(["sh", "-c", f"{DEAF}; sleep 600"], tmp_path, limit=1)
    assert ended.code is None
    assert 1 <= ended.seconds < 300
    assert gone(int((tmp_path / "log").read_text()))


@pytest.mark.parametrize("on_request", ["signal.SIG_DFL", "signal.SIG_IGN"])
def test_shared_memory_of_who_is_ended_does_not_stay(tmp_path, on_request):
    """vLLM's queues have hundreds of MB each, and whoever removes them is ended with it."""
    code = (
        "import signal, time; from multiprocessing.shared_memory import SharedMemory; "
        f"signal.signal(signal.SIGTERM, {on_request}); held = SharedMemory(create=True, size=10); "
        "print(held.name, flush=True); time.sleep(600)"
    )
    assert python(tmp_path, code, limit=2).code is None
    assert not Path("/dev/shm", (tmp_path / "log").read_text().split()[0]).exists()


def test_a_request_to_stop_gives_the_command_time(tmp_path):
    """It is the command that looks for the file; here it answers after half a second."""
    stop = tmp_path / "stop"
    code = f"import os, time\nwhile not os.path.exists({str(stop)!r}): time.sleep(0.1)\ntime.sleep(0.5)"
    ended = python(tmp_path, code, watch=stop.touch, stop=stop, patience=20)
    assert (ended.code, ended.asked) == (0, True)


@pytest.mark.parametrize("patience", [0, 1])
def test_who_does_not_stop_when_asked_is_ended(tmp_path, patience):
    stop = tmp_path / "stop"
    ended = start(["sh", "-c", f"{DEAF}; sleep 600"], tmp_path, watch=stop.touch, stop=stop, patience=patience)
    assert (ended.code, ended.asked) == (None, True)
    assert patience < ended.seconds < 300
    assert gone(int((tmp_path / "log").read_text()))


def test_the_notice_before_a_jobs_end_kills_neither_the_command_nor_its_children(tmp_path):
    """Slurm sends it to every process of the step."""
    code = "import subprocess; p = subprocess.Popen(['sleep', '2']); print('up', flush=True); print(p.wait())"
    before = signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    try:

        def notice() -> None:
            for process in [p for p in psutil.process_iter() if _carries(p, tmp_path)]:
                with contextlib.suppress(psutil.NoSuchProcess):  # it may end between the two
                    process.send_signal(signal.SIGUSR2)

        ended = python(tmp_path, code, watch=notice)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert ended.code == 0
    assert (tmp_path / "log").read_text() == "up\n0\n"


def _carries(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.environ().get(RUN_DIRECTORY) == str(folder)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def test_a_command_that_ends_well_leaves_no_grandchild_behind(tmp_path):
    ended = start(["sh", "-c", POLITE], tmp_path)
    assert ended.code == 0
    assert gone(int((tmp_path / "log").read_text()))


def test_only_processes_of_this_run_directory_are_ended(tmp_path):
    def sleeper(folder):
        return subprocess.Popen(SLEEP, env={**os.environ, RUN_DIRECTORY: str(folder)}, start_new_session=True)

    ours, theirs = sleeper(tmp_path / "a"), sleeper(tmp_path / "ab")
    try:
        assert end_stragglers(tmp_path / "a") == 1
        assert gone(ours.pid)
        assert not gone(theirs.pid)
    finally:
        for process in (ours, theirs):
            process.kill()
            process.wait()


HOLDS = """
import time
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory

held = SharedMemory(create=True, size=4096)
resource_tracker.unregister(held._name, "shared_memory")
print(held.name, flush=True)
time.sleep(900)
"""
"""Nobody but this process would remove what it holds, as with a worker whose tracker Ray kills with it."""


def test_shared_memory_of_processes_goes_with_them_unless_somebody_else_has_it(tmp_path):
    environment = {**os.environ, RUN_DIRECTORY: str(tmp_path)}
    command = [sys.executable, "-c", HOLDS]
    holders = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
        for _ in range(2)
    ]
    segments = [Path("/dev/shm", holder.stdout.readline().strip()) for holder in holders]
    try:
        with open(segments[1], "r+b") as file, mmap.mmap(file.fileno(), 0):
            assert end_stragglers(tmp_path) >= 2  # with their trackers
            assert [segment.exists() for segment in segments] == [False, True]
    finally:
        for holder, segment in zip(holders, segments, strict=True):
            holder.kill()
            holder.communicate()
            segment.unlink(missing_ok=True)


def test_the_harness_does_not_end_itself(tmp_path, monkeypatch):
    """A harness started by a stage of another cell carries the variable too."""
    code = (
        "from pathlib import Path; from kawhi.base.processes import end_stragglers; "
        f"print(end_stragglers(Path({str(tmp_path)!r})), 'alive')"
    )
    environment = {**os.environ, RUN_DIRECTORY: str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "0 alive\n")


def test_killing_the_harness_kills_the_command(tmp_path):
    """SIGKILL reaches no handler of ours, so nothing but the kernel can do it."""
    harness = (
        "import os; from pathlib import Path; from kawhi.base.processes import run; "
        f"folder = Path({str(tmp_path)!r}); "
        "run(['sleep', '600'], environment=dict(os.environ), run_directory=folder, log=folder / 'log', limit=600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", harness])
    try:
        found: list[psutil.Process] = []

        def started() -> bool:
            # Before the exec the child is a copy of its parent.
            found[:] = [c for c in psutil.Process(parent.pid).children() if c.name() == "sleep"]
            return bool(found)

        until(started)
        parent.kill()
        parent.wait()
        until(lambda: gone(found[0].pid))
    finally:
        parent.kill()
        parent.wait()
        end_stragglers(tmp_path)
