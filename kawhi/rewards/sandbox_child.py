"""The child in which math-verify runs: ``python -m kawhi.rewards.sandbox_child CPU_SECONDS``.

One line of JSON in, ``{"truths": [...], "pairs": [[truth, answer], ...], "close": [[a, b], ...]}``, all LaTeX; out the
line ``parsed`` once the ground truths are read, then ``true`` or ``false``.  A child that dies before ``parsed`` died
of the ground truth, one that dies after it of the answer.  Exit code 0 means retired: it had grown, the request was
not judged, ask another child.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import select
import signal
import sys
from collections.abc import Iterator
from typing import Any

from math_verify import LatexExtractionConfig, parse, verify
from math_verify.parser import NormalizationConfig
from sympy import Basic

from kawhi.rewards.limits import MEMORY_BYTES

# Nothing but the whole text in dollars: units are ours to judge (math-verify takes 5 cm for 5 m), and so are the boxes.
_WHOLE = [
    LatexExtractionConfig(
        boxed_match_priority=-1,
        normalization_config=NormalizationConfig(
            basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none"
        ),
    )
]
# Equal to math-verify's six decimals only where the numbers are near 1: 1e-7 is not 2e-7.
_RELATIVE = 1e-5
# How far the two sides of "10√3 ≈ 17.3" may be apart.
_ROUNDED = 1e-2
_PARENT_LOOK_SECONDS = 5.0


def main(cpu_seconds: float) -> None:
    """Answers requests until the parent closes the pipe or is gone; each has ``cpu_seconds`` of CPU time."""
    parent = os.getppid()
    out = os.dup(1)
    silence = os.open(os.devnull, os.O_WRONLY)
    logging.disable(logging.CRITICAL)  # math-verify warns that the time limit is ours
    parse("$1$", _WHOLE, parsing_timeout=None)  # compiles the expressions, builds the grammar
    limit_memory()
    baseline = address_space()
    os.write(out, b"ready\n")
    for descriptor in (1, 2):
        os.dup2(silence, descriptor)
    for line in requests(parent):
        if address_space() > baseline + MEMORY_BYTES // 2:
            return
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)  # its signal kills: nothing below the interpreter can stop it
        request = json.loads(line)
        truths = {truth: read(truth) for truth in request["truths"]}
        for truth in truths.values():
            number(truth)  # sympy reads 9^{9^9} at once and chokes on its value
        os.write(out, b"parsed\n")
        verdict = judge(truths, request)
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.write(out, b"true\n" if verdict else b"false\n")


def limit_memory() -> None:
    """Bounds address space, forbids files (a pipe is none) and core dumps; the kernel enforces all three."""
    most = address_space() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def address_space() -> int:
    """Bytes of address space in use."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def requests(parent: int) -> Iterator[bytes]:
    """Lines from standard input, until it closes or the parent has changed.

    Another child of the parent may hold the pipe open after the parent's death, so closing is not enough.
    """
    buffer = b""
    while os.getppid() == parent:
        if not select.select([0], [], [], _PARENT_LOOK_SECONDS)[0]:
            continue
        more = os.read(0, 1 << 16)
        if not more:
            return
        *lines, buffer = (buffer + more).split(b"\n")
        yield from lines


def read(latex: str) -> list[Any]:
    """What math-verify makes of a LaTeX formula; empty if it cannot read it."""
    return parse(f"${latex}$", _WHOLE, fallback_mode="no_fallback", parsing_timeout=None)


def judge(truths: dict[str, list[Any]], request: dict[str, Any]) -> bool:
    """Whether an answer of any pair equals its ground truth, and the sides of every ``close`` pair agree."""
    for left, right in request["close"]:
        if not near(read(left), read(right), _ROUNDED):
            return False
    return any(equal(truths[truth], read(answer)) for truth, answer in request["pairs"])


def equal(truth: list[Any], answer: list[Any]) -> bool:
    """math-verify's verdict, and the same number where both are numbers."""
    if not verify(truth, answer, allow_set_relation_comp=True, timeout_seconds=None):
        return False
    return number(truth) is None or number(answer) is None or near(truth, answer, _RELATIVE)


def near(left: list[Any], right: list[Any], relative: float) -> bool:
    """Whether both are numbers whose difference is small against the larger one."""
    a, b = number(left), number(right)
    return a is not None and b is not None and abs(a - b) <= relative * max(abs(a), abs(b))


def number(parsed: list[Any]) -> Any:
    """The value of a constant expression to 15 digits; ``None`` for anything else."""
    if len(parsed) != 1 or not isinstance(parsed[0], Basic):
        return None
    try:
        value = parsed[0].doit().evalf(15)
    except Exception:  # sympy raises anything on what has no value: a matrix, an equation, 0^{-1}
        return None
    return value if value.is_number and value.is_finite else None


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    main(float(sys.argv[1]))
