"""A program that was forked is the program that the interpreter would have run; and it ends when it should.

The servers here import next to nothing; tests/end_to_end runs cells through a real one.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from kawhi import fork_server
from kawhi.base.processes import belonging_to, memory_gib
from tests.cells import until

MODULES = ("json", "numpy")
SOON = 60  # seconds, for what takes tenths of one on an idle machine


@pytest.fixture(scope="module", autouse=True)
def _server():
    before = os.environ.pop(fork_server.VARIABLE, None)
    with fork_server.running(os.environ, modules=MODULES):
        yield
    if before is not None:
        os.environ[fork_server.VARIABLE] = before


@pytest.fixture
def program(tmp_path):
    """Writes a program and says how to run it, through the server or not."""

    def written(code: str, *words: str, plainly: bool = False, name: str = "program.py") -> list[str]:
        (tmp_path / name).write_text(code)
        python = os.path.join(sys.prefix, "bin", "python") if plainly else sys.executable
        return [python, str(tmp_path / name), *words]

    return written


ABOUT_ITSELF = """
import json, os, resource, signal, sys
print(json.dumps({
    "argv": sys.argv, "path": sys.path[0], "name": __name__, "file": __file__, "folder": os.getcwd(),
    "environment": dict(os.environ), "umask": os.umask(0), "stdin": sys.stdin.read(),
    "nice": os.nice(0), "cores": sorted(os.sched_getaffinity(0)), "flags": str(sys.flags),
    "limit": resource.getrlimit(resource.RLIMIT_NOFILE), "prefix": sys.prefix,
    "ignored": [n for n in range(1, 32) if signal.getsignal(n) == signal.SIG_IGN],
    "interrupt": signal.getsignal(2) is signal.default_int_handler,
    "shown": open("/proc/self/environ").read().split("\\0"),
    "main": sys.modules["__main__"].__dict__["ABOUT"],
}) if (ABOUT := 1) else 0)
print("warning", file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""


def test_a_program_finds_what_it_would_find_without_the_server(program, tmp_path):
    def prepared():
        os.umask(0o027)
        os.nice(3)
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        resource.setrlimit(resource.RLIMIT_NOFILE, (500, 600))
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)

    environment = os.environ | {"NEW": "a b"} | fork_server.environment()
    seen = []
    for plainly in (False, True):
        done = subprocess.run(
            program(ABOUT_ITSELF, "7", "x y", plainly=plainly),
            input="asked",
            text=True,
            capture_output=True,
            cwd=tmp_path,
            env=environment,
            preexec_fn=prepared,
        )
        assert (done.returncode, done.stderr) == (7, "warning\n")
        about = json.loads(done.stdout)
        assert about.pop("environment")["NEW"] == "a b"
        assert "NEW=a b" in about.pop("shown")
        seen.append(about)
    assert seen[0] == seen[1]


