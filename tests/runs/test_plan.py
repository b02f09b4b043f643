"""``kawhi plan``: what would run, for how long, and what is done; nothing is started."""

from __future__ import annotations

import shlex

import pytest

from kawhi.base.files import write_json
from kawhi.commands.cli import main
from kawhi.runs.cell import save_evaluations
from kawhi.runs.cell_folders import place_of
from kawhi.runs.composing import compose_cells
from kawhi.runs.plan import make_plan
from kawhi.runs.verl_command import command
from tests.cells import CONF, cell, finish, status_file


@pytest.fixture(autouse=True)
def published(tmp_path, monkeypatch):
    """A folder in the place of the published records; there is none of it until a test makes it."""
    monkeypatch.setattr("kawhi.base.checkout.PUBLISHED", tmp_path / "published" / "records")
    return tmp_path / "published" / "records"


def paths(folder) -> list[str]:
    return [f"paths.{name}={folder / name}" for name in ("runs", "records", "data")]


def test_cells_with_their_commands_and_where_they_stand(tmp_path):
    asked = ["experiment=efficiency", *paths(tmp_path)]
    (uniform, kawhi), _ = compose_cells(CONF, asked)
    write_json(place_of(uniform).run.record, {})
    first, second = make_plan(CONF, asked)
    assert (first.label, first.state, first.fate) == ("GRPO", "done", "done")
    assert (second.label, second.state, second.fate) == ("GRPO + KAWHI", "waiting", "missing")
    assert second.device_hours == pytest.approx(10 * kawhi.scale.step_seconds.seconds / 3600)
    assert second.source == kawhi.scale.step_seconds.source
    words = shlex.split(second.command)
    run = place_of(kawhi).run
    data = tmp_path / "data" / "tiny"
    (train,) = [w.split("=", 1)[1].strip("'") for w in words if w.startswith("data.train_files=")]
    (validation,) = [w.split("=", 1)[1].strip("'") for w in words if w.startswith("data.val_files=")]
    assert train.startswith(str(data / "train-640x168px"))
    expected = command(kawhi, train_file=train, validation_file=validation, checkpoints=run.checkpoints)
    assert words[-len(expected) :] == expected
    assert "VERL_ENGINE_VENDOR=kawhi" in words
    assert not data.exists(), "a plan draws nothing"


def test_measured_seconds_are_taken_where_there_are_some(tmp_path, published):
    asked = ["experiment=efficiency", *paths(tmp_path)]
    record = {
        "config": {"scale": {"name": "cpu"}, "algorithm": {"name": "grpo", "equations": "verl", "recipe": None}},
        "model": {"name": "tiny-qwen2.5-vl"},
        "algorithm": "grpo",
        "credit": {"name": "kawhi"},
        "data": "tiny",
        "run": {"timing_s": {"timing_s/step": 36.0}},
    }
    write_json(tmp_path / "records" / "one.json", record)
    write_json(tmp_path / "records" / "baseline.json", {"study": "baseline"})
    uniform, kawhi = make_plan(CONF, asked)
    assert kawhi.device_hours == pytest.approx(0.1)
    assert kawhi.source == "measured: one.json"
    assert "measured:" not in uniform.source
    other = record | {"credit": {"name": "uniform"}, "run": {"timing_s": {"timing_s/step": 18.0}}}
    for name, content in {"newer": record, "other": other}.items():
        write_json(published / f"{name}.json", content)
    uniform, kawhi = make_plan(CONF, asked)
    assert kawhi.source == "measured: one.json", "what was measured here comes before what was published"
    assert uniform.device_hours == pytest.approx(0.05)
    assert uniform.source == "measured: published/other.json"


