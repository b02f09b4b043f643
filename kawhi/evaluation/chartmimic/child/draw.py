"""Runs one program in the sandbox and writes what it drew to the standard output: a line of JSON, then a PNG.

The program is the first line of the standard input, JSON: ``code``, ``paths`` (of packages) and ``fonts`` (matplotlib's
font list by file name, so that it is not searched for again).  What is written can have been forged by the program,
which runs in the same process; the reader must treat it as foreign.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import json
import os
import sys

MESSAGE = 300


class Finished(BaseException):
    """The program saves or shows its figure, which ends it, as in the authors' evaluation."""


def prepare(fonts: dict[str, str]) -> str:
    """Matplotlib's settings folder; its path."""
    folder = os.environ["MPLCONFIGDIR"]
    os.makedirs(folder, exist_ok=True)
    for name, text in fonts.items():
        with open(os.path.join(folder, name), "w") as file:
            file.write(text)
    return folder


def fixed_seeds() -> None:
    """A program that draws random data without a seed draws the same figure each time."""
    import random

    import numpy as np

    random.seed(0)
    np.random.seed(0)
    generator = np.random.default_rng
    np.random.default_rng = lambda seed=None: generator(0 if seed is None else seed)  # type: ignore[assignment]


def execute(code: str) -> tuple[str, object]:
    """Runs the code; why it failed (empty if it did not), and the figure that it saved, showed or left."""
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure

    saved = []

    def save(figure, *_, **__):
        saved.append(figure)
        raise Finished

    def show(*_, **__):
        saved.append(plt.gcf())
        raise Finished

    save_figure, show_figures = Figure.savefig, plt.show
    Figure.savefig, plt.show, Figure.show = save, show, save  # type: ignore[method-assign,assignment]
    error = ""
    try:
        exec(compile(code, "program.py", "exec"), {"__name__": "__main__"})
    except Finished:
        pass
    except SystemExit as end:
        error = "" if end.code in (None, 0) else f"SystemExit: {end.code}"
    except BaseException as problem:
        error = f"{type(problem).__name__}: {problem}"
    Figure.savefig, plt.show = save_figure, show_figures  # type: ignore[method-assign]
    if not error and not saved and not plt.get_fignums():
        error = "no figure"
    return error[:MESSAGE], (saved[0] if saved else plt.gcf())


def render(figure, pixels: int) -> bytes:
    """The figure as PNG, 100 dots per inch unless it would be larger than ``pixels``."""
    dpi = min(100.0, pixels / max(*figure.get_size_inches(), 1e-9))
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return file.getvalue()


def main() -> None:
    request = json.loads(sys.stdin.buffer.readline())
    output = os.dup(1)
    null = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1):
        os.dup2(null, stream)
    sys.path += request["paths"]
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # what the module site, which is left out, would give
    settings = prepare(request["fonts"])

    import matplotlib

    matplotlib.use("agg", force=True)
    from tracing import Tracer, layout, texts

    fixed_seeds()
    tracer = Tracer(request["code"])
    error, figure = execute(request["code"])
    record: dict = {"error": error}
    png = b""
    if not error:
        try:
            record |= {"types": tracer.types(), "colors": tracer.colors(), "layout": layout(figure)}
            png = render(figure, request["pixels"])
            record["texts"] = texts(figure)
        except BaseException as problem:  # a figure that cannot be drawn, e.g. invalid mathematics in a title
            record = {"error": f"{type(problem).__name__}: {problem}"[:MESSAGE]}
            png = b""
    if not request["fonts"]:
        record["fonts"] = {}
        for name in os.listdir(settings):
            if name.startswith("fontlist"):
                with open(os.path.join(settings, name)) as file:
                    record["fonts"][name] = file.read()
    with open(output, "wb") as file:
        file.write(json.dumps(record).encode() + b"\n" + png)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    with contextlib.redirect_stderr(io.StringIO()):
        main()
    os._exit(0)  # threads and exit handlers of the program are not waited for
