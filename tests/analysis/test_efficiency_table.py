"""The table of efficiency: medians over steps, and no comparison of a machine's load."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analysis import steps
from analysis.table import EMPTY
from tests.analysis.synthetic import Folder, column, hashed, timing_record


def timed(credit: str, wall: list[float], processors: list[float | None] | None = None, **run: Any) -> dict[str, Any]:
    content = timing_record(credit, steps=len(wall))
    content["training"] = {"weight_mean": [0.5] * len(wall), "weight_zero_share": [0.0] * len(wall)}
    content["run"] |= {"step_seconds": wall, "step_processor_seconds": processors or [], "kawhi_share": 0.02, **run}
    return hashed(content)


def texts(folder: Folder, *head: str) -> list[str]:
    return column(folder.made_rows("efficiency"), "tiny-qwen2.5-vl", *head)


def test_medians_without_the_first_step_and_their_intervals(folder: Folder) -> None:
    wall = [99.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 90.0]
    folder.add(timed("uniform", wall), timed("kawhi", [2 * each for each in wall], gpu_hours=1.0))
    assert texts(folder, ": Step (s)") == ["5.00", "10.00"]
    assert texts(folder, ": 95% interval") == ["[2.00, 8.00]", "[4.00, 16.00]"]
    assert texts(folder, "KAWHI's parts") == ["2.00", "2.00"]
    assert column(folder.rows("efficiency"), "section 4.5: Step (s)") == ["540.6", "521.0"]


def test_a_cell_with_gpus_is_compared_by_the_clock(folder: Folder) -> None:
    wall = [50.0, *np.random.default_rng(0).normal(20, 0.1, 19).tolist()]
    folder.add(timed("uniform", wall, gpu_hours=1.0), timed("kawhi", [each + 1 for each in wall], gpu_hours=1.0))
    assert texts(folder, ": vs GRPO") == [EMPTY, "+1.00"]
    low, high = (float(each) for each in column(folder.rows("efficiency"), "Interval of it")[1].strip("[]").split(","))
    assert 0.8 < low < 1 < high < 1.2


def test_without_gpus_only_processor_seconds_are_compared(folder: Folder) -> None:
    """The clock says 25 s against 15 s, because the one ran beside others."""
    spent = [None, *np.random.default_rng(0).normal(30, 0.1, 9).tolist()]
    folder.add(timed("uniform", [15.0] * 10), timed("kawhi", [25.0] * 10))
    assert texts(folder, ": vs GRPO") == [EMPTY, EMPTY]
    for file in folder.records.iterdir():
        file.unlink()
    folder.add(timed("uniform", [15.0] * 10, spent), timed("kawhi", [25.0] * 10, spent))
    assert texts(folder, ": vs GRPO") == [EMPTY, "+0.00"]


def test_seeds_are_pooled_and_short_runs_left_out(folder: Folder) -> None:
    more = timed("uniform", [9.0] * 10)
    more["config"]["seeds"] = more["seeds"] = {"data": 1, "rollout": 2, "regions": 0}
    more["config"]["verl"]["actor_rollout_ref"]["rollout"]["seed"] = 2
    folder.add(timed("uniform", [5.0] * 10), hashed(more), timed("kawhi", [5.0] * 3))
    assert texts(folder, ": Steps") == ["18", EMPTY]
    assert texts(folder, ": Step (s)") == ["7.00", EMPTY]


def test_nothing_timed_is_the_papers_numbers_alone(folder: Folder) -> None:
    assert folder.make("efficiency") == 0
    assert "measured: nothing was run" in folder.text("md", "efficiency")


@pytest.mark.parametrize("size", [6, 9, 20, 59])
def test_the_interval_of_a_median_covers_it(size: int) -> None:
    rng = np.random.default_rng(size)
    found = [steps.median(rng.exponential(1, size).tolist()) for _ in range(1000)]
    inside = [each.low <= np.log(2) <= each.high for each in found if each and each.low is not None and each.high]
    assert len(inside) == 1000
    assert np.mean(inside) >= 0.93


def test_too_few_steps_have_no_interval() -> None:
    assert steps.median([]) is None
    few = steps.median([1.0, 2.0, 3.0])
    assert few is not None
    assert (few.value, few.low, few.steps) == (2.0, None, 3)
    assert steps.difference([1.0] * 5, [1.0] * 9) is None
