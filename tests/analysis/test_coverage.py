"""The 95 % intervals hold the true value in 94 to 96 % of simulated tables, within what so few tables can show.

The seeds are the first ones tried, 0.  All scenarios with more tables are in docs/results.md.
"""

import math

import numpy as np
import pytest

from analysis import coverage
from analysis.coverage import DIFFERENCE, SCORE, UNTRAINED, Scenario, answers, of_benchmarks, of_means, verdicts

TABLES = 600
ERROR = 100 * math.sqrt(0.95 * 0.05 / TABLES)
"""Of a coverage, in points."""


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.7])
def test_two_answers_of_a_cluster_correlate_as_asked(rho: float) -> None:
    rng = np.random.default_rng(0)
    right = verdicts(rng, np.repeat(2, 20_000), np.array([[0.3, 0.3], [0.3, 0.3]]), rho)
    assert right.mean() == pytest.approx(0.3, abs=0.01)
    pairs = right.reshape(2, 2, -1, 2)
    assert np.corrcoef(pairs[0, 0, :, 0], pairs[0, 0, :, 1])[0, 1] == pytest.approx(rho, abs=0.03)
    between = [np.corrcoef(right[0, 0], right[m, s])[0, 1] for m, s in ((0, 1), (1, 1))]
    # Both take what they have in common where neither draws for itself.
    assert between[0] > between[1] > 0.1


def test_answers_are_added_up_within_clusters() -> None:
    found = answers(np.array([2, 1, 3]), np.array([[1, 0, 1, 1, 1, 0]], np.uint8))
    assert found.sums.tolist() == [[1, 1, 2]]


@pytest.mark.slow
@pytest.mark.parametrize("deviation", [0.0, 0.02, 0.04])
def test_means_with_shared_seeds_are_covered(deviation: float) -> None:
    found = of_means(TABLES, 0, deviation, 0.3)
    covers = {scenario: each.coverage for scenario, each in found.items()}
    assert {scenario.benchmarks for scenario in covers} == {1, 2, 3, 4, 5}
    assert {scenario.quantity for scenario in covers} == {SCORE, DIFFERENCE, UNTRAINED}
    wrong = {s: cover for s, cover in covers.items() if not 94 - 3.3 * ERROR <= cover <= 96 + 3.3 * ERROR}
    assert wrong == {}
    for quantity in (SCORE, DIFFERENCE):  # many scenarios together show less than a point
        assert np.mean([cover for s, cover in covers.items() if s.quantity == quantity]) == pytest.approx(95, abs=1.2)


@pytest.mark.slow
def test_benchmarks_are_covered_with_their_clusters_and_not_without() -> None:
    for name, (score, difference, naive, apart) in of_benchmarks(TABLES, 0, 0.7).items():
        for found in (score, difference):
            assert 94 - 3.3 * ERROR <= found.coverage <= 96 + 3.3 * ERROR, name
        if coverage.SIZES[name].max() > 1:
            assert max(naive.coverage, apart.coverage) < 85, name


def test_the_command_prints_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert coverage.main(["--tables", "2"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("| MathVerse | 788 of 3940 |") == 3
    assert sum(line.startswith("| 10 | 5 |") for line in printed.splitlines()) == 3
    assert "of 660 means are covered in 94 to 96 %" in printed


def test_tables_of_fewer_seeds_are_parts_of_the_largest() -> None:
    found = of_means(3, 0, 0.01, 0.0, counts=(1, 2))
    assert len(found) == 5 * (2 + 3)
    assert all(len(each.held) == 3 for each in found.values())
    one, two = (found[Scenario(SCORE, seeds, 5, 0.01, 0.0)].half_width for seeds in (1, 2))
    assert one != two
