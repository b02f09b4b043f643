"""Credit over a training: what is read, and that what is drawn are these numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kawhi.base.rundir import RunDirectory
from kawhi.explain.course import curve, of_the_step, over_steps, read_course
from kawhi.explain.page import render
from kawhi.explain.training_step import explain_run
from tests.explain.conftest import own_signals, record


@pytest.fixture
def course(tor_run):
    return read_course(RunDirectory(tor_run.path), 2)


def kept(run, step: int) -> dict:
    return json.loads((run.path / "train" / "tokens" / f"{step:06d}.json").read_text())


def test_every_step_that_was_kept_is_read(tor_run, course):
    assert course.steps == [1, 2, 5]
    assert (course.uncertainty, course.perception) == ("nucleus_entropy", "logp_diff")
    assert curve(course, "weighted", "logp_diff") == [
        kept(tor_run, step)["all"]["weighted"]["logp_diff"] for step in (1, 2, 5)
    ]
    assert read_course(RunDirectory(tor_run.path), 3) is None


def test_lines_and_points_are_the_means(course):
    push, uncertainty, perception, kinds, weights = over_steps(course).axes
    for axes, name in ((uncertainty, "nucleus_entropy"), (perception, "logp_diff")):
        for line, how in zip(axes.lines, ("mean", "weighted"), strict=False):
            np.testing.assert_allclose(line.get_xydata(), np.array([course.steps, curve(course, how, name)]).T)
    expected = np.array([curve(course, "mean", name) for name in ("nucleus_entropy", "logp_diff")]).T
    np.testing.assert_allclose(push.lines[0].get_xydata(), expected)
    np.testing.assert_allclose(push.lines[1].get_xydata(), expected[1:2])  # the ring is step 2
    both = kinds.lines[2].get_ydata(), kinds.lines[3].get_ydata()
    for shown, how in zip(both, ("weighted", "mean"), strict=True):
        np.testing.assert_allclose(shown, 100 * np.array(curve(course, how, "both")))
    counts = np.array([step["histograms"]["weight"]["counts"] for step in course.kept])
    shown = np.asarray(weights.collections[0].get_array()).reshape(counts.T.shape)
    np.testing.assert_allclose(shown**2, (counts / counts.sum(axis=1, keepdims=True)).T)


def test_histograms_are_of_the_step_and_bars_of_difficulties_add_up(tor_run, course):
    panels = of_the_step(course).axes
    own = kept(tor_run, 2)
    for axes, name in zip(panels, ("nucleus_entropy", "logp_diff", "weight"), strict=False):
        counts = np.array(own["histograms"][name]["counts"])
        heights = [bar.get_height() for bar in axes.patches]
        assert heights == pytest.approx(counts / counts.sum())
    assert [label.get_text() for label in panels[-1].get_yticklabels()] == ["2 of 3"]
    assert sum(bar.get_width() for bar in panels[-1].patches) == pytest.approx(100, abs=1e-3)


def test_a_method_that_asks_nothing_of_the_image_has_no_plane(tmp_path):
    run = own_signals(record(tmp_path, "credit=ft_rl", steps=(1,)))
    found, _ = explain_run(run.path)
    assert (found.course.uncertainty, found.course.perception) == ("entropy", None)
    assert [axes.get_title(loc="left") for axes in over_steps(found.course).axes] == [
        "mean entropy",
        "tokens by weight",
    ]
    assert [axes.get_title(loc="left") for axes in of_the_step(found.course).axes][
        -1
    ] == "mean weight, by right answers"
    assert "larger for later ones" not in render(found)


def test_the_page_has_the_numbers_of_every_step(tor_run):
    found, _ = explain_run(tor_run.path, 5)
    page = render(found)
    assert "All tokens of step 5" in page
    for value in curve(found.course, "weighted", "nucleus_entropy"):
        assert f"<td>{value:.3f}</td>" in page


def test_a_run_that_kept_no_tokens_has_no_such_section(training_run):
    found, _ = explain_run(training_run.path, 1)
    assert found.course is None
    assert "Credit over the training" not in render(found)
