"""One sandbox for the tests of a module, with a short limit: hostile answers are meant to reach it."""

from __future__ import annotations

import pytest

from kawhi.rewards.sandbox import Sandbox

CPU_SECONDS = 0.7


@pytest.fixture(scope="module")
def box():
    sandbox = Sandbox(cpu_seconds=CPU_SECONDS)
    yield sandbox
    sandbox.close()
