"""Figures from synthetic records: what is drawn, what is kept apart, and that nothing overlaps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from analysis.figures import FIGURES, draw
from analysis.figures.figure_5 import seconds, stacked, timed
from analysis.figures.parts import looks
from analysis.figures.radar import ends
from analysis.figures.series import panels, score
from kawhi.records.schema import Record
from tests.analysis.figure_records import (
    drawn,
    errors_record,
    everything,
    parsed,
    refuse_overlaps,
    texts,
    titled,
    tor_records,
    trained,
)
from tests.analysis.synthetic import changed, hashed, timing_record
from tests.split import split

PAPER_ONLY = ["figure_1a", "figure_4", "figure_5", "figure_7", "radar", "tor_figure_2"]
"""Drawn without any record."""


@pytest.fixture(scope="module")
def world() -> dict[Path, Record]:
    return parsed(everything())


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_overlaps_or_leaves_the_figure(world: dict[Path, Record], name: str) -> None:
    made = draw(name, world)
    assert made is not None
    refuse_overlaps(made.figure)
    assert made.files
    assert made.caption.count("No records of this: tiny world") == (name == "radar")
    assert f"{len(made.files)} records" in made.caption or all(file in made.caption for file in made.files)
    for words in ("measured" * (name != "figure_6"), "tiny world" * (name not in ("radar", "figure_6"))):
        assert any(words in axes.get_title(loc="left") for axes in made.figure.axes)


@pytest.mark.parametrize("name", FIGURES)
def test_without_records_only_the_papers_numbers_are_drawn(name: str) -> None:
    made = draw(name, {})
    assert (made is None) == (name not in PAPER_ONLY)
    if made is not None:
        refuse_overlaps(made.figure)
        assert all(axes.get_title(loc="left").startswith("paper: ") for axes in made.figure.axes)
        assert "No record was used." in made.caption
        assert "No records of this: measured, tiny world." in made.caption
        assert made.files == ()


def test_the_papers_panels_have_its_numbers() -> None:
    assert [bar.get_height() for bar in drawn("figure_4").figure.axes[0].patches] == [0.13, 0.22, 0.30]
    errors = drawn("figure_1a").figure.axes[0]
    assert [bar.get_width() for bar in errors.patches] == [48.9]
    assert texts(errors).count("given only as a drawing") == 4
    seconds = drawn("figure_5").figure.axes[0]
    assert [bar.get_width() for bar in seconds.patches] == [521.0, 540.6]
    assert [tick.get_text() for tick in seconds.get_yticklabels()] == ["with KAWHI (R1)", "without KAWHI (R2)"]
    points = [list(line.get_ydata()) for axes in drawn("figure_7").figure.axes for line in axes.lines]
    assert points == [[47.56], [45.94] * 2, [29.28], [28.29] * 2]


def test_one_kind_of_tokens_alone_stands_beside_all_tokens_and_tor() -> None:
    figure = drawn("tor_figure_2", *tor_records(), trained("uniform", 1000)).figure
    printed = titled(figure, "paper: ", "WeMath")
    assert [bar.get_height() for bar in printed.patches] == [63.9, 65.6, 66.0, 61.4, 64.8, 62.9]
    assert [line.get_ydata()[0] for line in printed.lines if line.get_linestyle() != "None"] == [67.4, 68.9]
    own = titled(figure, "tiny world")
    assert sorted(bar.get_height() for bar in own.patches) == [40.0, 42.0, 44.0, 45.0, 47.0, 49.0]  # 80 % is not drawn
    assert [line.get_ydata()[0] for line in own.lines if line.get_linestyle() != "None"] == [50.0, 55.0]


def test_tor_s_line_is_of_its_own_options_and_intervals_fit() -> None:
    other = trained("tor", 1300, options={"types": "both", "perception_weight": 0.1})
    own = titled(drawn("tor_figure_2", other, *tor_records(), trained("uniform", 1000)).figure, "tiny world")
    assert [line.get_ydata()[0] for line in own.lines if line.get_linestyle() != "None"] == [50.0, 55.0]
    low, high = own.get_ylim()
    assert all(low < y < high for lines in own.collections for _, y in lines.get_segments()[0])


def test_errors_are_named_by_the_run_that_they_are_of() -> None:
    run = trained("kawhi")
    own = errors_record("tiny", "kawhi_tiny", of=split(run)[0]["cell"]["hash"])
    axes = titled(drawn("figure_1a", run, own).figure, "tiny world")
    assert axes.get_title(loc="left").endswith("GRPO + KAWHI, kawhi_tiny, 150 wrong of 300")
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([60, 16 / 3, 20, 40 / 3, 4 / 3], abs=1e-3)


def test_seeds_are_averaged_and_one_seed_has_the_interval_of_its_items() -> None:
    three = [trained("kawhi", correct, rollout=r) for r, correct in enumerate((900, 1000, 1060))]
    figure = drawn("figure_4", *three, trained("VisionZip, 50 %", 980)).figure
    axes = titled(figure, "tiny world", "Tiny world")
    assert [line.get_ydata()[0] for line in axes.lines] == [pytest.approx(2960 / 60), 49.0]
    ends = [[y for _, y in lines.get_segments()[0]] for lines in axes.collections]
    assert ends == [[45.0, 53.0], [47.0, 51.0]]
    assert "3 seeds" in texts(axes)
    assert f"drop {2960 / 60 - 49:.2f} points" in texts(axes)


def test_a_score_without_an_interval_has_no_line() -> None:
    made = drawn("figure_4", trained("kawhi", interval=False), trained("VisionZip, 50 %", interval=False))
    assert not titled(made.figure, "tiny world").collections


def test_provenances_models_and_settings_have_panels_of_their_own() -> None:
    contents = [
        trained("kawhi"),
        trained("kawhi", family="qwen3_vl"),
        trained("kawhi", learning_rate=1e-3),
        trained("kawhi", provenance="measured"),
        trained("kawhi", algorithm="dapo"),
    ]
    found = panels(parsed(contents))
    assert [len(panel.series) for panel in found] == [1] * 5
    assert found[0].provenance == "measured"
    assert len({panel.title for panel in found}) == 5
    (one, other) = (panel.differs for panel in found if panel.number)
    assert "optim.lr" in one
    assert one != other


def test_options_of_a_method_are_never_pooled_as_seeds() -> None:
    contents = [trained("kawhi", 1000), trained("kawhi", 1100, rollout=1, options={"w_min": 0.2})]
    (panel,) = panels(parsed(contents), task="kawhi_tiny")
    assert [series.name for series in panel.series] == ["GRPO + KAWHI (setting 1)", "GRPO + KAWHI (setting 2)"]
    assert sorted(score(series, "kawhi_tiny").value for series in panel.series) == [50.0, 55.0]
    made = drawn("training_curves", *contents)
    assert "kawhi.options.w_min = 0.2" in made.caption
    zipped = [trained("VisionZip, 50 %", 900), trained("VisionZip, 50 %", 950, options={"w_min": 0.2})]
    own = [axes.get_title(loc="left") for axes in drawn("figure_4", *contents, *zipped).figure.axes[1:]]
    assert [title.rpartition(", ")[2] for title in own] == ["method 1", "method 2"]


def test_options_that_a_table_names_are_called_as_it_does() -> None:
    (panel,) = panels(parsed([trained("kawhi"), trained("kawhi", options={"temperature": 0.3})]))
    assert [series.name for series in panel.series] == ["GRPO + KAWHI", "Temperature 0.3"]


def test_a_cell_that_was_evaluated_twice_is_one_curve() -> None:
    again = changed(trained("kawhi"), "config", "evaluation", value={"seed": 5})
    records = parsed([trained("kawhi"), hashed(again)])
    (panel,) = panels(records)
    assert len(panel.series[0].records) == 1


def test_curves_are_means_with_bands_of_the_seeds() -> None:
    contents = [trained("uniform", rollout=r) for r in range(3)] + [trained("Random")]
    axes = drawn("training_curves", *contents).figure.axes[0]
    curves = np.array([content["training"]["reward"] for content in contents[:3]])
    by_label = {line.get_label(): line.get_ydata() for line in axes.lines}
    np.testing.assert_allclose(by_label["GRPO"], curves.mean(axis=0))
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices[:, 1]
    assert (corners.min(), corners.max()) == pytest.approx((curves.min(), curves.max()))
    widths = {line.get_label(): line.get_linewidth() for line in axes.lines}
    assert widths["GRPO"] > widths["Random"]


def test_no_row_of_curves_has_more_lines_than_an_eye_can_tell_apart() -> None:
    names = ["uniform", "kawhi", *(f"Skip ratio 0.{n}" for n in (1, 3, 5, 9)), "Random", "Token-level", "Key–Key"]
    made = drawn("training_curves", *map(trained, names))
    rows = [axes for axes in made.figure.axes if axes.get_ylabel() == "reward"]
    shown = [[line.get_label() for line in axes.lines] for axes in rows]
    assert [len(labels) for labels in shown] == [6, 5]
    assert all(labels[:2] == ["GRPO", "GRPO + KAWHI"] for labels in shown)
    assert len({label for labels in shown for label in labels}) == len(names)
    for axes in rows:
        assert len({line.get_color() for line in axes.lines}) == len(axes.lines)
    assert "stand in every row" in made.caption
    refuse_overlaps(made.figure)


def test_held_out_accuracy_has_a_panel_where_it_was_asked_for() -> None:
    plain, asked = trained("uniform", steps=4), trained("kawhi", steps=4)
    asked["training"]["held_out"] = [None, 0.25, None, 0.5]
    assert len(drawn("training_curves", plain).figure.axes) == 4
    found = drawn("training_curves", plain, asked)
    assert "the share of right greedy answers to held-out problems" in found.caption
    *_, axes = found.figure.axes
    (line,) = axes.lines
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([2, 4], [0.25, 0.5])
    assert axes.get_ylabel() == "held-out accuracy"
    refuse_overlaps(found.figure)


def test_the_parts_of_a_step_add_up_to_it() -> None:
    timers = {"step": 20.0, "gen": 9.0, "old_log_prob": 4.0, "kawhi_alignment": 0.5, "kawhi_regions": 0.3, "adv": 1.0}
    parts = stacked(timers)
    assert sum(parts.values()) == pytest.approx(20.0)
    assert parts["old_log_prob"] == 3.5
    assert "kawhi_regions" not in parts
    figure = drawn("figure_5", trained("kawhi"), trained("uniform")).figure
    own = figure.axes[2]
    assert sum(bar.get_width() for bar in own.patches) == pytest.approx(100 * (0.1 + 0.1 + 0.5 + 0.3) / 20)


def run_of(content: dict[str, Any], **run: Any) -> dict[str, Any]:
    return hashed(content | {"run": content["run"] | run})


def widths(figure: Figure) -> dict[float, float]:
    """Length of each bar of the first panel after the paper's."""
    found: dict[float, float] = {}
    for bar in figure.axes[1].patches:
        middle = round(bar.get_y() + bar.get_height() / 2, 2)
        found[middle] = found.get(middle, 0.0) + bar.get_width()
    return found


