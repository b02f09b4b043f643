"""Builds the sandbox around one program.  Run as a script by ``sandbox.py``; standard library only.

    launch.py CONFIG     CONFIG is JSON; the program comes on the standard input, the result leaves on the output.

What is enforced by what:

* No network: a network namespace of its own, without any interface up, and a seccomp filter that refuses ``socket``.
* Files: a mount namespace whose root is a new tmpfs; only Python, its packages and system libraries are bound into it,
  read-only.  Homes, ``/tmp``, ``/etc`` and everything else do not exist there.  ``/kawhi-sandbox`` is a tmpfs with a
  size and a number of files, the one place that can be written; RLIMIT_FSIZE bounds each file.
* Other processes: a PID namespace.  When its first process (this script) ends, the kernel kills all that are left.
* Privileges: a user namespace; no capabilities, no way to gain any (``no_new_privs``, an empty bounding set), no nested
  user namespaces.  Started by root, the program is user 65534; otherwise the user that started it.
* CPU: RLIMIT_CPU per process.  Wall time: the parent stops this script.
* Memory: RLIMIT_AS per process; the resident memory of all processes together is looked at fifty times a second and
  everything is killed above the limit, so that it can be exceeded for a moment.  No cgroup is needed or used.
* Processes: RLIMIT_NPROC.  The kernel does not apply it to the real root, hence user 65534 there; since Linux 5.14 it
  counts per user namespace, before that per user of the machine.  Processes, not threads, are also counted fifty times
  a second, for containers whose root is secretly the machine's.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable

SETUP_FAILED, OUT_OF_MEMORY, CPU_TIME, KILLED, CRASHED, TOO_MANY = 90, 91, 92, 93, 94, 95
NOBODY = 65534
WORK = "/kawhi-sandbox"  # not a common name, below which a machine may have its Python or its checkouts

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT = 1, 2, 4, 8, 32
_MS_NOATIME, _MS_NODIRATIME, _MS_RELATIME = 1024, 2048, 1 << 21
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_OPTIONS = {
    "nosuid": _MS_NOSUID,
    "nodev": _MS_NODEV,
    "noexec": _MS_NOEXEC,
    "noatime": _MS_NOATIME,
    "nodiratime": _MS_NODIRATIME,
    "relatime": _MS_RELATIME,
}
_NEW_NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000  # user, mount, PID, network, IPC
_DETACH = 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_PDEATHSIG, _DUMPABLE, _CAPBSET_DROP, _NO_NEW_PRIVS, _CAP_AMBIENT, _CLEAR_ALL = 1, 4, 24, 38, 47, 4

libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    given = [None if each is None else os.fsencode(each) for each in (source, target, kind)]
    options = None if data is None else data.encode()
    _checked(libc.mount(*given, ctypes.c_ulong(flags), options), f"mount on {target}")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def enter_namespaces() -> bool:
    """New namespaces, in which this process is root.

    Returns:
        Whether there is also a user 65534, which only the machine's root may map.
    """
    uid, gid, me = os.geteuid(), os.getegid(), os.getpid()
    with open("/proc/self/uid_map") as file:
        is_root = uid == 0 and file.read().split() == ["0", "0", "4294967295"]
    unshared, mapped = os.pipe(), os.pipe()
    # The maps are written by a process that stays outside, whose privileges count there.
    helper = os.fork()
    if helper == 0:
        try:
            os.close(unshared[1])
            if os.read(unshared[0], 1):
                more = f"\n{NOBODY} {NOBODY} 1" if is_root else ""
                if not is_root:
                    _write(f"/proc/{me}/setgroups", "deny")
                _write(f"/proc/{me}/uid_map", f"0 {uid} 1{more}\n")
                _write(f"/proc/{me}/gid_map", f"0 {gid} 1{more}\n")
                os.write(mapped[1], b"1")
        finally:
            os._exit(0)
    os.close(mapped[1])
    if libc.unshare(_NEW_NAMESPACES):
        reason = os.strerror(ctypes.get_errno())
        raise OSError(
            f"new user namespaces are refused ({reason}); see the sysctls user.max_user_namespaces and "
            "kernel.unprivileged_userns_clone, AppArmor's rules, or the options of the container"
        )
    os.write(unshared[1], b"1")
    if not os.read(mapped[0], 1):
        raise OSError("the user namespace cannot be given its users")
    os.waitpid(helper, 0)
    for end in (unshared[0], unshared[1], mapped[0]):
        os.close(end)
    return is_root


def build_root(config: dict, owner: int) -> None:
    """A root folder with nothing but what the program needs; the old one is gone afterwards."""
    root = config["root"]
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    _mount("tmpfs", root, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,mode=755")
    for source, target in config["readonly"]:
        inside = root + target
        os.makedirs(os.path.dirname(inside), exist_ok=True)
        if os.path.islink(source):
            os.symlink(os.readlink(source), inside)
            continue
        if os.path.isdir(source):
            os.makedirs(inside, exist_ok=True)
        else:
            _write(inside, "")
        _mount(source, inside, None, _MS_BIND | _MS_REC)
    os.makedirs(root + "/dev", exist_ok=True)
    for device in ("null", "zero", "random", "urandom"):
        _write(f"{root}/dev/{device}", "")
        _mount(f"/dev/{device}", f"{root}/dev/{device}", None, _MS_BIND)
    os.mkdir(root + "/proc")
    _mount("proc", root + "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    os.mkdir(root + WORK)
    size = f"size={config['folder_bytes']},nr_inodes={config['folder_files']},mode=700,uid={owner},gid={owner}"
    _mount("tmpfs", root + WORK, "tmpfs", _MS_NOSUID | _MS_NODEV, size)
    if not os.path.lexists(root + "/tmp"):
        os.symlink(WORK, root + "/tmp")
    os.chdir(root)
    # pivot_root(".", ".") puts the old root on top of the new one, from where it is taken off (pivot_root(2)).
    _checked(libc.syscall(_PIVOT_ROOT[os.uname().machine], b".", b"."), "pivot_root")
    _checked(libc.umount2(b".", _DETACH), "umount")
    os.chdir("/")
    _write("/proc/sys/user/max_user_namespaces", "0")
    _write("/proc/self/oom_score_adj", "1000")
    _make_readonly()


def _make_readonly() -> None:
    with open("/proc/self/mountinfo") as file:
        mounts = [line.split() for line in file]
    for fields in mounts:
        target = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[4])
        if target == WORK or target.startswith("/dev/"):
            continue
        kept = 0
        for option in fields[5].split(","):
            kept |= _OPTIONS.get(option, 0)
        _mount(None, target, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV | kept)


def give_up_privileges(to_nobody: bool) -> None:
    """No capability can be used or gained from the next ``exec`` on."""
    _checked(libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _checked(libc.prctl(_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0), "ambient capabilities")
    capability = 0
    while libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    if to_nobody:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def start(config: dict, to_nobody: bool, install_filter: Callable[[ctypes.CDLL], None], complaints: int) -> None:
    """Becomes the program.

    Args:
        complaints: a pipe that ``exec`` closes.
    """
    os.setsid()
    give_up_privileges(to_nobody)
    for what, limit in (
        (resource.RLIMIT_AS, config["address_space"]),
        (resource.RLIMIT_CPU, config["cpu_seconds"]),
        (resource.RLIMIT_FSIZE, config["file_bytes"]),
        (resource.RLIMIT_NOFILE, config["open_files"]),
        (resource.RLIMIT_NPROC, config["processes"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        # One second between the two limits on CPU time tells its end (SIGXCPU) from a kill.
        resource.setrlimit(what, (limit, limit + 1 if what == resource.RLIMIT_CPU and limit != hard else limit))
    os.chdir(WORK)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 2)
    os.closerange(3, complaints)
    os.closerange(complaints + 1, 1024)
    install_filter(libc)
    os.execve(config["command"][0], config["command"], config["environment"])


def _use() -> tuple[int, int]:
    """Bytes that are resident, and processes."""
    pages = 0
    others = [name for name in os.listdir("/proc") if name.isdigit() and name != "1"]
    for name in others:
        try:
            with open(f"/proc/{name}/statm") as file:
                pages += int(file.read().split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
    return pages * resource.getpagesize(), len(others)


def watch(program: int, most_memory: int, most_processes: int) -> int:
    """Reaps the namespace's processes until the program ends; how it ended."""
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return KILLED
        if ended == program:
            code = os.waitstatus_to_exitcode(status)
            return {0: 0, -signal.SIGXCPU: CPU_TIME, -signal.SIGKILL: KILLED}.get(code, CRASHED)
        if ended == 0:
            memory, processes = _use()
            if memory > most_memory or processes > most_processes:
                return OUT_OF_MEMORY if memory > most_memory else TOO_MANY
            time.sleep(0.02)


