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
from kawhi.evaluation.results import samples_of, score_of
from kawhi.evaluation.samples import read_images
from kawhi.runs import rejudge as module
from kawhi.runs.places import place_of
from kawhi.runs.rejudge import judge_config, judge_overrides, rejudge, without_verdict
from tests.evaluation.made import JUDGE, MADE, OTHER_JUDGE, TINY, judging, known, make_run, responses

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


def all_right(run, judge=SECOND):
    return rejudge(run, judge)


def files(run):
    return {
        str(file.relative_to(run.path)): file.read_bytes()
        for file in run.path.rglob("*")
        if file.is_file() and file.name != ".lock"
    }


def test_another_judge_makes_another_run_and_leaves_the_first_alone(tmp_path):
    run = make_run(tmp_path)
    before = files(run)
    done = all_right(run)
    assert not done.already
    assert done.run.path != run.path
    assert files(run) == before
    assert done.scores == {TINY: (25.0, 25.0), MADE: (pytest.approx(35.714, abs=1e-3), pytest.approx(85.714, abs=1e-3))}
    assert done.run == place_of(done.run.load_config()).run
    assert done.run.load_config().judge == OTHER_JUDGE


def test_its_command_is_that_of_the_run_with_the_other_judge(tmp_path):
    run = make_run(tmp_path)
    write_json(run.overrides, ["steps=3", "judge=first", "judge.seed=1"])
    words = judge_overrides("second", ["seed=2", "judge.model=x y"])
    target = rejudge(run, SECOND, words).run
    said = json.loads(target.record.read_text())["command"]
    assert said == "python experiments/run.py steps=3 judge=second judge.seed=2 'judge.model=x y'"


def test_responses_images_and_generation_files_are_those_of_the_first(tmp_path):
    run = make_run(tmp_path)
    (run.evaluation(MADE) / "judge").mkdir()
    (run.evaluation(MADE) / "judge" / "0123.jsonl").write_text("{}\n")
    target = all_right(run).run
    for task in (TINY, MADE):
        first, second = samples_of(run, task), samples_of(target, task)
        assert [without_verdict(a) for a in first] == [without_verdict(b) for b in second]
        assert read_images(target.evaluation(task) / "images.parquet") == read_images(
            run.evaluation(task) / "images.parquet"
        )
        assert (target.evaluation(task) / "responses.jsonl").read_text() == "{}\n"
    assert not (target.evaluation(MADE) / "judge").exists()
    asked = [sample for sample in samples_of(target, MADE) if sample.replies]
    assert len(asked) == 6
    assert {sample.replies[0].judge for sample in asked} == {"second"}


def test_the_record_is_that_of_the_other_judge(tmp_path):
    run = make_run(tmp_path)
    target = all_right(run).run
    record = json.loads(target.record.read_text())
    assert record["config"]["judge"]["model"] == OTHER_JUDGE["model"]
    assert record["benchmarks"][MADE]["score"] == pytest.approx(85.714, abs=1e-3)
    assert json.loads((tmp_path / "records" / f"{target.path.name}.json").read_text()) == record
    assert json.loads(target.status.read_text())["stage"] == "done"
    assert all(target.stage(stage).exists() for stage in ("prepare", "evaluate", "record"))


def test_a_run_that_was_judged_so_is_left_alone(tmp_path):
    run = make_run(tmp_path)
    done = all_right(run)
    before = files(done.run)
    again = rejudge(run, SECOND)  # nothing is made or asked
    assert (again.already, again.run.path) == (True, done.run.path)
    assert files(done.run) == before
    assert rejudge(run, OmegaConf.create(JUDGE)).already


def test_the_same_command_goes_on_after_the_judge_failed(tmp_path, verdict):
    run = make_run(tmp_path)
    verdict.of = lambda sample: "nonsense" if sample.id == "3" else "1"
    with pytest.raises(CellError, match="1 samples of kawhi_made have no verdict"):
        all_right(run)
    target = RunDirectory(next(path.parent for path in tmp_path.glob("runs/*/*/rejudged.json")))
    assert not target.record.exists()
    assert score_of(target, MADE) is None
    assert json.loads(target.status.read_text())["stage"] == "failed"
    scored = (target.evaluation(TINY) / "score.json").stat().st_mtime_ns
    asked = []
    verdict.of = lambda sample: asked.append(sample) or "0"
    done = all_right(run)
    assert done.run.path == target.path
    assert done.scores[MADE][1] == 0
    assert (target.evaluation(TINY) / "score.json").stat().st_mtime_ns == scored
    assert {each.verdict for each in asked} == {"right", "error"}  # not cleared again: what is judged stays