def test_a_busy_machine_is_no_difference_of_methods() -> None:
    """Two trainings of the tiny world, one of them beside others: their steps are drawn as shares of themselves."""
    slow = trained("kawhi")
    slow["run"]["timing_s"] = {name: 2 * value for name, value in slow["run"]["timing_s"].items()}
    made = drawn("figure_5", run_of(slow, step_seconds=[40.0] * 20), trained("uniform"))
    assert widths(made.figure) == pytest.approx({0: 100.0, 1: 100.0})
    assert not [text for text in texts(made.figure.axes[1]) if text.endswith(" s")]
    spent = [None, *([60.0] * 9), *([62.0] * 10)]
    told = texts(drawn("figure_5", run_of(slow, step_processor_seconds=spent)).figure.axes[1])
    assert " 62 s of processors [60, 62]" in told


def test_a_cell_with_gpus_of_its_own_has_its_median_step() -> None:
    """An outlier, as a checkpoint that is written, does not move it."""
    steps = [100.0, *[20.0, 21.0, 22.0] * 6, 300.0]
    made = drawn("figure_5", run_of(trained("kawhi", provenance="measured"), gpu_hours=1.0, step_seconds=steps))
    assert widths(made.figure) == pytest.approx({0: 21.0})
    assert " 21 s [20, 22]" in texts(made.figure.axes[1])