def first_process(config: dict, has_nobody: bool, install_filter: Callable[[ctypes.CDLL], None]) -> int:
    """The first process of the PID namespace: builds the root, starts the program, waits for its end."""
    _checked(libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "parent death signal")
    build_root(config, NOBODY if has_nobody else 0)
    _checked(libc.prctl(_DUMPABLE, 0, 0, 0, 0), "dumpable")  # the program may not trace or read this process
    complaints = os.pipe()
    program = os.fork()
    if program == 0:
        try:
            start(config, has_nobody, install_filter, complaints[1])
        except OSError as error:
            os.write(complaints[1], str(error).encode())
        finally:
            os._exit(SETUP_FAILED)
    os.close(complaints[1])
    if complaint := os.read(complaints[0], 1000):
        raise OSError(complaint.decode())
    return watch(program, config["memory"], config["processes"])


def main() -> int:
    import seccomp

    config = json.loads(sys.argv[1])
    has_nobody = enter_namespaces()
    # After the new namespaces: the kernel forgets it when a process's privileges change.
    _checked(libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "parent death signal")
    first = 0

    def stop(*_) -> None:
        if first == 0:
            os._exit(SETUP_FAILED)
        os.kill(first, signal.SIGKILL)  # which is waited for below: then all its processes are gone

    signal.signal(signal.SIGTERM, stop)
    first = os.fork()
    if first == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        code = SETUP_FAILED
        try:
            code = first_process(config, has_nobody, seccomp.install)
        except OSError as error:
            print(error, file=sys.stderr)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    try:
        sys.exit(main())
    except OSError as error:
        print(error, file=sys.stderr)
        sys.exit(SETUP_FAILED)
