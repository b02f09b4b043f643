"""Hostile programs.  Each tries what it must not be able to do and tells by its error what it met."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kawhi.base.errors import CellError
from kawhi.evaluation.chartmimic import limits, sandbox
from kawhi.evaluation.chartmimic.child import launch
from tests.cells import until

pytestmark = pytest.mark.slow

FIGURE = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\n"


def error(code, wall_seconds=60.0):
    drawing = sandbox.run(code, sandbox._fonts(), wall_seconds)
    assert drawing.figure is None
    return drawing.error


def said(code):
    """What the program passes to ``exit``."""
    return error(code).removeprefix("SystemExit: ")


def processes_named(name):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found += [entry.name] if (entry / "comm").read_text().strip() == name else []
            except OSError:
                continue
    return found


def test_this_machine_has_a_sandbox():
    assert sandbox.available() == ""


WALLS = {
    "x = bytearray(10 << 30)": "MemoryError",
    "import socket; socket.socket()": "PermissionError",
    "import socket; socket.socketpair()": "PermissionError",
    "import urllib.request as u; u.urlopen('http://127.0.0.1')": "URLError: <urlopen error [Errno 1]",
    "open('/usr/x', 'w')": "OSError: [Errno 30] Read-only",
    "open('/x', 'w')": "OSError: [Errno 30] Read-only",
    "open('/recorder/x', 'w')": "OSError: [Errno 30] Read-only",
    "open('/proc/sys/kernel/hostname', 'w')": "OSError: [Errno 30] Read-only",
    "os.remove(os.__file__)": "OSError: [Errno 30] Read-only",
    "os.chmod('/usr', 0o777)": "OSError: [Errno 30] Read-only",
    "open('/etc/passwd')": "FileNotFoundError",
    "open('/etc/shadow')": "FileNotFoundError",
    "os.listdir('/home')": "FileNotFoundError",
    "os.listdir('/sys')": "FileNotFoundError",
    "os.mknod('/kawhi-sandbox/disk', 0o60600, os.makedev(8, 0))": "PermissionError",
    "open('/proc/1/environ').read()": "PermissionError",
    "open('/proc/1/mem', 'r+b')": "PermissionError",
    "open('/dev/sda')": "FileNotFoundError",
    "open('big', 'wb').write(bytes(40 << 20))": "OSError: [Errno 27] File too large",
    "[open(str(i), 'wb').write(bytes(20 << 20)) for i in range(5)]": "OSError: [Errno 28] No space left",
    "[open(str(i), 'w').close() for i in range(10**4)]": "OSError: [Errno 28] No space left",
    "files = [open('/dev/null') for i in range(10**4)]": "OSError: [Errno 24] Too many open files",
    "os.setuid(0)": "PermissionError",
    "os.memfd_create('x')": "PermissionError",
    "os.setpriority(os.PRIO_PROCESS, 0, -5)": "PermissionError",
    "import resource as r; r.setrlimit(r.RLIMIT_NPROC, (1000, 1000))": "ValueError: not allowed to raise",
    "os.kill(-1, 9)": "ProcessLookupError",
    "os.kill(1, 9)": "PermissionError" if os.geteuid() == 0 else "nothing",
}
# Tries one after the other, and draws what it met as texts.  What was written is removed, or later ones had no room.
TRIES = """
import matplotlib.pyplot as plt, os
for number, code in enumerate({codes!r}):
    try:
        exec(code, {{"os": os}})
        met = "nothing"
    except BaseException as error:
        met = f"{{type(error).__name__}}: {{error}}"
    for name in ("big", *map(str, range(600))):
        if os.path.exists(name):
            os.remove(name)
    plt.figtext(0, 0, f"{{number}} {{met}}")