def test_parts_are_medians_where_they_are_known_by_step() -> None:
    content = timing_record("kawhi", steps=4)
    curves = {"timing_s/step": [9.0, 2.0, 3.0, 10.0], "timing_s/gen": [5.0, 1.0, 1.5, 8.0]}
    content["run"] |= {"step_timing_s": curves, "step_seconds": curves["timing_s/step"]}
    (panel,) = timed(parsed([content]))
    found = seconds(panel.series[0])
    assert (found["step"], found["gen"]) == (3.0, 1.5)


def test_a_model_that_was_timed_is_not_drawn_from_its_trainings() -> None:
    made = drawn("figure_5", trained("kawhi"), timing_record("kawhi"))
    assert made.files == ("001.json",)


def test_histograms_are_shares_of_all_seeds() -> None:
    contents = [trained("kawhi", rollout=r) for r in range(2)]
    left, right = drawn("weights_and_paragraphs", *contents).figure.axes
    summed = np.sum([content["training"]["weight_histogram"] for content in contents], axis=0)
    heights = np.array([-bar.get_height() for bar in left.patches])
    np.testing.assert_allclose(heights / heights.max(), summed / summed.max())
    assert f"{100 * summed.max() / summed.sum():.0f} %" in texts(left)
    assert len(right.patches) == 10


