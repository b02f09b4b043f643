"""Stands in for the Python interpreter: asks the fork server for a child that runs the program, and is its shadow.

    FOLDER/python [-u] (SCRIPT | -m MODULE) [ARGUMENT ...]        (FOLDER is the fork server's)

Its exit code is the child's; what is sent to it is sent on; when it is killed, so is the child.  Started plainly, by
the interpreter itself: whatever has other options or KAWHI_FORK_SERVER=0, and everything while the server does not
answer or must refuse.
Runs as ``python -IS``, so it costs 20 ms; it imports what it needs and nothing of this project.
"""

import os
import sys

_PATIENCE = 120  # seconds: the server's imports take ten, on a busy machine some more
_PR_SET_PDEATHSIG = 1


def plainly(python, words, why=""):
    if why:
        print(f"fork server: {why}; started plainly: {' '.join(words)[:200]}", file=sys.stderr, flush=True)
    os.execv(python, [python, *words])


def main(python, executable, *words):
    count = next((i for i, word in enumerate(words) if word != "-u"), len(words))
    options, program = words[:count], words[count:]
    if os.environ.get("KAWHI_FORK_SERVER") == "0" or not forkable(program):
        plainly(python, words)
    import ctypes
    import signal
    import socket

    # A process that Ray starts would wait for a raylet that was killed; its shadow ends with who started it.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_PATIENCE)
    about = {"words": program, "options": options, "executable": executable, **about_itself()}
    try:
        connection.connect(os.path.join(os.path.dirname(executable), "socket"))
    except OSError:
        plainly(python, words, "it is not there")
    answers = connection.makefile("rb")
    try:
        answer = ask(connection, about, answers)
    except (OSError, ValueError) as error:
        plainly(python, words, f"it does not answer ({error})")
    if "plainly" in answer:
        plainly(python, words, answer["plainly"])
    end_as(shadow(connection, answers))


def forkable(program):
    """Whether these are a script or a module with its arguments, and no options of the interpreter."""
    return bool(program) and (not program[0].startswith("-") or (program[0] == "-m" and len(program) > 1))


def about_itself():
    """What the interpreter would have taken over from this process."""
    import resource
    import signal

    catchable = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
    python_ignores = (signal.SIGPIPE, signal.SIGXFSZ)
    kinds = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
    umask = os.umask(0)
    os.umask(umask)
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "umask": umask,
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "cores": list(os.sched_getaffinity(0)),
        "ignored": [n for n in catchable if signal.getsignal(n) == signal.SIG_IGN and n not in python_ignores],
        "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "limits": {kind: resource.getrlimit(kind) for kind in kinds},
    }


def ask(connection, about, answers):
    """Sends the request with the three standard streams; returns the server's answer."""
    import array
    import json
    import socket

    message = json.dumps(about).encode() + b"\n"
    streams = array.array("i", [0, 1, 2])
    sent = connection.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    if message[sent:]:
        connection.sendall(message[sent:])
    return json.loads(answers.readline())


def shadow(connection, answers):
    """Hands on what is sent to this process until the child ends; returns its exit code, negative for a signal."""
    import json
    import signal

    connection.settimeout(None)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: connection.send(bytes([number])))
    last = answers.readline()
    return json.loads(last)["code"] if last else -signal.SIGKILL  # the server was killed, and its children with it


def end_as(code):
    """Ends this process as the child has ended."""
    import resource
    import signal

    if code < 0:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        no_core = (0, resource.getrlimit(resource.RLIMIT_CORE)[1])  # the child's is enough
        resource.setrlimit(resource.RLIMIT_CORE, no_core)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