"""


def met(codes):
    drawing = sandbox.run(TRIES.format(codes=[*codes]), sandbox._fonts())
    assert drawing.figure is not None, drawing.error
    lines = dict(text.split(" ", 1) for text in drawing.figure.texts)
    return {code: lines[str(number)] for number, code in enumerate(codes)}


def test_it_meets_walls():
    found = met(WALLS)
    assert {code: what for code, what in found.items() if not what.startswith(WALLS[code])} == {}


def test_a_crash_is_one():
    assert error("import ctypes\nctypes.string_at(0)") == "crash"


def test_it_cannot_build_its_own_namespaces():
    calls = ("unshare(0x10000000)", "unshare(0x20000)", "mount(b'a', b'/kawhi-sandbox', b'tmpfs', 0, None)")
    code = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
    code += f"exit(repr([(eval('libc.' + call), ctypes.get_errno()) for call in {calls!r}]))"
    assert said(code) == "[(-1, 1), (-1, 1), (-1, 1)]"


def test_it_has_no_privileges():
    code = "keep = ('CapI', 'CapP', 'CapE', 'CapB', 'CapA', 'NoNew', 'Seccomp:')\n"
    code += "lines = [''.join(line.split()) for line in open('/proc/self/status') if line.startswith(keep)]\n"
    status = said(code + "exit(' '.join(lines))")
    fields = dict(field.split(":") for field in status.split())
    assert {name: int(value, 16) for name, value in fields.items()} == {
        **dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), 0),
        "NoNewPrivs": 1,
        "Seccomp": 2,
    }


def test_files_of_the_home_and_of_the_temporary_folder_are_not_there(tmp_path):
    with tempfile.NamedTemporaryFile(dir=Path.home()) as at_home:
        (tmp_path / "secret").write_text("secret")
        hidden = (at_home.name, tmp_path / "secret", Path.home() / ".ssh", __file__)
        found = met([f"open({str(path)!r})" for path in hidden])
    assert len(found) == 4
    assert all(what.startswith("FileNotFoundError") for what in found.values())


def test_the_environment_s_secrets_are_not_there(monkeypatch):
    monkeypatch.setenv("API_TOKEN", "secret")
    inside = "any(b'secret' in open(p, 'rb').read() for p in glob.glob('/proc/[2-9]*/environ'))"
    names = said(f"import glob, os\nexit(' '.join([str({inside}), *os.environ]))").split()
    assert names[0] == "False"
    assert "PATH" not in names
    assert "API_TOKEN" not in names
    assert "MPLBACKEND" in names


def test_other_processes_cannot_be_seen_or_killed():
    seen = "' '.join(p for p in os.listdir('/proc') if p.isdigit())"
    kill = f"try:\n    os.kill({os.getpid()}, 9)\nexcept ProcessLookupError:\n    exit('nobody beside ' + {seen})"
    assert said("import os\n" + kill) == "nobody beside 1 2"


FORKS = """import os, time
n = 0
try:
    while n < 60:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        n += 1
except BlockingIOError:
    pass
time.sleep(0.2)
exit(n or 'none')
"""


def test_a_fork_bomb_is_bounded():
    assert 10 <= int(said(FORKS)) < limits.PROCESSES


def test_a_fork_bomb_that_goes_on_ends_with_its_time_and_leaves_nothing():
    name = f"kb{os.getpid()}"
    code = f"import ctypes, os\nctypes.CDLL(None).prctl(15, b'{name}', 0, 0, 0)\n"
    code += "import time\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        time.sleep(0.1)"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(error, code, 5.0)
        seen = 0
        while not running.done():
            seen = max(seen, len(processes_named(name)))
            time.sleep(0.1)
        assert running.result() == "wall time"
    assert 2 <= seen <= limits.PROCESSES
    assert processes_named(name) == []


def test_daemons_end_with_the_program():
    name = f"kd{os.getpid()}"
    code = f"""import ctypes, os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(15, b'{name}', 0, 0, 0)
        open('up', 'w').close()
        time.sleep(300)
    os._exit(0)
while not os.path.exists('up'):
    time.sleep(0.01)
exit('it runs')
"""
    assert said(code) == "it runs"
    assert processes_named(name) == []


def test_a_program_ends_with_the_process_that_asked_for_it(tmp_path):
    name = f"ko{os.getpid()}"
    program = f"import ctypes, time\nctypes.CDLL(None).prctl(15, b'{name}', 0, 0, 0)\ntime.sleep(900)"
    code = f"from kawhi.evaluation.chartmimic import sandbox\nsandbox.run({program!r}, {{'a': 'b'}})"
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "TMPDIR": str(tmp_path)}
    asks = subprocess.Popen([sys.executable, "-c", code], env=environment)
    assert len(until(lambda: processes_named(name))) == 1
    asks.kill()
    asks.wait()
    until(lambda: processes_named(name) == [])


def test_an_endless_loop_ends_by_the_clock():
    assert error("import time\nwhile True: time.sleep(1)", wall_seconds=2.0) == "wall time"


def test_an_endless_loop_ends_by_cpu_time(monkeypatch):
    monkeypatch.setattr(limits, "CPU_SECONDS", 2)
    assert error("while True: pass") == "CPU time"
    assert error("import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass") == "killed"


def test_memory_of_all_processes_together_is_bounded(monkeypatch):
    monkeypatch.setattr(limits, "MEMORY", 400 << 20)
    code = "import os, time\nfor i in range(4):\n    if os.fork() == 0:\n        x = bytearray(b'x' * (150 << 20))\n"
    code += "        time.sleep(60)\n"
    assert error(code + "time.sleep(60)", wall_seconds=30) == "memory"


def test_printing_without_end_harms_nobody():
    assert error("while True: print('x' * 10**6)", wall_seconds=2.0) == "wall time"


TO_THE_PARENT = """import os, stat
for fd in range(3, 64):
    try:
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            break
    except OSError:
        pass
