"""Draws programs as ``child/draw.py`` does in the sandbox, outside it: what a figure's record says does not need walls.

The imports are paid once; each program has a fork of its own.  ``python drawer.py CHILD`` reads lines of two paths
parted by a tab, the request and where its output goes, and says ``done`` after each.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [sys.argv[1]]
    import matplotlib

    matplotlib.use("agg", force=True)
    import draw
    import matplotlib.pyplot as plt
    import networkx  # noqa: F401
    import tracing

    plt.title("What is loaded for a first picture is loaded once, too.")
    plt.scatter([1], [1])
    draw.render(plt.gcf(), 600), tracing.texts(plt.gcf())
    plt.close("all")
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            request, output = line.rstrip("\n").split("\t")
            os.dup2(os.open(request, os.O_RDONLY), 0)
            os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT), 1)
            sys.stdin = open(0)  # noqa: SIM115  the program's own, for as long as it lives
            draw.main()
            os._exit(0)
        os.waitpid(child, 0)
        print("done", flush=True)


@contextlib.contextmanager
def drawing(folder: Path) -> Iterator[Callable[[str], bytes]]:
    """A function from a program to what ``draw.py`` says of it."""
    from kawhi.evaluation.chartmimic import limits, sandbox

    environment = {**os.environ, "MPLCONFIGDIR": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(sandbox._CHILD)]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process = subprocess.Popen(command, env=environment, cwd=folder, text=True, **pipes)
    request, output = folder / "request", folder / "output"

    def draw(code: str) -> bytes:
        given = {"code": code, "fonts": {"unused": ""}, "paths": [], "pixels": limits.PIXELS}
        request.write_text(json.dumps(given) + "\n")
        output.unlink(missing_ok=True)
        print(request, output, sep="\t", file=process.stdin, flush=True)
        assert process.stdout.readline() == "done\n"
        return output.read_bytes()

    try:
        yield draw
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()
