"""The untrained model has the paper's score, or nothing is trained."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.table_blocks import products
from kawhi.evaluation.task_runs import task_runs
from kawhi.runs import gate
from kawhi.runs.cell import save_evaluations
from kawhi.runs.cell_folders import Place, place_of
from tests.cells import CONF, cell, options

TINY = "+gate.scores={tiny-qwen2.5-vl: {kawhi_tiny: 40}}"


@pytest.mark.parametrize(("paper", "n"), [(67.47, 3000), (23.36, 304), (50.0, 1000)])
def test_two_right_measurements_differ_by_more_than_the_interval_as_often_as_stated(paper, n):
    draws = np.random.default_rng(0).binomial(n, paper / 100, size=(2, 200_000)) * 100 / n
    low, high = gate.interval(paper, n, 0.95)
    outside = np.mean(np.abs(draws[0] - draws[1]) > (high - low) / 2)
    assert outside == pytest.approx(0.05, abs=0.01)
    assert (low + high) / 2 == pytest.approx(paper)


def test_an_interval_stays_within_percent():
    assert gate.interval(0.5, 20, 0.99)[0] == 0
    assert gate.interval(99.5, 20, 0.99)[1] == 100


def baseline_with(folder, score: float):
    asked = cell(folder, "study=baseline", TINY)
    evaluations = place_of(asked).evaluations
    for each in evaluations:
        write_json(each.record, {"result": {"n": 1000, "problems": 1000, "score": score}})
    return asked, evaluations


def test_a_score_inside_passes(tmp_path):
    found = gate.findings(*baseline_with(tmp_path, 44.0))
    assert [finding.passed for finding in found] == [True]
    gate.refuse(found, tmp_path)


@pytest.mark.parametrize("score", [30.0, 50.0])
def test_a_score_outside_stops(tmp_path, score):
    found = gate.findings(*baseline_with(tmp_path, score))
    with pytest.raises(CellError, match=rf"on kawhi_tiny: {score:.2f} is outside \[34.36, 45.64\], paper 40.00"):
        gate.refuse(found, tmp_path)


def test_only_cells_that_train_and_are_evaluated_on_a_known_score_are_gated(tmp_path):
    assert gate.gated(cell(tmp_path, TINY))
    assert not gate.gated(cell(tmp_path))
    for study in ("baseline", "timing", "grounding"):
        assert not gate.gated(cell(tmp_path, TINY, f"study={study}"))
    assert not gate.gated(cell(tmp_path, TINY, "model=tiny_qwen3_vl"))


@pytest.mark.parametrize("benchmarks", sorted(set(options("benchmarks")) - {"tiny", "reading"}))
def test_the_main_model_is_gated_on_every_benchmark_of_the_papers(tmp_path, benchmarks):
    asked = cell(tmp_path, "scale=h200x8", "model=qwen2_5_vl_7b", f"benchmarks={benchmarks}")
    known = asked.gate.scores["qwen2.5-vl-7b"]
    assert set(known) == {benchmark.task for benchmark in asked.benchmarks}


KAWHI = OmegaConf.load(CONF / "benchmarks" / "math.yaml").gate.scores
TOR = OmegaConf.load(CONF / "benchmarks" / "tor.yaml").gate.scores
MAIN, SECOND = "qwen2.5-vl-7b", "qwen3-vl-4b"


def baselines_of(experiment: str, folder: Path) -> list:
    """The untrained models of a table at full scale, each once."""
    parts = OmegaConf.load(CONF / "scale" / "h200x8.yaml").scale.parts
    blocks = products(
        OmegaConf.to_container(OmegaConf.load(CONF / "experiment" / f"{experiment}.yaml").hydra.sweeper.blocks)
    )
    asked = {(parts.model[block["model"]], parts.benchmarks[block["benchmarks"]]) for block in blocks}
    words = [
        ("scale=h200x8", f"model={model}", f"benchmarks={benchmarks}", "study=baseline")
        for model, benchmarks in sorted(asked)
    ]
    return [cell(folder, *each) for each in words]


def measure(baseline, scores: dict[str, float], *, other: float = 50.0) -> Place:
    """The records of an untrained model that has these scores, of as many problems as each benchmark has."""
    place = place_of(baseline)
    for benchmark, each in zip(baseline.benchmarks, place.evaluations, strict=True):
        problems = sum(run.problems for run in task_runs(OmegaConf.to_container(benchmark)))
        write_json(each.record, {"result": {"problems": problems, "score": scores.get(each.task, other)}})
    return place


def stopped(experiment: str, folder: Path, scores: dict[str, dict[str, float]]) -> dict[str, list[str]]:
    """Which models of a table may not be trained, and for which benchmarks."""
    found: dict[str, list[str]] = {}
    for baseline in baselines_of(experiment, folder):
        place = measure(baseline, scores.get(baseline.model.name, {}))
        failed = [each.task for each in gate.findings(baseline, place.evaluations) if each.stops]
        if failed:
            found[baseline.model.name] = failed
    return found


TABLES = (
    "main_table",
    "ablation_table",
    "tor_main",
    "tor_table1",
    "tor_table2",
    "tor_table3",
    "tor_table4",
    "tor_table5",
)


@pytest.mark.parametrize("experiment", TABLES)
@pytest.mark.parametrize("whose", ["KAWHI", "ToR"])
def test_either_paper_s_untrained_model_starts_the_tables_of_both(tmp_path, experiment, whose):
    measured = {name: {**TOR.get(name, {}), **KAWHI.get(name, {})} for name in (MAIN, SECOND)}
    if whose == "ToR":
        measured[MAIN] = {**KAWHI[MAIN], **TOR[MAIN]}
    assert stopped(experiment, tmp_path, measured) == {}


@pytest.mark.parametrize(
    ("benchmarks", "own", "theirs"),
    [("math", ("54.32", "KAWHI"), ("63.10", "ToR")), ("tor", ("63.10", "ToR"), ("54.32", "KAWHI"))],
)
def test_the_other_paper_s_score_is_a_warning_with_its_reason(tmp_path, benchmarks, own, theirs):
    baseline = cell(tmp_path, "scale=h200x8", "model=qwen2_5_vl_7b", f"benchmarks={benchmarks}", "study=baseline")
    place = measure(baseline, {**baseline.gate.scores[MAIN], "kawhi_wemath": float(theirs[0])})
    (found,) = (each for each in gate.findings(baseline, place.evaluations) if not each.passed)
    said, whose = theirs
    assert str(found).startswith(f"{MAIN} on kawhi_wemath: {said} is outside [")
    assert f", paper {own[0]} ({own[1]}); warning: {whose} prints {said} for the same model, and" in str(found)


@pytest.mark.parametrize("experiment", ["main_table", "tor_main"])
def test_a_score_of_neither_paper_stops_its_model_alone(tmp_path, experiment):
    right = {MAIN: {**TOR[MAIN], **KAWHI[MAIN]}, SECOND: dict(KAWHI[SECOND])}
    for task in right[MAIN]:
        wrong = right | {MAIN: right[MAIN] | {task: right[MAIN][task] - 15}}
        asked = {benchmark.task for each in baselines_of(experiment, tmp_path) for benchmark in each.benchmarks}
        assert stopped(experiment, tmp_path, wrong) == ({MAIN: [task]} if task in asked else {})


def test_between_the_papers_there_is_nothing(tmp_path):
    """A score that neither paper's interval has is no one's: 50 is KAWHI's, 72 nobody's."""
    measured = {MAIN: {**TOR[MAIN], **KAWHI[MAIN], "kawhi_wemath": 72.0}, SECOND: dict(KAWHI[SECOND])}
    for experiment in ("main_table", "tor_main"):
        assert stopped(experiment, tmp_path, measured) == {MAIN: ["kawhi_wemath"]}


def test_an_impossible_score_of_the_paper_stops_nothing_and_is_named(tmp_path):
    official = {MAIN: dict(KAWHI[MAIN]), SECOND: {**KAWHI[SECOND], "kawhi_mathvision": 51.6}}
    assert stopped("main_table", tmp_path, official) == {}
    baseline = cell(tmp_path, "scale=h200x8", "model=qwen3_vl_4b", "benchmarks=math", "study=baseline")
    found = {each.task: each for each in gate.findings(baseline, measure(baseline, official[SECOND]).evaluations)}
    assert not found["kawhi_mathvision"].passed
    assert "paper 21.38 (KAWHI); warning: 21.38 is far below the 51.6 " in str(found["kawhi_mathvision"])


@pytest.mark.parametrize(("model", "benchmarks", "counted"), [("qwen2_5_vl_7b", "tor", 5), ("qwen3_vl_4b", "math", 3)])
def test_the_confidence_is_that_of_the_whole_baseline(tmp_path, model, benchmarks, counted):
    baseline = cell(tmp_path, "scale=h200x8", f"model={model}", f"benchmarks={benchmarks}", "study=baseline")
    for found in gate.findings(baseline, measure(baseline, {}).evaluations):
        (entry,) = (each for each in baseline.benchmarks if each.task == found.task)
        problems = sum(run.problems for run in task_runs(OmegaConf.to_container(entry)))
        assert (found.low, found.high) == gate.interval(found.paper, problems, 0.99 ** (1 / counted))


def test_so_many_right_baselines_are_stopped_as_stated():
    """Of a model that has the paper's scores, measured twice on five benchmarks."""
    rng, shares, sizes = (
        np.random.default_rng(0),
        np.array([64.6, 46.2, 63.1, 25.0, 67.5]) / 100,
        (951, 3940, 1740, 3040, 1000),
    )
    paper, ours = (rng.binomial(sizes, shares, size=(4000, 5)) * 100 / sizes for _ in range(2))
    bounds = [[gate.interval(score, n, 0.95 ** (1 / 5)) for score, n in zip(row, sizes, strict=True)] for row in paper]
    low, high = np.moveaxis(np.array(bounds), -1, 0)
    assert np.mean(((ours < low) | (ours > high)).any(axis=1)) == pytest.approx(0.05, abs=0.012)


