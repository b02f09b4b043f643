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
    options = []
    program = list(words)
    while program[:1] == ["-u"]:
        options.append(program.pop(0))
    if (
        os.environ.get("KAWHI_FORK_SERVER") == "0"
        or not program
        or (program[0].startswith("-") and (program[0] != "-m" or len(program) < 2))
    ):
        plainly(python, words)
    import array
    import ctypes
    import json
    import resource
    import signal
    import socket

    # A process that Ray starts would wait for a raylet that was killed; its shadow ends with who started it.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    catchable = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
    umask = os.umask(0)
    os.umask(umask)
    request = {
        "words": program,
        "options": options,
        "executable": executable,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "umask": umask,
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "cores": list(os.sched_getaffinity(0)),
        "ignored": [n for n in catchable if signal.getsignal(n) == signal.SIG_IGN and n not in (13, 25)],
        "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "limits": {
            getattr(resource, name): resource.getrlimit(getattr(resource, name))
            for name in dir(resource)
            if name.startswith("RLIMIT_")
        },
    }
    message = json.dumps(request).encode() + b"\n"
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_PATIENCE)
    try:
        connection.connect(os.path.join(os.path.dirname(executable), "socket"))
    except OSError:
        plainly(python, words, "it is not there")
    try:
        streams = array.array("i", [0, 1, 2])
        sent = connection.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
        if message[sent:]:
            connection.sendall(message[sent:])
        answers = connection.makefile("rb")
        answer = json.loads(answers.readline())
    except (OSError, ValueError) as error:
        plainly(python, words, f"it does not answer ({error})")
    if "plainly" in answer:
        plainly(python, words, answer["plainly"])
    connection.settimeout(None)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: connection.send(bytes([number])))
    last = answers.readline()
    code = json.loads(last)["code"] if last else -signal.SIGKILL  # the server was killed, and its children with it
    if code < 0:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        resource.setrlimit(
            resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1])
        )  # the child's is enough
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
