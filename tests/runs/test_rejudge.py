"""A run judged again by a stand-in for the judge: no request is sent, everything else is real."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.rundir import RunDirectory
from kawhi.evaluation.responses_again import without_verdict
from kawhi.evaluation.results import samples_of, score_of
from kawhi.evaluation.samples import read_images
from kawhi.runs import rejudge as module
from kawhi.runs.cell_folders import place_of
from kawhi.runs.rejudge import judge_config, judge_overrides, rejudge
from tests.evaluation.made import JUDGE, MADE, OTHER_JUDGE, TINY, judging, known, make_run, of, responses

SECOND = OmegaConf.create(OTHER_JUDGE)


@pytest.fixture(autouse=True)
def verdict(monkeypatch):
    """What the judge says of a sample; set ``verdict.of`` to something else."""
    known(monkeypatch)
    verdict = SimpleNamespace(of=lambda sample: "1")
    monkeypatch.setattr(module, "preflight", lambda block: None)
    monkeypatch.setattr(module, "judging", lambda judge, log: nullcontext(judge.name))
    monkeypatch.setattr(module, "score_samples", lambda *given: judging(verdict.of)(*given))
    return verdict


def all_right(place, judge=SECOND):
    return rejudge(place.evaluations, judge)


def files(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name != ".lock"
    }


def test_another_judge_makes_another_evaluation_and_leaves_the_first_alone(tmp_path):
    place = make_run(tmp_path)
    before = files(place.run.path)
    done = all_right(place)
    assert not done.already
    (target,) = done.evaluations  # of the benchmark that a judge decides
    assert target.path.parent == of(place, MADE).path.parent
    assert {name: its for name, its in files(place.run.path).items() if target.path.name not in name} == before
    assert done.scores == {MADE: (pytest.approx(35.714, abs=1e-3), pytest.approx(85.714, abs=1e-3))}
    assert place_of(target.load_config()).evaluations == (target,)
    assert target.load_config().judge == OTHER_JUDGE


def test_its_command_is_that_of_the_first_with_the_other_judge(tmp_path):
    place = make_run(tmp_path)
    write_json(of(place, MADE).overrides, ["steps=3", "judge=first", "judge.seed=1"])
    words = judge_overrides("second", ["seed=2", "judge.model=x y"])
    (target,) = rejudge(place.evaluations, SECOND, words).evaluations
    said = json.loads(target.record.read_text())["command"]
    assert said == "python experiments/run.py steps=3 judge=second judge.seed=2 'judge.model=x y'"


def test_responses_images_and_generation_files_are_those_of_the_first(tmp_path):
    place = make_run(tmp_path)
    first = of(place, MADE)
    (first.path / "judge").mkdir()
    (first.path / "judge" / "0123.jsonl").write_text("{}\n")
    (target,) = all_right(place).evaluations
    assert [*map(without_verdict, samples_of(first))] == [*map(without_verdict, samples_of(target))]
    assert read_images(target.path / "images.parquet") == read_images(first.path / "images.parquet")
    assert (target.path / "responses.jsonl").read_text() == "{}\n"
    assert not (target.path / "judge").exists()
    asked = [sample for sample in samples_of(target) if sample.replies]
    assert len(asked) == 6
    assert {sample.replies[0].judge for sample in asked} == {"second"}


def test_the_record_is_that_of_the_other_judge(tmp_path):
    place = make_run(tmp_path)
    (target,) = all_right(place).evaluations
    record = json.loads(target.record.read_text())
    assert record["config"]["judge"]["model"] == OTHER_JUDGE["model"]
    assert record["result"]["score"] == pytest.approx(85.714, abs=1e-3)
    name = f"{place.run.path.name}_{target.path.name}.json"
    assert json.loads((tmp_path / "records" / name).read_text()) == record


def test_what_was_judged_so_is_left_alone(tmp_path):
    place = make_run(tmp_path)
    done = all_right(place)
    before = files(place.run.path)
    again = all_right(place)  # nothing is made or asked
    assert (again.already, again.evaluations) == (True, done.evaluations)
    assert files(place.run.path) == before
    assert all_right(place, OmegaConf.create(JUDGE)).already


def test_the_same_command_goes_on_after_the_judge_failed(tmp_path, verdict):
    place = make_run(tmp_path)
    verdict.of = lambda sample: "nonsense" if sample.id == "3" else "1"
    with pytest.raises(CellError, match="1 samples of kawhi_made have no verdict"):
        all_right(place)
    (target,) = set(place.run.evaluations()) - {*place.evaluations}
    assert not target.record.exists()
    assert score_of(target) is None
    asked = []
    verdict.of = lambda sample: asked.append(sample) or "0"
    done = all_right(place)
    assert done.evaluations == [target]
    assert done.scores[MADE][1] == 0
    assert {each.verdict for each in asked} == {"right", "error"}  # not cleared again: what is judged stays


def test_an_interruption_while_copying_is_made_good(tmp_path, monkeypatch):
    place = make_run(tmp_path)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("kawhi.evaluation.responses_again.write_samples", stop)
        with pytest.raises(KeyboardInterrupt):
            all_right(place)
    (target,) = set(place.run.evaluations()) - {*place.evaluations}
    assert all_right(place).evaluations == [target]
    assert target.record.exists()


def test_what_no_judge_could_score_can_be_judged(tmp_path):
    place = make_run(tmp_path, judge=JUDGE)
    (of(place, MADE).path / "score.json").unlink()
    of(place, MADE).record.unlink()
    assert all_right(place).scores[MADE] == (None, pytest.approx(85.714, abs=1e-3))
    with pytest.raises(CellError, match="has this judge already but is not finished"):
        all_right(place, OmegaConf.create(JUDGE))


def test_a_run_that_was_moved_writes_beside_itself(tmp_path):
    place = make_run(tmp_path / "old")
    shutil.move(tmp_path / "old", tmp_path / "new")
    run = RunDirectory(tmp_path / "new" / place.run.path.relative_to(tmp_path / "old"))
    (target,) = rejudge(run.evaluations(), SECOND).evaluations
    assert target.evaluated == run
    assert (tmp_path / "new" / "records" / f"{run.path.name}_{target.path.name}.json").exists()
    assert not (tmp_path / "old").exists()


def test_one_that_is_at_work_is_not_disturbed(tmp_path):
    place = make_run(tmp_path)
    with place.run.locked(), pytest.raises(CellError, match="another process is running this cell"):
        all_right(place)


def test_unfinished_responses_are_refused_before_anything_is_written(tmp_path):
    place = make_run(tmp_path)
    (of(place, MADE).path / "generation.json").unlink()
    with pytest.raises(CellError, match="does not have all responses: finish it first"):
        all_right(place)
    assert {*place.run.evaluations()} == {*place.evaluations}


def test_a_run_without_a_judged_benchmark_is_refused(tmp_path):
    with pytest.raises(CellError, match=r"no benchmark of .* asks a judge"):
        all_right(make_run(tmp_path, **{TINY: responses()[TINY]}))


@pytest.fixture
def conf(tmp_path):
    folder = tmp_path / "conf" / "judge"
    folder.mkdir(parents=True)
    packed = OmegaConf.create({"judge": JUDGE | {"name": "packed", "model": "${scale.device}"}})
    (folder / "packed.yaml").write_text("# @package _global_\n" + OmegaConf.to_yaml(packed))
    (folder / "plain.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(JUDGE | {"name": "plain"})))
    (folder / "none.yaml").write_text("# @package _global_\njudge: null\n")
    return folder.parent


@pytest.mark.parametrize("name", ["packed", "plain"])
def test_a_judge_is_composed_with_its_overrides(conf, name):
    assert judge_config(conf, name, []).seed == 0
    assert judge_config(conf, name, ["seed=2"]).seed == 2
    assert judge_config(conf, name, ["judge.seed=3"]).name == name


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("none", [], "none is no judge: choose one of packed, plain"),
        ("nobody", [], "there is no judge nobody; conf/judge has none, packed, plain"),
        ("plain", ["m=1"], "the judge plain has no m; it has name, model"),
    ],
)
def test_judges_and_settings_that_do_not_exist_are_refused(conf, name, settings, sentence):
    with pytest.raises(CellError, match=sentence):
        judge_config(conf, name, settings)


def test_a_judge_s_settings_can_refer_to_the_run(conf, tmp_path):
    run = make_run(tmp_path)
    (target,) = all_right(run, judge_config(conf, "packed", [])).evaluations
    assert target.load_config().judge.model == "cpu"
    broken = OmegaConf.create(JUDGE | {"model": "${nothing.here}"})
    with pytest.raises(CellError, match="the judge's settings do not fit this evaluation"):
        all_right(run, broken)
