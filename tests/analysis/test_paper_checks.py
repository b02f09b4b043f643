"""What is computed again from the papers' numbers.

A check that cannot fail is none: every number that a check reads is altered, and found.
"""

from __future__ import annotations

import re
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.paper import FILE, Claim, claims, compare, discrepancies
from analysis.paper_checks import Span, mean, number, unit

CONTENT = yaml.load(FILE.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
FOUND = discrepancies()


def moved(text: str, steps: int) -> str:
    """``text`` plus so many units of its last digit, printed alike."""
    value = number(text) + steps * unit(text)
    return f"{value:+}" if text.startswith("+") else str(value).replace("-", "↓") if "↓" in text else str(value)


def sentences(content: dict[str, Any]) -> list[str]:
    """What is found beyond what the papers themselves have."""
    return [sentence for sentence in compare(content) if sentence not in FOUND]


BESIDE = [
    (key, i, j)
    for key, entry in CONTENT["tables"].items()
    for i, row in enumerate(entry["rows"])
    for j, delta in enumerate(row.get("deltas", []))
    if delta != "null"
]
SUMMED = [
    (key, i, entry["columns"].index(column))
    for key, entry in CONTENT["tables"].items()
    for column in entry.get("average", entry.get("mean_delta", {}))
    for i, row in enumerate(entry["rows"])
    if row["values"][entry["columns"].index(column)] != "null"
]
GAINS = [(key, i) for key, entry in CONTENT["tables"].items() for i, row in enumerate(entry["rows"]) if "gain" in row]
few = settings(max_examples=25, deadline=None)  # each compares all tables anew
steps = st.integers(4, 300).flatmap(lambda size: st.sampled_from([size, -size]))


def test_what_is_altered_below() -> None:
    assert (len(BESIDE), len(SUMMED), len(GAINS)) == (75 + 10 + 18 + 9, 17 + 10 + 3, 6)


@few
@given(st.sampled_from(BESIDE), steps)
def test_an_altered_change_is_found(cell: tuple[str, int, int], steps: int) -> None:
    content, (key, i, j) = deepcopy(CONTENT), cell
    row = content["tables"][key]["rows"][i]
    row["deltas"][j] = moved(row["deltas"][j], steps)
    column = content["tables"][key]["columns"][j]
    (found, *_) = [s for s in sentences(content) if f"change of {row['row']} on {column}" in s]
    assert f"is printed as {row['deltas'][j]}" in found
    assert f"{row['place']}:" in found


@few
@given(st.sampled_from(SUMMED), steps)
def test_an_altered_average_is_found(cell: tuple[str, int, int], steps: int) -> None:
    content, (key, i, j) = deepcopy(CONTENT), cell
    row = content["tables"][key]["rows"][i]
    row["values"][j] = moved(row["values"][j], steps)
    found = [s for s in sentences(content) if f"the {content['tables'][key]['columns'][j]} of {row['row']} is" in s]
    assert len(found) == 1


@few
@given(st.sampled_from(GAINS), steps)
def test_an_altered_gain_is_found(cell: tuple[str, int], steps: int) -> None:
    content, (key, i) = deepcopy(CONTENT), cell
    row = content["tables"][key]["rows"][i]
    row["gain"] = moved(row["gain"], steps)
    (found,) = sentences(content)
    assert f"the gain of {row['row']} is printed as {row['gain']}" in found


@few
@given(st.sampled_from(BESIDE), steps)
def test_an_altered_cell_is_found(cell: tuple[str, int, int], steps: int) -> None:
    content, (key, i, j) = deepcopy(CONTENT), cell
    row = content["tables"][key]["rows"][i]
    row["values"][j] = moved(row["values"][j], steps)
    assert any(f"change of {row['row']} on {content['tables'][key]['columns'][j]}" in s for s in sentences(content))


DECIDED = [i for i, claim in enumerate(claims()) if claim.check]
OF_NUMBERS = [i for i in DECIDED if claims()[i].check["is"] in ("value", "difference", "percent")]
FOUND_WRONG = [i for i in DECIDED if any(f"“{claims()[i].says}”" in sentence for sentence in FOUND)]
OF_ORDER = [i for i in DECIDED if i not in OF_NUMBERS and i not in FOUND_WRONG]


def test_what_claims_are_altered_below() -> None:
    assert (len(DECIDED), len(OF_NUMBERS), len(OF_ORDER), len(FOUND_WRONG)) == (45, 27, 11, 14)


@few
@given(st.data(), steps)
def test_an_altered_number_of_a_claim_is_found(data: st.DataObject, steps: int) -> None:
    content = deepcopy(CONTENT)
    claim = content["claims"][data.draw(st.sampled_from([i for i in OF_NUMBERS if i not in FOUND_WRONG]))]
    j = data.draw(st.integers(0, len(claim["numbers"]) - 1))
    claim["numbers"][j] = moved(claim["numbers"][j], steps)
    (found,) = sentences(content)
    assert f"{claim['place']}: “{claim['says']}”, but" in found


@pytest.mark.parametrize("i", OF_ORDER)
def test_a_reversed_order_is_found(i: int) -> None:
    content = deepcopy(CONTENT)
    check = content["claims"][i]["check"]
    check["is"] = {"above": "below", "below": "above", "same": "above"}[check["is"]]
    assert any(f"“{content['claims'][i]['says']}”, but" in sentence for sentence in sentences(content))


@pytest.mark.parametrize("i", [i for i in FOUND_WRONG if i in OF_NUMBERS])
def test_a_number_that_fits_is_no_longer_listed(i: int) -> None:
    content = deepcopy(CONTENT)
    claim = content["claims"][i]
    (sentence,) = [s for s in FOUND if f"“{claim['says']}”" in s]
    claim["numbers"] = [re.search(r" is ([-+.\d]+)", sentence)[1]]
    assert len(compare(content)) == len(FOUND) - 1


@pytest.mark.parametrize("i", [i for i in FOUND_WRONG if i not in OF_NUMBERS])
def test_an_order_that_holds_is_no_longer_listed(i: int) -> None:
    content = deepcopy(CONTENT)
    check = content["claims"][i]["check"]
    if check["is"] == "one_of":
        check["than"].append("tor_4 | RLVR on Qwen-2.5-VL-7B | ToR-GRPO")
    else:  # the best and the worst row of one table
        best, worst = "tor_4 | RLVR on Qwen-2.5-VL-7B | ToR-DAPO, ViRL-39K", "tor_4 | RLVR on Qwen-2.5-VL-3B | DAPO"
        pair = [best, worst] if check["is"] == "above" else [worst, best]
        check |= {"of": pair[:1], "than": pair[1:], "columns": ["MathVerse"]}
    assert len(compare(content)) == len(FOUND) - 1


def test_a_tie_is_no_order_and_a_dash_has_none() -> None:
    rows = {"of": ["tor_1 | 70%"], "than": ["tor_1 | GRPO"], "columns": ["MathVerse"]}
    for kind, wrong in (("above", 1), ("below", 1), ("same", 0)):
        assert len(judged(Claim("ToR", "here", "words", check=rows | {"is": kind}))) == wrong
    dash = {
        "is": "above",
        "of": ["tor_4 | InternVL-2.5-8B"],
        "than": ["tor_4 | R1-OneVision-7B"],
        "columns": ["WeMath"],
    }
    assert not judged(Claim("ToR", "here", "words", check=dash))


@pytest.mark.parametrize("change", [{"is": "near"}, {"of": ["tor_9 | GRPO"]}, {"of": ["tor_1 | 25%"]}])
def test_a_check_that_names_nothing_is_refused(change: dict[str, Any]) -> None:
    check = {"is": "value", "of": ["tor_1 | GRPO"], "columns": ["WeMath"]} | change
    with pytest.raises(KeyError):
        judged(Claim("ToR", "here", "67.4", ("67.4",), check=check))


@pytest.mark.parametrize("numbers", [["67.4", "50.8"], []])
def test_numbers_and_columns_are_as_many(numbers: list[str]) -> None:
    check = {"is": "value", "of": ["tor_1 | GRPO"], "columns": ["WeMath"]}
    with pytest.raises(ValueError, match="zip"):
        judged(Claim("ToR", "here", "words", tuple(numbers), check=check))


def judged(claim: Claim) -> list[str]:
    """What is found wrong with one claim."""
    entry = {name: value for name, value in vars(claim).items() if value is not None}
    return compare({"tables": CONTENT["tables"], "claims": [entry]})


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
    assert half.allows("37.11")
    assert half.allows("37.12")
    assert not half.allows("37.10")
    assert not half.allows("37.13")
    assert half.like("37.11") == "37.12"


def test_a_percentage_of_rounded_numbers() -> None:
    span = Span.of("540.6").percent_more_than(Span.of("521.0"))
    assert span.low < span.middle < span.high
    assert span.like("3.6") == "3.8"
    assert span.allows("3.8")
    assert not span.allows("3.6")


def test_coarse_numbers_allow_more() -> None:
    assert (Span.of("67.4") - Span.of("65.6")).allows("2")
    assert not (Span.of("67.4") - Span.of("65.6")).allows("1")
    assert Span.of("↓0.5") == Span.of("-0.5")
    assert Span.of("-0.50").like("↓0.98") == "↓0.50"