def test_darker_paragraphs_weigh_more_and_nothing_of_them_is_markup() -> None:
    axes = drawn("figure_6", trained("kawhi")).figure.axes[0]
    blocks = [patch for patch in axes.patches if patch.get_height() > 0.2][:4]
    luminance = [sum(patch.get_facecolor()[:3]) for patch in blocks]
    assert sorted(range(4), key=lambda i: luminance[i]) == [1, 2, 0, 3]
    assert "w = 1.000" in texts(axes)
    assert "α = +0.100" in texts(axes)
    assert "$" in texts(axes)
    assert draw("figure_6", parsed([trained("uniform")])) is None


@pytest.mark.filterwarnings("ignore:Glyph .* missing")
@pytest.mark.parametrize("text", ["x" * 4000, "word " * 900, "图" * 900, "a\n" * 40, "$\\frac{1}{2", ""])
def test_no_paragraph_overflows(text: str) -> None:
    refuse_overlaps(drawn("figure_6", trained("kawhi", text=text)).figure)


def test_each_axis_of_the_radar_spans_equally_many_points() -> None:
    found = ends([[67.9, 42.1, 87.4], [72.2, 46.4, 89.1]])
    assert len({high - low for low, high in found}) == 1
    assert found == [(67, 73), (41, 47), (87, 93)]
    assert "67 to 74" in texts(drawn("radar").figure.axes[0])


def test_colours_are_of_okabe_and_ito_and_no_look_is_used_twice() -> None:
    palette = {"#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7", "#5f5f5f", "#1a1a1a"}
    found = looks([f"method {i}" for i in range(25)])
    assert {to_hex(look["color"]) for look in found.values()} <= palette
    assert len({(look["color"], str(look["linestyle"])) for look in found.values()}) == 27