"""


def test_a_flood_of_results_is_cut_off():
    assert error(TO_THE_PARENT + "while True: os.write(fd, bytes(1 << 20))") == "output"


def test_a_forged_result_is_unreadable():
    assert error(TO_THE_PARENT + "os.write(fd, b'\\x80')\nos._exit(0)").startswith("unreadable record")


def test_programs_run_at_the_same_time_without_mixing():
    def types(call):
        return dict(sandbox.run(FIGURE + f"plt.{call}", sandbox._fonts()).figure.types)

    calls = ["bar([1], [1])", "pie([1])", "hist([1])", "scatter([1], [1])"]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(types, calls))
    assert found == [{"plot": 1, call.split("(")[0]: 1} for call in calls]


def test_a_program_that_is_too_long_is_not_run():
    assert error("#" * (limits.CODE_BYTES + 1)) == "too long"


NO_NAMESPACES = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs util-linux")
def test_without_user_namespaces_it_refuses_in_one_sentence():
    code = "from kawhi.evaluation.chartmimic import sandbox\ntry:\n    sandbox.require()\nexcept Exception as error:\n"
    code += "    print(type(error).__name__, error)\nprint(sandbox.run('open(\"/x\")', {'a': 'b'}))"
    wrapped = ["unshare", "--user", "--map-root-user", "sh", "-c", NO_NAMESPACES, "sh", sys.executable, "-c", code]
    done = subprocess.run(wrapped, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith("CellError ChartMimic's programs need a sandbox, which this machine does not allow: ")
    assert "user.max_user_namespaces" in done.stdout
    assert done.stderr.strip().splitlines()[-1].startswith("kawhi.evaluation.chartmimic.sandbox.Unavailable: new user")


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and util-linux")
def test_where_the_kernel_does_not_count_processes_the_launcher_does():
    """Root in a user namespace of its own is still the machine's root, to whom RLIMIT_NPROC does not apply."""
    code = f"from kawhi.evaluation.chartmimic import sandbox\nprint(sandbox.run({FORKS!r}, sandbox._fonts()).error)"
    wrapped = ["unshare", "--user", "--map-root-user", sys.executable, "-c", code]
    done = subprocess.run(wrapped, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert (done.stdout, done.returncode) == ("processes\n", 0), done.stderr


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(sandbox, "_PACKAGES", ("numpy", "no_such_package"))
    with pytest.raises(CellError, match="import no_such_package; install"):
        sandbox.require()
    monkeypatch.setattr(sandbox, "_PACKAGES", ("numpy",))
    sandbox.require()


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/usr/bin/python3").exists() or shutil.which("setpriv") is None,
    reason="needs root, to become somebody else, and the system's Python, which everybody may read",
)
def test_a_normal_user_gets_the_same_walls():
    code = """if True:
        import os, time
        found = [open('/proc/self/status').read().split('CapEff:')[1].split()[0], os.path.exists('/home')]
        for path in ('/x', '/usr/x'):
            try:
                open(path, 'w')
            except OSError as error:
                found.append(error.errno)
        open('/kawhi-sandbox/x', 'w').close()
        forks = 0
        try:
            while forks < 60:
                if os.fork() == 0:
                    time.sleep(60)
                    os._exit(0)
                forks += 1
        except OSError:
            pass
        print(*found, forks < 16, flush=True)
    """
    child = Path(launch.__file__).parent
    with tempfile.TemporaryDirectory(dir="/tmp") as root, tempfile.TemporaryDirectory(dir="/tmp") as scripts:
        for folder in (root, scripts):
            os.chmod(folder, 0o755)
        os.chown(root, 65534, 65534)
        for script in ("launch.py", "seccomp.py"):
            shutil.copy(child / script, scripts)
        readonly = [[path, path] for path in ("/usr", "/lib", "/lib64", "/bin") if os.path.exists(path)]
        own = {"readonly": readonly, "command": ["/usr/bin/python3", "-I", "-S", "-c", code], "environment": {}}
        config = sandbox._config(root, {}) | own | {"processes": 16}
        become = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        command = [*become, "/usr/bin/python3", "-I", "-S", f"{scripts}/launch.py", json.dumps(config)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "0000000000000000 False 30 30 True\n"