def test_at_full_scale_data_that_is_not_there_is_named(tmp_path, capsys):
    assert main(["plan", "experiment=main_table", "scale=h200x8", *paths(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "17 cells, 0 done, 0 queued or running, 17 missing" in shown
    assert shown.count("needs `kawhi prepare geo3k`") == 15
    assert shown.count("kawhi.verl_plugin.main") == 15
    assert shown.count("no verl command") == 2
    assert "15 trainings, 0 done; 68 evaluations, 0 done" in shown
    # 60 steps on 8 GPUs: 521 s a step, 540.6 s with KAWHI; DAPO trains on twice the responses and samples each twice,
    # which half of a step goes to; VPPO needs one more pass
    seconds = 6 * 521 + 1.1 * 521 + 4 * 540.6 + 2 * 2 * 1.5 * (521 + 540.6)
    assert f"GPU-hours of training: {seconds * 60 * 8 / 3600:.2f} in all" in shown
    # of 17 models: MathVista three times, all judged but WeMath
    samples = {"judged": 3 * 1000 + 3940 + 304, "by rule": 1740}
    seconds = 17 * (samples["judged"] * 1.5 + samples["by rule"] * 1.0)
    assert f"GPU-hours of evaluation: {seconds / 3600:.2f} in all, {seconds / 3600:.2f} still to do" in shown
    assert "paper sec. 4.5" in shown


def test_cells_that_somebody_works_on_are_not_missing(tmp_path, capsys):
    asked = ["experiment=efficiency", *paths(tmp_path)]
    (uniform, kawhi), _ = compose_cells(CONF, asked)
    status_file(place_of(uniform).run.path, "train", step=3, reward=0.5, first_step=1, first_time=60.0)
    status_file(place_of(kawhi).run.path, "failed", reason="train failed: ValueError: bad")
    with place_of(uniform).run.locked():
        assert main(["plan", "--short", *asked]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("experiment=efficiency")
    assert "2 cells, 0 done, 1 queued or running, 1 missing" in shown
    assert [line.split()[-1] for line in shown.splitlines()[3:5]] == ["train", "failed"]
    assert "missing: failed" in shown
    assert "kawhi.verl_plugin.main" not in shown, "without the command lines"
    assert "device-hours of training" in shown


def test_where_nothing_is_trained_no_times_are_promised(tmp_path, capsys):
    assert main(["plan", "--short", "study=baseline", *paths(tmp_path)]) == 0
    *_, training, evaluation = capsys.readouterr().out.splitlines()
    assert training == "device-hours of training: 0.00 in all, 0.00 still to do"
    assert evaluation == "device-hours of evaluation: 0.02 in all, 0.02 still to do"  # 1000 samples of 0.07 s


def plan_of(words, capsys) -> list[str]:
    capsys.readouterr()
    assert main(["plan", "--short", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_trainings_and_evaluations_are_counted_apart_each_once(tmp_path, capsys):
    """Four cells of two trainings, each of which is evaluated in two ways."""
    words = ["credit=uniform,kawhi", "evaluation.temperature=0,0.5", *paths(tmp_path)]
    cells, _ = compose_cells(CONF, words)
    uniform, hot, kawhi, _ = places = [*map(place_of, cells)]
    assert len({place.run for place in places}) == 2
    one = 2 * cells[0].steps * cells[0].scale.step_seconds.seconds / 3600
    lines = plan_of(words, capsys)
    assert lines[1] == "2 trainings, 0 done; 4 evaluations, 0 done"
    assert "0 done, 0 queued or running, 4 missing" in lines[0]
    assert f"device-hours of training: {one:.2f} in all, {one:.2f} still to do" in lines

    for record in uniform.records:
        write_json(record, {})
    lines = plan_of(words, capsys)
    assert "1 done, 0 queued or running, 3 missing" in lines[0]
    assert lines[1] == "2 trainings, 1 done; 4 evaluations, 1 done"
    stand = [line.split("  ")[-1] for line in lines[3:7]]
    assert stand == ["done", "missing: trained, 1 of 1 evaluations missing", "missing", "missing"]
    assert f"device-hours of training: {one:.2f} in all, {one / 2:.2f} still to do" in lines

    save_evaluations(cells[1], hot)
    status_file(hot.run.path, "failed", reason="evaluate failed: no")
    status_file(kawhi.run.path, "failed", reason="train failed: no")
    lines = plan_of(words, capsys)
    stand = [line.split("  ")[-1] for line in lines[3:7]]
    assert stand == ["done", "missing: failed, 1 of 1 evaluations missing", "missing: failed", "missing: failed"]
    assert lines[1] == "2 trainings, 1 done; 4 evaluations, 1 done", "what failed is not the training"


JUDGED = ("benchmarks=tor", "judge=endpoint", "judge.model=one", "judge.base_url=http://127.0.0.1:9/v1")


@pytest.mark.parametrize(("study", "said"), [("training", "trained, "), ("baseline", "")])
def test_of_several_evaluations_the_missing_ones_are_counted(tmp_path, capsys, study, said):
    words = [*JUDGED, f"study={study}", *paths(tmp_path)]
    (asked,), _ = compose_cells(CONF, words)
    place = place_of(asked)
    number = len(place.evaluations)
    assert plan_of(words, capsys)[3].endswith("  missing")
    if study == "training":
        write_json(place.run.record, {})
    write_json(place.evaluations[0].record, {})
    lines = plan_of(words, capsys)
    assert lines[3].endswith(f"  missing: {said}{number - 1} of {number} evaluations missing")
    assert lines[1].endswith(f"; {number} evaluations, 1 done")


def test_an_untrained_model_that_was_evaluated_otherwise_is_missing(tmp_path, capsys):
    words = ["study=baseline", *paths(tmp_path)]
    other = cell(tmp_path, "study=baseline", "evaluation.temperature=0.5")
    save_evaluations(other, finish(other))
    lines = plan_of(words, capsys)
    assert lines[1] == "0 trainings, 0 done; 1 evaluations, 0 done"
    assert lines[3].endswith("  missing")


def test_what_several_tables_share_is_counted_once_before_its_data_are_there(tmp_path, capsys):
    """Tables 1 and 3 train GRPO and GRPO + KAWHI; table 3's two benchmarks are among table 1's four."""
    tables = ("experiment=main_table", "experiment=ablation_table")
    alone = [plan_of([table, "scale=h200x8", *paths(tmp_path)], capsys)[1] for table in tables]
    assert alone == ["15 trainings, 0 done; 68 evaluations, 0 done", "10 trainings, 0 done; 20 evaluations, 0 done"]
    lines = plan_of([*tables, "scale=h200x8", *paths(tmp_path)], capsys)
    assert lines[1] == "23 trainings, 0 done; 84 evaluations, 0 done"
    assert sum("needs `kawhi prepare geo3k`" in line for line in lines) == 25
    assert any(" main_table: " in line for line in lines)
    assert any(" ablation_table: " in line for line in lines)