def test_a_module_is_run_as_the_interpreter_runs_it(program, tmp_path):
    code = "import sys; print(__name__, sys.argv[1:], sys.path[0] == __import__('os').getcwd(), __spec__.name)"
    program(code, name="some_module.py")
    done = subprocess.run([sys.executable, "-m", "some_module", "a"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "__main__ ['a'] True some_module\n"


def test_a_program_is_forked_and_its_own_programs_are(program):
    code = "import sys, subprocess; print('numpy' in sys.modules, sys.executable); sys.argv[1:] and subprocess.run("
    code += "[sys.executable, sys.argv[0]])"
    done = subprocess.run(program(code, "again"), capture_output=True, text=True)
    assert done.stdout.splitlines() == [f"True {sys.executable}"] * 2


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("pass", 0, ""),
        ("import sys; sys.exit('a sentence')", 1, "a sentence\n"),
        ("raise ValueError('wrong')", 1, "ValueError: wrong\n"),
        ("raise KeyboardInterrupt", -signal.SIGINT, "KeyboardInterrupt\n"),
        ("import os; os._exit(9)", 9, ""),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
        ("import os; os.kill(os.getpid(), 15)", -signal.SIGTERM, ""),
        ("import atexit, sys; atexit.register(print, 'last', file=sys.stderr)", 0, "last\n"),
        ("import threading, sys; threading.Timer(0.3, lambda: print('late', file=sys.stderr)).start()", 0, "late\n"),
    ],
)
def test_a_program_ends_as_it_would_without_the_server(program, code, status, said):
    for plainly in (False, True):
        done = subprocess.run(program(code, plainly=plainly), capture_output=True, text=True)
        assert done.returncode == status
        assert done.stderr.endswith(said)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_reaches_the_program(program, tmp_path, number):
    code = f"import signal, sys, time; signal.signal({int(number)}, lambda *_: sys.exit(3))\n"
    code += f"open({str(tmp_path / 'ready')!r}, 'w'); time.sleep({SOON})"
    process = subprocess.Popen(program(code), preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    until((tmp_path / "ready").exists)
    process.send_signal(number)
    assert process.wait(SOON) == 3


GROWS = """
import os, subprocess, sys, time
from pathlib import Path
depth, folder = int(sys.argv[1]), Path(sys.argv[2])
ballast = bytearray(64 * 2**20)
if depth:
    if os.fork() == 0:  # as multiprocessing forks a worker
        (folder / f"{os.getpid()}.pid").touch()
        time.sleep(600)
    subprocess.Popen([sys.executable, sys.argv[0], str(depth - 1), str(folder)], start_new_session=depth == 2)
(folder / f"{os.getpid()}.pid").touch()
time.sleep(600)
"""


def grown(program, tmp_path) -> tuple[subprocess.Popen, list[psutil.Process]]:
    """A tree of five processes, some of them in sessions of their own, and who they are."""
    process = subprocess.Popen(program(GROWS, "2", str(tmp_path)), env=os.environ | {"KAWHI_RUN_DIR": str(tmp_path)})
    return process, tree_of_five(tmp_path)


def tree_of_five(tmp_path) -> list[psutil.Process]:
    until(lambda: len(list(tmp_path.glob("*.pid"))) == 5)
    return [psutil.Process(int(file.stem)) for file in tmp_path.glob("*.pid")]


def test_what_a_program_has_started_ends_with_its_stand_in(program, tmp_path):
    process, tree = grown(program, tmp_path)
    process.kill()
    process.wait()
    assert psutil.wait_procs(tree, timeout=SOON)[1] == []


def test_the_harness_finds_forked_processes_and_their_memory(program, tmp_path):
    process, tree = grown(program, tmp_path)
    assert {each.pid for each in tree} < {each.pid for each in belonging_to(tmp_path)}
    assert 3 * 64 / 1024 < memory_gib(tmp_path) < 5 * 64 / 1024  # two of the five share their ballast with a parent
    process.kill()
    process.wait()
    psutil.wait_procs(tree, timeout=SOON)


OWNER = """
import os, subprocess, sys, time
from kawhi import fork_server
os.environ.pop(fork_server.VARIABLE, None)
with fork_server.running(os.environ, modules=["json"]):
    process = subprocess.Popen([sys.executable, *sys.argv[2:]])
    print(os.environ[fork_server.VARIABLE], flush=True)
    if sys.argv[1] == "leaves":
        sys.stdin.read()
    else:
        time.sleep(600)
"""


@pytest.mark.parametrize("how", ["leaves", "is killed", "server is killed"])
def test_what_was_forked_ends_with_the_owner_however_it_ends(program, tmp_path, how):
    grows = program(GROWS, "2", str(tmp_path))[1:]
    owner = subprocess.Popen(
        [*program(OWNER, how, *grows, plainly=True, name="owner.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(fork_server.__file__).parents[2])},
    )
    folder = Path(owner.stdout.readline().strip())
    tree = tree_of_five(tmp_path)
    (server,) = [each for each in psutil.Process(owner.pid).children() if "server.py" in " ".join(each.cmdline())]
    assert all(server in each.parents() for each in tree)
    if how == "leaves":
        owner.stdin.close()
        assert owner.wait(SOON) == 0
    else:
        (owner if how == "is killed" else server).kill()
    # With a server that was killed, nobody is left to look for what its children have forked without it.
    expected = 2 if how == "server is killed" else 0
    until(lambda: sum(each.is_running() for each in tree) == expected)
    owner.kill()
    owner.wait()
    for each in tree:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    if how != "server is killed":
        until(lambda: not folder.exists())


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"OMP_NUM_THREADS": "17"}, "OMP_NUM_THREADS differs from the fork server's"),
        ({"NPY_PROMOTION_STATE": "weak"}, "NPY_PROMOTION_STATE differs from the fork server's"),
        ({"UNREAD": "1", "COLUMNS": "40"}, None),
    ],
)
def test_who_would_import_something_else_is_started_plainly_and_says_so(program, given, why):
    command = program("import sys; print('numpy' in sys.modules)")
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | given)
    assert done.stdout == f"{why is None}\n"
    assert done.stderr == ("" if why is None else f"fork server: {why}; started plainly: {command[1]}\n")


def test_a_process_that_is_to_have_no_server_has_none(program):
    command = program("import sys; print('numpy' in sys.modules, sys.executable)")
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {fork_server.VARIABLE: "0"})
    assert done.stdout.startswith(f"False {sys.prefix}")
    assert done.stderr == ""


