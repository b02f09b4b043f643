"""How contenders are timed: in turns, in one process, on one core."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

from benchmarks.races import Race, measured_here

Contender = Callable[[], Any]
_RACES = pytest.StashKey[list[Race]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--results", type=Path, help="write the races to this file if all of them finished")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RACES] = []


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    file, races = session.config.getoption("--results"), session.config.stash[_RACES]
    if file is not None and exitstatus == pytest.ExitCode.OK:
        measured_here("make benchmarks", races).save(file)


@pytest.fixture(autouse=True)
def one_core():
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


@pytest.fixture
def publish(request):
    """Hands a race to the table."""
    return request.config.stash[_RACES].append


@pytest.fixture
def race(request, benchmark):
    """Times contenders in turns and returns the fewest seconds of each; what disturbs a measurement only adds to it.

    A second is one of processor time, to which other work on the machine adds nothing; where contenders have several
    threads, ``@pytest.mark.benchmark(timer=time.perf_counter)`` asks for the clock on the wall.

    In every round each contender runs ``calls`` times in a row and the last one counts, so that each finds its own data
    in the caches and not those of the contender before it.  pytest-benchmark times ``kawhi``; the rivals run in its
    set-up of each round.  ``slow`` rivals, which take seconds, run once in each of the first ``slow_rounds``.
    """
    marker = request.node.get_closest_marker("benchmark")
    timer = marker.kwargs["timer"] if marker else time.process_time

    def run(
        kawhi: Contender,
        rivals: Mapping[str, Contender],
        *,
        rounds: int,
        calls: int = 5,
        slow: Mapping[str, Contender] | None = None,
        slow_rounds: int = 1,
    ) -> tuple[float, dict[str, float]]:
        slow = slow or {}
        seconds: dict[str, list[float]] = {name: [] for name in (*rivals, *slow)}

        def round_of_the_others() -> None:
            for name, rival in slow.items():
                if len(seconds[name]) < slow_rounds:
                    seconds[name].append(_last_of(rival, 1, timer))
            for name, rival in rivals.items():
                seconds[name].append(_last_of(rival, calls, timer))
            for _ in range(calls - 1):
                kawhi()

        benchmark.pedantic(kawhi, setup=round_of_the_others, rounds=rounds, iterations=1)
        fewest = {name: min(times) for name, times in seconds.items()}
        benchmark.extra_info |= {name: f"{1e3 * value:.2f} ms" for name, value in fewest.items()}
        return benchmark.stats.stats.min, fewest

    return run


def _last_of(contender: Contender, calls: int, timer: Callable[[], float]) -> float:
    for _ in range(calls - 1):
        contender()
    start = timer()
    contender()
    return timer() - start