def test_a_training_s_own_paper_decides_whoever_evaluated_its_model(tmp_path):
    """The untrained model was evaluated in a sweep of ToR's; a training of KAWHI's finds the records and its gate."""
    words = ("scale=h200x8", "model=qwen2_5_vl_7b", "benchmarks=math")
    of_tor = cell(
        tmp_path, *words, "study=baseline", "+gate.scores={qwen2.5-vl-7b: {kawhi_wemath: 63.1}}", "gate.paper=ToR"
    )
    place = measure(of_tor, {**KAWHI[MAIN]})
    save_evaluations(of_tor, place)
    found = gate.findings(cell(tmp_path, *words), place.evaluations)
    assert {each.source for each in found} == {"KAWHI"}
    assert all(each.passed for each in found)


def test_where_two_papers_exclude_each_other_both_files_say_so(tmp_path):
    files = {name: OmegaConf.load(CONF / "benchmarks" / f"{name}.yaml") for name in ("math", "tor")}
    sizes = {
        entry.task: sum(run.problems for run in task_runs(OmegaConf.to_container(entry)))
        for file in files.values()
        for entry in file.benchmarks
    }
    for own, other in itertools.permutations(files.values()):
        for model, task in ((m, t) for m, scores in own.gate.scores.items() for t in scores):
            theirs = other.gate.scores.get(model, {}).get(task)
            low, high = gate.interval(own.gate.scores[model][task], sizes[task], 0.99)
            listed = (own.gate.elsewhere.get(other.gate.paper, {}).get(model) or {}).get(task)
            assert listed == (theirs if theirs is not None and not low <= theirs <= high else None)


def test_what_ships_stops_a_table(tmp_path):
    assert cell(tmp_path).gate.stop is True
