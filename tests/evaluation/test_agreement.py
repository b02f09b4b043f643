"""Cohen's kappa of two judges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kawhi.base.errors import CellError
from kawhi.evaluation.agreement import NORMAL_95, agreement, pair, rule_and_judge
from kawhi.evaluation.agreement_view import compare
from tests.evaluation.made import MADE, OTHER_JUDGE, TINY, decided, known, make_run, of, responses, sample

VERDICTS = st.sampled_from(["right", "wrong", "partly"])


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    known(monkeypatch)


def pairs_of(table):
    names = ("right", "wrong", "partly")
    return [(names[i], names[j]) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]


def by_hand(pairs):
    """(observed - by chance) / (1 - by chance), from the definition."""
    n = len(pairs)
    observed = sum(a == b for a, b in pairs) / n
    chance = sum(
        sum(a == v for a, _ in pairs) / n * sum(b == v for _, b in pairs) / n for v in ("right", "wrong", "partly")
    )
    return (observed - chance) / (1 - chance)


def test_a_two_by_two_table():
    found = agreement(pairs_of([[20, 5], [10, 15]]))
    assert found.verdicts == ("right", "wrong")
    assert found.table.tolist() == [[20, 5], [10, 15]]
    assert (found.n, found.observed) == (50, 0.7)
    assert found.kappa == pytest.approx(0.4)  # (0.7 - 0.5) / (1 - 0.5)


@given(st.lists(st.tuples(VERDICTS, VERDICTS), min_size=1, max_size=40))
def test_kappa_is_that_of_the_definition(pairs):
    found = agreement(pairs)
    if len({verdict for each in pairs for verdict in each}) == 1:
        assert found.kappa is None
        assert found.interval is None
        return
    assert found.kappa == pytest.approx(by_hand(pairs))
    if found.interval is not None:
        low, high = found.interval
        assert -1 <= low <= found.kappa <= high <= 1


@pytest.mark.parametrize(
    "table", [[[75, 1, 4], [5, 4, 1], [0, 0, 10]], [[106, 10, 4], [22, 28, 10], [2, 12, 6]], [[160, 20], [30, 90]]]
)
def test_the_standard_error_is_that_of_samples_drawn_again(table):
    """The bootstrap is the other way to the same number; it knows nothing of the equation."""
    table = np.asarray(table)
    draws = (
        np.random.default_rng(0).multinomial(table.sum(), table.ravel() / table.sum(), 4000).reshape(-1, *table.shape)
    )
    p = draws / table.sum()
    chance = np.einsum("di,di->d", p.sum(axis=2), p.sum(axis=1))
    kappas = (np.einsum("dii->d", p) - chance) / (1 - chance)
    low, high = agreement(pairs_of(table)).interval
    assert (high - low) / (2 * NORMAL_95) == pytest.approx(kappas.std(), rel=0.05)


def test_one_verdict_everywhere_gives_no_kappa():
    found = agreement([("right", "right")] * 5)
    assert (found.kappa, found.interval, found.observed, found.n) == (None, None, 1.0, 5)


def test_full_agreement_on_two_verdicts_is_one_and_has_no_interval():
    found = agreement([("right", "right"), ("wrong", "wrong")])
    assert (found.kappa, found.interval) == (1.0, None)


def test_samples_are_paired_by_id_and_counted():
    first = responses()[MADE]
    second = [decided(each, "0", "judge-b") if each.replies else each for each in reversed(first[:-2])]
    second[0] = decided(second[0], "neither", "judge-b")  # sample 4
    found = pair(first, second, ("a", "b"))
    assert [a.id for a, _ in found.pairs] == ["0", "1", "2", "3"]
    assert [a.id for a, _ in found.disagreements] == ["0", "1", "3"]
    assert (found.by_rule, found.undecided, found.unpaired) == (0, 1, 2)


def test_what_no_judge_was_asked_is_not_counted():
    samples = responses()[TINY]
    found = pair(samples, samples, ("a", "b"))
    assert (found.pairs, found.by_rule) == ([], len(samples))


def test_another_response_is_refused():
    first, second = [sample(MADE, 0, "It is 1", "1")], [sample(MADE, 0, "It is 2", "1")]
    with pytest.raises(CellError, match=r"sample 0 has one response in runs a and another in b, .* `kawhi rejudge`"):
        pair(first, second, ("runs a", "b"))


def test_rule_against_judge():
    assert rule_and_judge(responses()[MADE]) == [
        ("right", "right"),
        ("wrong", "right"),
        ("wrong", "wrong"),
        ("right", "partly"),
        ("wrong", "wrong"),
        ("wrong", "wrong"),
    ]


def tasks(place):
    return {each.task: each for each in place.evaluations}


def test_two_evaluations_are_compared_where_judges_decided(tmp_path):
    samples = responses()
    other = {TINY: samples[TINY], MADE: [decided(s, "1", "judge-b") if s.replies else s for s in samples[MADE]]}
    first, second = make_run(tmp_path), make_run(tmp_path, judge=OTHER_JUDGE, **other)
    (found,) = compare(tasks(first), tasks(second))
    assert found.task == MADE
    assert found.judges.n == 6
    assert found.compared.by_rule == 1
    assert [each.n for each in found.rules] == [6, 6]
    folders = [f"{first.run.path.name}/{of(place, MADE).path.name}" for place in (first, second)]
    assert found.names == (f"judge-a ({folders[0]})", f"judge-b ({folders[1]})")


def test_nothing_to_compare_is_one_sentence(tmp_path):
    rules = {TINY: responses()[TINY]}
    first, second = tasks(make_run(tmp_path, **rules)), tasks(make_run(tmp_path, judge=OTHER_JUDGE, **rules))
    with pytest.raises(CellError, match="no sample of kawhi_tiny has the verdict of a judge in both runs"):
        compare(first, second)
    with pytest.raises(CellError, match="kawhi_tiny and kawhi_made: no benchmark with samples in common"):
        compare(first, tasks(make_run(tmp_path, **{MADE: responses()[MADE]})))
