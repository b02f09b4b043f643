"""A paper's table with full-scale records: its form, and the comparison number by number."""

from __future__ import annotations

import math

import pytest
from scipy.stats import norm

from analysis import chance
from analysis.paper import paper_tables
from kawhi.records.schema import Benchmark
from tests.analysis.paper_records import measured
from tests.analysis.synthetic import Folder, accuracy, column, digits
from tests.split import parsed

PAPER = paper_tables()["kawhi_1"]
COLUMNS = ("MathVista", "MathVerse", "MathVision", "WeMath")


@pytest.fixture
def full(folder: Folder) -> Folder:
    folder.add(*measured())
    assert folder.make("main") == 0
    return folder


def measured_score(row: int, column: int) -> float:
    """As ``measured`` makes it, in percent."""
    return 100 * (120 + 3 * row + column) / 300


def test_the_papers_form(full: Folder) -> None:
    rows = full.rows("main_table")
    for j, name in enumerate(COLUMNS):
        scores = [row[f"measured: h200x8, 60 steps: {name}"] for row in rows]
        assert scores == [f"{measured_score(i, j):.2f}" for i in range(17)]
        changes = [row[f"measured: h200x8, 60 steps: {name}, difference"] for row in rows]
        base = {i: 0 if i < 10 else 10 for i in range(17)}  # the untrained model of the block
        assert changes == [
            "" if i in (0, 10) else f"{measured_score(i, j) - measured_score(base[i], j):+.2f}" for i in range(17)
        ]
    means = [sum(measured_score(i, j) for j in range(4)) / 4 for i in range(17)]
    assert column(rows, "60 steps: Avg", "gain")[5] == f"{means[5] - means[4]:+.2f}"  # KAWHI over GRPO
    assert [row["measured: h200x8, 60 steps: Avg"] for row in rows] == [f"{mean:.2f}" for mean in means]


def test_the_best_of_each_model_is_bold_and_our_rows_are_grey(full: Folder) -> None:
    lines = full.text("tex", "main_table").partition("{measured: h200x8")[2].splitlines()
    bold = [line for line in lines if r"\textbf" in line]
    assert len(bold) == 2  # the last row of each model has the highest scores
    assert all(line.count(r"\textbf") == 5 and r"\rowcolor" in line and "GSPO" in line for line in bold)


def test_a_line_per_number_with_difference_interval_and_verdict(full: Folder) -> None:
    rows = full.rows("main_table_compared")
    assert len(rows) == 17 * 5
    assert [row["Experiment, benchmark"] for row in rows[:5]] == [f"Base, {name}" for name in (*COLUMNS, "Avg")]
    assert [row["paper: KAWHI: Paper"] for row in rows] == [
        cell.text for row in PAPER.rows for cell in (row.cells[name] for name in PAPER.columns)
    ]
    first = next(iter(rows))
    assert column([first], "Ours") == [f"{measured_score(0, 0):.2f}"]
    assert column([first], "Difference") == [f"{measured_score(0, 0) - 67.47:+.2f}"]
    assert column([first], "Verdict") == ["differs"]  # 40 % of 300 against 67.47
    words = column(rows, "Verdict")
    assert set(words) == {"differs", "within noise"}
    for row, word in zip(rows, words, strict=True):
        low, high = (float(part) for part in column([row], "95% interval")[0].strip("[]").split(", "))
        if not low <= 0 <= high:
            continue
        assert word == "within noise"  # Holm's correction only ever turns differences into noise


def test_the_interval_against_a_printed_number_has_the_noise_of_both_sides() -> None:
    result = parsed(measured()[4]).benchmarks["kawhi_mathverse"]
    found = chance.against_printed([[result]], 45.94, result.score)
    low, high = chance.interval([result])
    ours, theirs = (high - low) / 2 / norm.ppf(0.975), 100 * math.sqrt(0.4594 * 0.5406 / 300)
    half = norm.ppf(0.975) * math.hypot(ours, theirs)
    assert found.difference == pytest.approx(result.score - 45.94)
    assert (found.low, found.high) == pytest.approx((found.difference - half, found.difference + half))


def test_the_luck_of_a_seed_goes_into_all_benchmarks_of_a_mean() -> None:
    one, other = (
        [Benchmark.model_validate(accuracy("T", 300, n, digits(300, n, seed + n))) for n in (90, 150, 210)]
        for seed in (0, 1)
    )
    (low, high), alone = chance.interval(one, other), chance.interval(one)
    assert high - low == pytest.approx(alone[1] - alone[0], rel=0.02)  # and not less by the root of two
    without = [each.model_copy(update={"verdicts": None}) for each in other]
    assert chance.interval(one, without) is None
    assert chance.interval(without) is not None
