"""What is computed again from the papers' numbers.

A check that cannot fail is none: every number that a check reads is altered, and found.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.paper import Claim, claims, content, number, paper_tables, table_of
from analysis.paper_checks import Span, disagreements, discrepancies, mean, unit

TABLES = content()["tables"]
FOUND = discrepancies()
BESIDE = [
    (key, i, j)
    for key, entry in TABLES.items()
    for i, row in enumerate(entry["rows"])
    for j, delta in enumerate(row.get("deltas", []))
    if delta != "null"
]
SUMMED = [
    (key, i, entry["columns"].index(column))
    for key, entry in TABLES.items()
    for column in entry.get("average", entry.get("mean_delta", {}))
    for i, row in enumerate(entry["rows"])
    if row["values"][entry["columns"].index(column)] != "null"
]
GAINS = [(key, i, 0) for key, entry in TABLES.items() for i, row in enumerate(entry["rows"]) if "gain" in row]
few = settings(max_examples=25, deadline=None)
steps = st.integers(4, 300).flatmap(lambda size: st.sampled_from([size, -size]))


def moved(text: str, steps: int) -> str:
    """``text`` plus so many units of its last digit, printed alike."""
    value = number(text) + steps * unit(text)
    return f"{value:+}" if text.startswith("+") else str(value).replace("-", "↓") if "↓" in text else str(value)


def altered(cell: tuple[str, int, int], where: str, steps: int) -> tuple[list[str], str, str, str]:
    """What is found in a table with one other number; that number, its row and its column."""
    key, i, j = cell
    entry = deepcopy(TABLES[key])
    row = entry["rows"][i]
    holder, at = (row, "gain") if where == "gain" else (row[where], j)
    holder[at] = moved(holder[at], steps)
    return disagreements({key: table_of(key, entry)}, []), holder[at], row["row"], entry["columns"][j]


def test_what_is_altered() -> None:
    assert (len(BESIDE), len(SUMMED), len(GAINS)) == (75 + 10 + 18 + 9, 17 + 10 + 3, 6)
    assert (len(DECIDED), len(OF_NUMBERS), len(OF_ORDER), len(FOUND_WRONG)) == (45, 27, 11, 14)


SENTENCES: dict[str, tuple[list[tuple[str, int, int]], str, Callable[[str, str, str], str]]] = {
    "change": (BESIDE, "deltas", lambda text, row, column: f"the change of {row} on {column} is printed as {text}"),
    "cell": (BESIDE, "values", lambda text, row, column: f"the change of {row} on {column} is printed as"),
    "average": (SUMMED, "values", lambda text, row, column: f"the {column} of {row} is printed as {text}"),
    "gain": (GAINS, "gain", lambda text, row, column: f"the gain of {row} is printed as {text}"),
}


@pytest.mark.parametrize("kind", SENTENCES)
@few
@given(data=st.data(), steps=steps)
def test_an_altered_number_is_found(kind: str, data: st.DataObject, steps: int) -> None:
    cells, where, sentence = SENTENCES[kind]
    found, *said = altered(data.draw(st.sampled_from(cells)), where, steps)
    assert sum(sentence(*said) in each for each in found) == 1


DECIDED = [claim for claim in claims() if claim.check]
OF_NUMBERS = [claim for claim in DECIDED if claim.check["is"] in ("value", "difference", "percent")]
FOUND_WRONG = [claim for claim in DECIDED if any(f"“{claim.says}”" in sentence for sentence in FOUND)]
OF_ORDER = [claim for claim in DECIDED if claim not in OF_NUMBERS and claim not in FOUND_WRONG]


def judged(claim: Claim, **changes: Any) -> list[str]:
    """What is found wrong with one claim."""
    return disagreements(paper_tables(), [replace(claim, **changes)])


@few
@given(st.data(), steps)
def test_an_altered_number_of_a_claim_is_found(data: st.DataObject, steps: int) -> None:
    claim = data.draw(st.sampled_from([claim for claim in OF_NUMBERS if claim not in FOUND_WRONG]))
    j = data.draw(st.integers(0, len(claim.numbers) - 1))
    numbers = (*claim.numbers[:j], moved(claim.numbers[j], steps), *claim.numbers[j + 1 :])
    (found,) = judged(claim, numbers=numbers)
    assert f"{claim.place}: “{claim.says}”, but" in found


@pytest.mark.parametrize("claim", OF_ORDER)
def test_a_reversed_order_is_found(claim: Claim) -> None:
    kind = {"above": "below", "below": "above", "same": "above"}[claim.check["is"]]
    assert judged(claim, check=claim.check | {"is": kind})


@pytest.mark.parametrize("claim", FOUND_WRONG)
def test_what_fits_is_no_longer_listed(claim: Claim) -> None:
    (sentence,) = judged(claim)
    best, worst = "tor_4 | RLVR on Qwen-2.5-VL-7B | ToR-DAPO, ViRL-39K", "tor_4 | RLVR on Qwen-2.5-VL-3B | DAPO"
    kind = claim.check["is"]
    if claim in OF_NUMBERS:
        change: dict[str, Any] = {"numbers": (re.search(r" is ([-+.\d]+)", sentence)[1],)}
    elif kind == "one_of":
        change = {"check": claim.check | {"than": [*claim.check["than"], "tor_4 | ToR-GRPO"]}}
    else:  # the best and the worst row of one table
        pair = [best, worst] if kind == "above" else [worst, best]
        change = {"check": {"is": kind, "of": pair[:1], "than": pair[1:], "columns": ["MathVerse"]}}
    assert not judged(claim, **change)


WE_MATH = Claim("ToR", "here", "words", ("67.4",), check={"is": "value", "of": ["tor_1 | GRPO"], "columns": ["WeMath"]})


def asked(numbers: tuple[str, ...] = ("67.4",), **changes: Any) -> list[str]:
    check = WE_MATH.check | changes
    return judged(WE_MATH, numbers=numbers, check={"than": check["of"]} | check)


def test_a_tie_is_no_order_and_a_dash_has_none() -> None:
    rows = {"of": ["tor_1 | 70%"], "than": ["tor_1 | GRPO"], "columns": ["MathVerse"]}
    assert [len(asked(**rows, **{"is": kind})) for kind in ("above", "below", "same")] == [1, 1, 0]
    assert not asked(**{"is": "above"}, of=["tor_4 | InternVL-2.5-8B"], than=["tor_4 | R1-OneVision-7B"])


@pytest.mark.parametrize("change", [{"is": "near"}, {"of": ["tor_9 | GRPO"]}, {"of": ["tor_1 | 25%"]}])
def test_a_check_that_names_nothing_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(KeyError):
        asked(**change)


@pytest.mark.parametrize("numbers", [("67.4", "50.8"), ()])
def test_numbers_and_columns_are_as_many(numbers: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="zip"):
        asked(numbers)


# Rounding


@given(st.integers(-99999, 99999), st.integers(-99999, 99999))
def test_a_difference_of_rounded_numbers_may_be_off_by_a_unit(a: int, b: int) -> None:
    """Each thousandth is what a cell was rounded from; the printed difference was rounded from the unrounded one."""
    exact = [Decimal(x) / 1000 for x in (a, b, a - b)]
    first, second, difference = (str(x.quantize(Decimal("0.01"))) for x in exact)
    span = Span.of(first) - Span.of(second)
    assert span.allows(difference)
    assert span.allows(str(span.middle + Decimal("0.01")))
    assert not span.allows(str(span.middle + Decimal("0.02")))


@given(st.lists(st.integers(0, 99999), min_size=1, max_size=6))
def test_a_mean_of_rounded_numbers_allows_that_of_the_unrounded(thousandths: list[int]) -> None:
    exact = [Decimal(x) / 1000 for x in thousandths]
    span = mean([Span.of(str(x.quantize(Decimal("0.01")))) for x in exact])
    true = sum(exact) / len(exact)
    assert span.low <= true <= span.high
    assert span.allows(str(true.quantize(Decimal("0.01"))))
    assert span.high - span.low == Decimal("0.01")
    assert not span.allows(str((span.middle + Decimal("0.016")).quantize(Decimal("0.01"))))


def test_a_half_may_be_rounded_either_way() -> None:
    half = mean([Span.of("45.94"), Span.of("28.29")])  # 37.115, which the paper prints as 37.11
    assert [half.allows(text) for text in ("37.10", "37.11", "37.12", "37.13")] == [False, True, True, False]
    assert half.like("37.11") == "37.12"


def test_percentages_coarse_numbers_and_arrows() -> None:
    span = Span.of("540.6").percent_more_than(Span.of("521.0"))
    assert span.low < span.middle < span.high
    assert (span.like("3.6"), span.allows("3.8"), span.allows("3.6")) == ("3.8", True, False)
    coarse = Span.of("67.4") - Span.of("65.6")
    assert (coarse.allows("2"), coarse.allows("1")) == (True, False)
    assert Span.of("↓0.5") == Span.of("-0.5")
    assert Span.of("-0.50").like("↓0.98") == "↓0.50"
