"""What a job of a cluster runs: one cell, or the evaluations of one model, each way of evaluating it for itself."""

from __future__ import annotations

import json

import pytest

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.runs import cell as cell_module
from kawhi.runs import execute
from kawhi.runs.cell import save_evaluations
from kawhi.runs.cell_folders import Place, cells_of, place_of
from kawhi.runs.stages import StageFailed, Stopped
from tests.cells import cell

GATE = "+gate.scores={tiny-qwen2.5-vl: {kawhi_tiny: 40}}"
TEMPERATURES = (0.0, 0.5)


@pytest.fixture
def places(tmp_path) -> list[Place]:
    """An untrained model that is to be evaluated in two ways."""
    found = []
    for temperature in TEMPERATURES:
        asked = cell(tmp_path, "study=baseline", f"evaluation.temperature={temperature}")
        found.append(place_of(asked))
        found[-1].run.save_config(asked)
        save_evaluations(asked, found[-1])
    assert found[0].run == found[1].run
    return found


@pytest.fixture
def stages(monkeypatch):
    """Records of evaluations without a model; ``fails`` has the error of a temperature."""
    fails: dict[float, CellError] = {}

    def run_module(asked, run, *, stage, module, words):
        if error := fails.get(asked.evaluation.temperature):
            raise error
        for name in words:
            found = run.evaluation(name)
            write_json(found.path / "score.json" if stage == "evaluate" else found.record, {})

    monkeypatch.setattr(cell_module, "run_module", run_module)
    monkeypatch.setattr(cell_module, "_add_memory", lambda marker, ended: None)
    return fails


def run(places: list[Place], *more: str) -> int:
    names = [each.path.name for place in places for each in place.evaluations]
    return execute.main([str(places[0].run.path), "evaluate", "--evaluations", *names, *more])


def status(place: Place) -> dict:
    return json.loads(place.run.status.read_text())


def test_evaluations_that_differ_in_their_benchmark_alone_are_one_cell_s(tmp_path, places):
    asked = cell(tmp_path, "study=baseline")
    asked.benchmarks.append({**asked.benchmarks[0], "seed": 7})
    both = place_of(asked)
    save_evaluations(asked, both)
    one, other = cells_of([*both.evaluations, *places[1].evaluations])
    assert (one.benchmarks, other.benchmarks) == (asked.benchmarks, asked.benchmarks[:1])
    assert [each.evaluation.temperature for each in (one, other)] == [asked.evaluation.temperature, 0.5]


def test_two_ways_of_evaluating_a_model_are_both_run(places, stages):
    assert run(places) == 0
    assert all(place.done for place in places)
    assert status(places[0])["stage"] == "done"


@pytest.mark.parametrize("failing", [0, 1])
def test_one_that_fails_does_not_hold_up_the_other(places, stages, capsys, failing):
    stages[TEMPERATURES[failing]] = StageFailed("evaluate failed: no such words", 7)
    assert run(places) == 7
    assert [place.done for place in places] == [failing != 0, failing != 1]
    assert "error: evaluate failed: no such words" in capsys.readouterr().err
    told = status(places[0])
    assert (told["stage"], told["reason"]) == ("failed", "evaluate failed: no such words"), "whichever came last"
    stages.clear()
    assert run(places) == 0
    assert status(places[0])["stage"] == "done"


def test_what_may_succeed_later_is_tried_again_though_another_way_failed(places, stages):
    stages |= {0.0: StageFailed("bad", 7), 0.5: StageFailed("busy", 75)}
    assert run(places) == 75


def test_a_job_that_is_asked_to_stop_begins_nothing_more(places, stages):
    stages[TEMPERATURES[0]] = Stopped("in evaluate")
    assert run(places) == 75
    assert not any(place.done for place in places)
    assert status(places[0])["stage"] == "stopped"


@pytest.fixture
def training(tmp_path, monkeypatch) -> Place:
    """A training behind a gate; what would train it does nothing."""
    asked = cell(tmp_path, GATE)
    place = place_of(asked)
    place.run.save_config(asked)
    monkeypatch.setattr(execute, "run_cell", lambda asked, part: None)
    return place


def gate(folder, *scores: float) -> list[str]:
    """Evaluations of the untrained model, one for each temperature; as many as there are scores have records."""
    found = []
    for i, temperature in enumerate(TEMPERATURES):
        asked = cell(folder, GATE, "study=baseline", f"evaluation.temperature={temperature}")
        place = place_of(asked)
        save_evaluations(asked, place)
        (evaluation,) = place.evaluations
        if i < len(scores):
            write_json(evaluation.record, {"result": {"problems": 1000, "score": scores[i]}})
        found.append(str(evaluation.path))
    return found


def test_a_training_waits_for_every_way_of_evaluating_the_untrained_model(tmp_path, training, capsys):
    def train(*scores: float) -> int:
        return execute.main([str(training.run.path), "train", "--baseline", *gate(tmp_path, *scores)])

    assert train(44.0) == 1
    assert "the untrained model was not evaluated: " in status(training)["reason"]
    assert train(44.0, 50.0) == 1
    assert "on kawhi_tiny: 50.00 is outside" in status(training)["reason"]
    capsys.readouterr()
    assert train(44.0, 43.0) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(" is in ")[0] for line in told] == [
        "tiny-qwen2.5-vl on kawhi_tiny: 44.00",
        "tiny-qwen2.5-vl on kawhi_tiny: 43.00",
    ]
