"""Stage ``evaluate``, with stand-ins for the process that generates a benchmark and for its judge."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from kawhi.base.checkout import resolve_package_paths
from kawhi.base.errors import CellError
from kawhi.base.rundir import RunDirectory
from kawhi.evaluation import evaluate as module
from kawhi.evaluation.evaluate import evaluate, main
from kawhi.evaluation.responses_again import ORIGIN, without_verdict
from kawhi.evaluation.results import GENERATION, SCORE, samples_of, score_of
from kawhi.runs.cell_folders import place_of
from tests.evaluation.made import (
    MADE,
    OTHER_JUDGE,
    TINY,
    asked_for,
    judging,
    known,
    made_cell,
    of,
    responses,
    write_generated,
)


@pytest.fixture
def world(monkeypatch):
    """What was done, in order; ``generates`` and ``judges`` say what comes of it, by benchmark and by sample."""
    known(monkeypatch)
    world = SimpleNamespace(done=[], generates={}, judges=lambda sample: "1", commands=[])

    def run(command, *, stdout, **_):
        folder = RunDirectory(Path(command[3]))
        world.done.append(f"generate {folder.task}")
        world.commands.append(command)
        what = world.generates.get(folder.task, 0)
        if what == 0:
            write_generated(folder.path, [without_verdict(each) for each in responses()[folder.task]])
        elif isinstance(what, str):
            stdout.write(what.encode())
        return SimpleNamespace(returncode=1 if isinstance(what, str) else what or 0)

    @contextmanager
    def judged(block, **_):
        world.done.append(f"judge {block and block['name']}")
        yield block and block["name"]

    def score(folder, benchmark, judge):
        world.done.append(f"score {benchmark.name}")
        return judging(world.judges)(folder, benchmark, judge)

    monkeypatch.setattr(module.subprocess, "run", run)
    monkeypatch.setattr(module, "judging", judged)
    monkeypatch.setattr(module, "score", score)
    return world


def evaluated(config):
    """The folders of a cell once it was evaluated."""
    place = asked_for(config)
    place.run.log("x").parent.mkdir(exist_ok=True)
    evaluate(config, place.run, place.evaluations)
    return place


def test_every_benchmark_is_generated_before_any_is_judged(tmp_path, world):
    config = made_cell(tmp_path)
    place = evaluated(config)
    generated, scored = [f"generate {TINY}", f"generate {MADE}"], [f"score {TINY}", "judge first", f"score {MADE}"]
    assert world.done == [*generated, *scored]
    for each in place.evaluations:
        for stage in ("generate", "score"):
            assert json.loads(each.stage(stage).read_text())["seconds"] >= 0
    assert score_of(of(place, MADE))["score"] == pytest.approx(85.714, abs=1e-3)
    module_and_model = [["-m", "kawhi.evaluation.generate", str(each.path)] for each in place.evaluations]
    assert [command[1:4] for command in world.commands] == module_and_model
    assert {command[4] for command in world.commands} == {resolve_package_paths(config.model.path)}


def test_what_has_a_score_is_not_done_again(tmp_path, world):
    config = made_cell(tmp_path)
    evaluated(config)
    world.done.clear()
    evaluated(config)
    assert world.done == []


def test_a_trained_model_is_the_merged_one(tmp_path, world):
    config = made_cell(tmp_path, "study=training", tasks=[TINY])
    place_of(config).run.merged.mkdir(parents=True)
    place = evaluated(config)
    assert world.commands[0][4] == str(place.run.merged)


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("Traceback\nCellError: the data file x does not exist\n", "kawhi_tiny: the data file x does not exist (log: "),
        (-9, "generating kawhi_tiny was ended by signal 9 (log: "),
        (None, "generating kawhi_tiny ended without a result (log: "),
    ],
)
def test_a_benchmark_that_fails_does_not_hold_up_the_others(tmp_path, world, what, sentence):
    config = made_cell(tmp_path)
    world.generates = {TINY: what}
    with pytest.raises(CellError) as refused:
        evaluated(config)
    place = asked_for(config)
    assert str(refused.value) == f"{sentence}{place.run.log(f'generate-{TINY}')})"
    assert score_of(of(place, MADE)) is not None
    assert score_of(of(place, TINY)) is None
    world.generates = {}
    world.done.clear()
    evaluated(config)
    assert world.done == [f"generate {TINY}", f"score {TINY}"]


def test_a_benchmark_that_cannot_be_judged_does_not_hold_up_the_others(tmp_path, world):
    config = made_cell(tmp_path)
    world.judges = lambda sample: "nonsense"
    with pytest.raises(CellError, match=r"^6 samples of kawhi_made have no verdict$"):
        evaluated(config)
    place = asked_for(config)
    assert score_of(of(place, TINY)) is not None
    assert not of(place, MADE).stage("score").exists()
    world.judges = lambda sample: "0"
    world.done.clear()
    evaluated(config)
    assert world.done == ["judge first", f"score {MADE}"]  # nothing is generated again


def test_every_failure_is_told(tmp_path, world):
    world.generates = {TINY: -9}
    world.judges = lambda sample: "nonsense"
    with pytest.raises(CellError, match=r"ended by signal 9 .*; 6 samples of kawhi_made have no verdict"):
        evaluated(made_cell(tmp_path))


def test_another_judge_is_asked_about_the_same_responses(tmp_path, world):
    first = of(evaluated(made_cell(tmp_path)), MADE)
    world.done.clear()
    world.judges = lambda sample: "0"
    second = of(evaluated(made_cell(tmp_path, judge=OTHER_JUDGE)), MADE)
    assert world.done == ["judge second", f"score {MADE}"]
    assert second.evaluated == first.evaluated
    assert [each.response for each in samples_of(second)] == [each.response for each in samples_of(first)]
    assert json.loads((second.path / ORIGIN).read_text()) == {"from": first.path.name}
    assert [score_of(each)["score"] for each in (first, second)] == [pytest.approx(85.714, abs=1e-3), 0.0]
    assert not second.stage("generate").exists()  # which took no time


def test_another_decoding_is_generated_anew_and_another_benchmark_alone(tmp_path, world):
    first = evaluated(made_cell(tmp_path, tasks=[TINY]))
    world.done.clear()
    both = evaluated(made_cell(tmp_path))
    assert both.run == first.run
    assert world.done == [f"generate {MADE}", "judge first", f"score {MADE}"]
    world.done.clear()
    evaluated(made_cell(tmp_path, "evaluation.seed=7", tasks=[TINY]))
    assert world.done == [f"generate {TINY}", f"score {TINY}"]


def test_responses_that_were_cut_off_while_being_copied_are_copied_again(tmp_path, world):
    first = of(evaluated(made_cell(tmp_path)), MADE)
    second = of(asked_for(made_cell(tmp_path, judge=OTHER_JUDGE)), MADE)
    (second.path / ORIGIN).write_text("{}")
    (second.path / "samples.parquet").write_text("half")
    world.done.clear()
    evaluated(made_cell(tmp_path, judge=OTHER_JUDGE))
    assert world.done == ["judge second", f"score {MADE}"]
    assert len(samples_of(second)) == len(samples_of(first))


def test_the_stage_s_words_are_the_run_and_its_evaluations_and_a_failure_is_one_sentence(tmp_path, world, capsys):
    place = asked_for(made_cell(tmp_path))
    place.run.log("x").parent.mkdir()
    main(str(place.run.path), of(place, TINY).path.name)
    assert world.done == [f"generate {TINY}", f"score {TINY}"]
    assert not (of(place, MADE).path / GENERATION).exists()
    world.judges = lambda sample: "nonsense"
    with pytest.raises(SystemExit) as ended:
        main(str(place.run.path), *(each.path.name for each in place.evaluations))
    assert ended.value.code == 1
    assert capsys.readouterr().err == "CellError: 6 samples of kawhi_made have no verdict\n"
    assert not (of(place, MADE).path / SCORE).exists()


def test_a_judged_benchmark_without_a_judge_has_no_score(tmp_path, world, monkeypatch):
    monkeypatch.undo()
    known(monkeypatch)
    place = asked_for(made_cell(tmp_path, judge=None))
    write_generated(of(place, MADE).path, responses()[MADE])
    write_generated(of(place, TINY).path, responses()[TINY])
    with pytest.raises(CellError, match="kawhi_made is decided by a judge and none is configured: set judge="):
        evaluate(made_cell(tmp_path, judge=None), place.run, place.evaluations)
    assert score_of(of(place, TINY)) is not None