def test_options_of_the_interpreter_are_for_the_interpreter(program):
    for words in (["-P", *program("import sys; print('numpy' in sys.modules)")[1:]], ["-c", "print(False)"]):
        assert subprocess.run([sys.executable, *words], capture_output=True, text=True).stdout == "False\n"


def test_without_its_server_a_stand_in_is_the_interpreter(program):
    with_server = os.environ.pop(fork_server.VARIABLE), sys.executable
    sys.executable = os.path.join(sys.prefix, "bin", "python")
    try:
        with fork_server.running(os.environ, modules=["json"]):
            command = program("print('ran')")
            os.unlink(os.path.join(os.environ[fork_server.VARIABLE], "socket"))
            done = subprocess.run(command, capture_output=True, text=True)
    finally:
        os.environ[fork_server.VARIABLE], sys.executable = with_server
    assert done.stdout == "ran\n"
    assert done.stderr.startswith("fork server: it is not there; started plainly: ")


def test_it_can_be_switched_off(monkeypatch):
    monkeypatch.setenv(fork_server.VARIABLE, "0")
    monkeypatch.setattr(sys, "executable", "as it was")
    with fork_server.running(os.environ, modules=["json"]):
        assert sys.executable == "as it was"
        assert fork_server.environment() == {}


def test_one_that_is_there_is_used(monkeypatch):
    folder = os.environ[fork_server.VARIABLE]
    monkeypatch.setattr(sys, "executable", "as it was")
    with fork_server.running({}, modules=["json"]):
        assert sys.executable == f"{folder}/python"
        assert os.environ[fork_server.VARIABLE] == folder
    assert sys.executable == "as it was"


def test_what_killed_servers_have_left_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(fork_server, "_short_folder", lambda: str(tmp_path))
    for name, age in (("kawhi-fork-old", 90), ("kawhi-fork-new", 0), ("other", 90)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "socket").touch()
        os.utime(tmp_path / name / "socket", (time.time() - age,) * 2)
    fork_server._remove_left_over()
    assert {path.name for path in tmp_path.iterdir()} == {"kawhi-fork-new", "other"}


def test_one_of_another_checkout_is_not_used(tmp_path, monkeypatch):
    folder = os.environ[fork_server.VARIABLE]
    monkeypatch.setattr(fork_server, "_HERE", tmp_path)
    for name in ("server.py", "forked.py", "stand_in.py"):
        shutil.copy(Path(fork_server.__file__).with_name(name), tmp_path)
    with fork_server.running(os.environ, modules=["json"]):
        assert os.environ[fork_server.VARIABLE] != folder
    assert os.environ[fork_server.VARIABLE] == folder


def test_what_is_preloaded_is_none_of_ours():
    modules = fork_server.preloaded()
    assert len(modules) > 50
    assert not [name for name in modules if name.split(".")[0] == "kawhi"]


RAY_READS = """
import os, ray._raylet
os.environ["RAY_health_check_period_ms"] = "1234"
before = ray._raylet.Config.health_check_period_ms()
ray._raylet.Config.initialize("")
print(before != 1234, ray._raylet.Config.health_check_period_ms())
"""


def test_ray_reads_its_settings_when_it_is_imported_and_again_when_it_is_told_to(program):
    """When the first word fails, it reads them when they are asked for, and a forked process need not tell it to."""
    done = subprocess.run(program(RAY_READS, plainly=True), capture_output=True, text=True)
    assert done.stdout == "True 1234\n", done.stderr


DECLARES_ACTORS = ("ray.actor", "ray.dag.compiled_dag_node")
DRAWS = "import ray; print(ray.ObjectID.from_random().hex(), ray.actor.ActorClassID is ray.ActorClassID)"
DRAWN_BY_TWO = """
import os, ray.dag.compiled_dag_node
def drawn():
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, ray.ObjectID.from_random().binary())
        os._exit(0)
    os.wait()
    return os.read(read, 100)
print(drawn() == drawn())
"""


def test_two_children_draw_ids_of_their_own(program, monkeypatch):
    monkeypatch.delenv(fork_server.VARIABLE)
    monkeypatch.setattr(sys, "executable", os.path.join(sys.prefix, "bin", "python"))
    with fork_server.running(os.environ, modules=DECLARES_ACTORS):
        said = [subprocess.check_output(program(DRAWS), text=True).split() for _ in range(2)]
    assert said[0][0] != said[1][0]
    assert [words[1] for words in said] == ["True", "True"]


def test_ray_s_generator_would_give_two_children_the_same_ids(program):
    assert subprocess.check_output(program(DRAWN_BY_TWO, plainly=True), text=True) == "True\n"