def test_an_interruption_while_copying_is_made_good(tmp_path, monkeypatch):
    run = make_run(tmp_path)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("kawhi.runs.rejudge.write_samples", stop)
        with pytest.raises(KeyboardInterrupt):
            all_right(run)
    target = RunDirectory(next(path.parent for path in tmp_path.glob("runs/*/*/rejudged.json")))
    assert json.loads(target.status.read_text())["stage"] == "stopped"
    assert all_right(run).run.path == target.path
    assert target.record.exists()


def test_an_old_run_without_a_judge_in_its_configuration(tmp_path):
    run = make_run(tmp_path, judge=None)
    assert "judge" not in run.load_config()
    assert all_right(run).scores[MADE][1] == pytest.approx(85.714, abs=1e-3)


def test_a_run_that_no_judge_could_score_can_be_judged(tmp_path):
    run = make_run(tmp_path)
    (run.evaluation(MADE) / "score.json").unlink()
    run.stage("evaluate").unlink()
    run.record.unlink()
    assert all_right(run).scores[MADE] == (None, pytest.approx(85.714, abs=1e-3))
    with pytest.raises(CellError, match="has this judge already but is not finished"):
        rejudge(run, OmegaConf.create(JUDGE))


def test_a_run_that_was_moved_writes_beside_itself(tmp_path):
    make_run(tmp_path / "old")
    shutil.move(tmp_path / "old", tmp_path / "new")
    run = RunDirectory(next((tmp_path / "new").glob("runs/*/*/config.yaml")).parent)
    target = all_right(run).run
    assert target.path.parent == run.path.parent
    assert (tmp_path / "new" / "records" / f"{target.path.name}.json").exists()
    assert not (tmp_path / "old").exists()


def test_training_metrics_go_along_and_weights_do_not(tmp_path):
    run = make_run(tmp_path)
    train = run.path / "train"
    for file in ("metrics-0.jsonl", "merge.json", "merged/model.safetensors", "checkpoints/global_step_1/model.pt"):
        (train / file).parent.mkdir(parents=True, exist_ok=True)
        (train / file).write_text("{}")
    target = all_right(run).run
    assert sorted(str(f.relative_to(target.path)) for f in (target.path / "train").rglob("*")) == [
        "train/merge.json",
        "train/metrics-0.jsonl",
    ]


def test_a_copy_that_is_at_work_is_not_disturbed(tmp_path):
    run = make_run(tmp_path)
    target = place_of(all_right(run).run.load_config()).run
    target.record.unlink()
    with target.locked(), pytest.raises(CellError, match="another process is running this cell"):
        all_right(run)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda run: run.stage("prepare").unlink(), "has not finished its stage prepare"),
        (lambda run: (run.evaluation(MADE) / "samples.parquet").unlink(), "has no samples of kawhi_made"),
        (lambda run: set_key(run, "study.name", "timing"), "it has no benchmarks"),
        (lambda run: set_key(run, "benchmarks.1.problems", 5), "has 4 of 5 responses to kawhi_tiny: finish it first"),
    ],
)
def test_a_run_that_cannot_be_judged_is_refused_before_anything_is_written(tmp_path, spoil, sentence):
    samples = responses()
    run = make_run(tmp_path, **{MADE: samples[MADE], TINY: samples[TINY]})
    spoil(run)
    with pytest.raises(CellError, match=sentence):
        all_right(run)
    assert [path.parent for path in tmp_path.glob("runs/*/*/config.yaml")] == [run.path]


def set_key(run, key, value):
    config = run.load_config()
    OmegaConf.update(config, key, value)
    run.save_config(config)


def test_a_run_without_a_judged_benchmark_is_refused(tmp_path):
    with pytest.raises(CellError, match=r"no benchmark of .* asks a judge"):
        all_right(make_run(tmp_path, **{TINY: responses()[TINY]}))


def test_responses_of_two_runs_are_not_mixed(tmp_path):
    run = make_run(tmp_path)
    target = all_right(run).run
    target.record.unlink()
    third = make_run(tmp_path, judge=JUDGE | {"model": "judge-c"})
    with pytest.raises(CellError, match="was begun with the responses of made/"):
        all_right(third)
    (target.path / "rejudged.json").unlink()
    with pytest.raises(CellError, match="is a run of this judge with responses of its own"):
        all_right(run)


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
    assert all_right(run, judge_config(conf, "packed", [])).run.load_config().judge.model == "cpu"
    broken = OmegaConf.create(JUDGE | {"model": "${nothing.here}"})
    with pytest.raises(CellError, match="the judge's settings do not fit this run"):
        all_right(run, broken)
