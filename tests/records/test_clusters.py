"""How many independent items clusters are worth, against statsmodels and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as statsmodels
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint

from kawhi.records.clusters import effective_size, numbered, wilson_interval


def test_clusters_are_numbered_as_they_come() -> None:
    assert numbered(["b", "a", "b", "c"]) == [0, 1, 0, 2]


def test_it_is_n_over_the_design_effect_of_statsmodels() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(80, size=400)
    values = (rng.random(80)[labels] + rng.random(400) > 1).astype(float)
    model = statsmodels.OLS(values, np.ones(400))
    robust = model.fit(cov_type="cluster", cov_kwds={"groups": labels}).cov_params()[0, 0]
    assert effective_size(values, labels) == pytest.approx(400 * model.fit().cov_params()[0, 0] / robust)


@given(st.lists(st.booleans(), min_size=2, max_size=30), st.integers(2, 5))
def test_copies_add_nothing(values: list[bool], copies: int) -> None:
    n = len(values)
    assert effective_size(values) == effective_size(values, range(n)) == pytest.approx(n)
    found = effective_size(np.repeat(values, copies), np.repeat(np.arange(n), copies))
    assert found == pytest.approx(n, rel=1 / n)


def test_where_nothing_varies_a_cluster_counts_as_one() -> None:
    assert effective_size([1.0] * 6, [0, 0, 0, 1, 1, 1]) == 2
    assert effective_size([0.0, 1.0], [0, 0]) == 1


@pytest.mark.parametrize(("correct", "n"), [(0, 10), (10, 10), (37, 100)])
def test_the_interval_is_wilsons(correct: int, n: int) -> None:
    expected = proportion_confint(correct, n, method="wilson")
    assert wilson_interval(correct / n, n, norm.ppf(0.975)) == pytest.approx(expected)
