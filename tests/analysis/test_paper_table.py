"""A paper's table with full-scale records: its form, and the comparison number by number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm, t

from analysis import chance
from analysis.experiment import experiments
from analysis.paper import paper_tables
from kawhi.records.schema import Benchmark
from tests.analysis.paper_records import measured
from tests.analysis.synthetic import Folder, accuracy, column, digits

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
    assert column([first], "Verdict") == ["differs"]  # 40 % of 300 against 67.47; an untrained model has no seeds
    words = column(rows, "Verdict")
    assert set(words) == {"differs", "differs, one seed", "within noise"}
    trained = [word for row, word in zip(rows, words, strict=True) if "Base" not in row["Experiment, benchmark"]]
    assert "differs" not in trained
    for row, word in zip(rows, words, strict=True):
        low, high = (float(part) for part in column([row], "95% interval")[0].strip("[]").split(", "))
        if not low <= 0 <= high:
            continue
        assert word == "within noise"  # Holm's correction only ever turns differences into noise


def results(*scores: int, seed: int = 0, n: int = 300) -> list[Benchmark]:
    """One benchmark with so many of ``n`` right answers by training seed."""
    return [
        Benchmark.model_validate(accuracy("T", n, right, digits(n, right, seed + i))) for i, right in enumerate(scores)
    ]


def half_width(found: tuple[float, float] | None) -> float:
    assert found is not None
    return (found[1] - found[0]) / 2


def test_the_interval_against_a_printed_number_has_the_noise_of_both_sides() -> None:
    line = chance.Line.of(results(137))
    found = chance.against_printed(line, 45.94, [45.94])
    noise = [137 / 300 * (1 - 137 / 300) / 299, 0.4594 * 0.5406 / 300]
    half = 100 * norm.ppf(0.975) * math.sqrt(sum(noise))
    assert found.difference == pytest.approx(line.score - 45.94)
    assert (found.low, found.high) == pytest.approx((found.difference - half, found.difference + half), rel=0.01)
    assert not found.covers_seeds


def test_a_printed_number_is_one_training_seed_as_far_from_others_as_ours_are() -> None:
    line = chance.Line.of(results(2000, 2500, 3000, 3500, 4000, n=6000))
    found = chance.against_printed(line, 50.0, [50.0])
    seeds = float(np.var([2000 / 6000, 2500 / 6000, 0.5, 3500 / 6000, 4000 / 6000], ddof=1))
    assert (found.high - found.low) / 2 == pytest.approx(100 * t.ppf(0.975, 4) * math.sqrt(seeds * 6 / 5), rel=0.02)
    assert found.covers_seeds


def test_a_mean_of_benchmarks_against_a_printed_mean_adds_each_ones_own_noise() -> None:
    line = chance.Line.of(results(60), results(150))
    found = chance.against_printed(line, 35.0, [20.0, 50.0])
    noise = sum(2 * share * (1 - share) / 300 for share in (0.2, 0.5)) / 4
    assert (found.high - found.low) / 2 == pytest.approx(100 * norm.ppf(0.975) * math.sqrt(noise), rel=0.01)


def test_the_luck_of_a_seed_goes_into_all_benchmarks_of_a_mean() -> None:
    one, other = results(90, 150, 210), results(90, 150, 210, seed=50)
    together, alone = (half_width(chance.interval(chance.Line.of(*each))) for each in ((one, other), (one,)))
    assert together == pytest.approx(alone, rel=0.02)  # and not less by the root of two
    without = [each.model_copy(update={"verdicts": None}) for each in other]
    assert chance.interval(chance.Line.of(one, without)) is None
    assert chance.interval(chance.Line.of(without)) is not None


def test_an_untrained_model_has_no_seed_that_could_have_been_another() -> None:
    ours, base = results(200, 205, 195), results(100, seed=9)
    for trained, expected in ((True, "differs, one seed"), (False, "differs")):
        lines = [chance.Line.of(ours), chance.Line.of(base, trained=trained)]
        assert chance.lines([lines[0]], [lines[1]])[0][-1] == expected


def test_items_of_one_cluster_count_once() -> None:
    """Five versions of each problem say no more than one where they are right and wrong together."""
    once, base = digits(200, 90, 1), digits(200, 60, 2)
    several = []
    for values in (once, base):
        made = accuracy("T", 1000, 5 * values.count("1"), "".join(5 * digit for digit in values))
        made["verdicts"]["clusters"] = tuple(i // 5 for i in range(1000))
        several.append(chance.Line.of([Benchmark.model_validate(made)]))
    single = [chance.Line.of(results_of) for results_of in ([parsed_of(once)], [parsed_of(base)])]
    found, expected = (chance.compared(*lines) for lines in (several, single))
    assert (found.low, found.high, found.p_value) == pytest.approx((expected.low, expected.high, expected.p_value))
    assert half_width(chance.interval(several[0])) == pytest.approx(half_width(chance.interval(single[0])), rel=0.01)
    pairs = [[line.benchmarks[0][0] for line in lines] for lines in (several, single)]
    assert chance.detectable(*pairs[0]) == pytest.approx(chance.detectable(*pairs[1]))
    assert chance.size(pairs[0][0]) == pytest.approx(200, rel=0.01)
    assert chance.single_runs(*pairs[0]).p_value == pytest.approx(found.p_value)
    assert chance.clusters_note([pairs[0][0]]) == " Clusters of items: T 200."
    assert "do not say which items of T belong together" in chance.clusters_note([pairs[1][0]])


def parsed_of(values: str) -> Benchmark:
    return Benchmark.model_validate(accuracy("T", len(values), values.count("1"), values))


def test_every_row_of_the_mean_has_an_interval_and_a_verdict(full: Folder) -> None:
    rows, head = full.rows("main_table"), "mean of the benchmarks"
    experiment = experiments()["main_table"]
    means = [sum(measured_score(i, j) for j in range(4)) / 4 for i in range(17)]
    for i, row in enumerate(rows):
        low, high = map(float, column([row], f"{head}: 95% interval")[0].strip("[]").split(", "))
        assert low < means[i] < high
        base = experiment.reference(i)
        if base is None:
            assert column([row], f"{head}: Verdict") == ["reference"]
            continue
        assert column([row], f"{head}: vs base") == [f"{means[i] - means[base]:+z.2f}"]
        low, high = map(float, column([row], f"{head}: Interval of it")[0].strip("[]").split(", "))
        assert low < means[i] - means[base] < high
        assert column([row], f"{head}: Verdict")[0] in ("within noise", "differs, one seed")
