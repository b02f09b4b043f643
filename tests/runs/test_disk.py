"""What stays on the disk of a finished cell, and what a plan says of it before."""

from __future__ import annotations

import json

import pytest
from omegaconf import OmegaConf

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.commands.cli import main
from kawhi.runs import disk
from kawhi.runs.cell_folders import place_of
from kawhi.runs.ranges import validate_ranges
from tests.cells import CONF, cell, finish
from tests.runs.test_checkpoints import kept, save

STAYS = (
    "record.json",
    "train/metrics-0.jsonl",
    "train/steps/000001.json",
    "train/tokens/000001.json",
    "logs/train.log",
    "train/checkpoints.json",
)


@pytest.fixture
def finished(tmp_path):
    """Finishes a cell of some ``keep`` as training, merging and evaluating leave it."""

    def finish_one(*overrides: str, best: int = 1, done: bool = True):
        asked = cell(tmp_path, *overrides)
        place = finish(asked) if done else place_of(asked)
        run = place.run
        run.save_config(asked)
        for number, each in enumerate(place.evaluations):
            each.save_config(asked)
            (each.path / "samples.parquet").write_text(str(number))
        for step in (1, 2):
            save(run.checkpoints, step)
        for name in STAYS[not done :]:
            (run.path / name).parent.mkdir(parents=True, exist_ok=True)
            (run.path / name).write_text("{}")
        write_json(run.checkpoints.with_suffix(".json"), {"saved": [1, 2], "best": best, "last": 2})
        run.merged.mkdir()
        (run.merged / "model.safetensors").write_bytes(b"x" * 1000)
        write_json(run.set_aside / "findings.json", {})
        return run

    return finish_one


def test_the_merged_model_and_the_best_weights_stay(finished):
    run = finished()
    before = disk.free(run, dry=True)
    assert kept(run.checkpoints) == [1, 2]
    assert run.set_aside.exists()
    assert disk.free(run) == before
    assert set(before) == {"checkpoints", "optimiser states", "checkpoints set aside"}
    assert kept(run.checkpoints) == [1]
    left = sorted(file.name for file in (run.checkpoints / "global_step_1").rglob("*") if file.is_file())
    shards = [f"model_world_size_2_rank_{rank}.pt" for rank in (0, 1)]
    assert left == ["config.json", "fsdp_config.json", *shards]
    assert (run.merged / "model.safetensors").exists()
    assert not run.set_aside.exists()
    assert all((run.path / name).exists() for name in STAYS)
    assert len([*run.path.glob("eval/*/samples.parquet")]) == len([*run.path.glob("eval/*/record.json")]) == 1
    assert disk.free(run).total() == 0


def test_the_best_that_is_the_last_is_the_merged_model(finished):
    run = finished(best=2)
    disk.free(run)
    assert kept(run.checkpoints) == []


@pytest.mark.parametrize(
    ("keep", "steps", "merged"),
    [
        (["keep.checkpoints=true"], [1, 2], True),
        (["keep.best=false"], [], True),
        (["keep.merged=false"], [1], False),
    ],
)
def test_what_stays_is_the_configuration_s(finished, keep, steps, merged):
    run = finished(*keep)
    disk.free(run)
    assert kept(run.checkpoints) == steps
    assert run.merged.exists() == merged


def test_the_model_stays_while_an_evaluation_is_missing(finished):
    run = finished("keep.merged=false")
    next(run.path.glob("eval/*/record.json")).unlink()
    disk.free(run)
    assert run.merged.exists()


def test_of_a_cell_without_a_record_nothing_is_removed(finished, monkeypatch, tmp_path, capsys):
    run = finished(done=False)
    with pytest.raises(CellError, match="is not finished, so nothing of it is removed"):
        disk.free(run)
    assert main(["clean", str(run.path)]) == 1
    assert "is not finished" in capsys.readouterr().err
    monkeypatch.setenv("KAWHI_RUNS", str(tmp_path / "runs"))
    assert main(["clean"]) == 0
    assert capsys.readouterr().out == "freed 0.0 MiB of 0 finished cells; 1 left alone\n"
    assert kept(run.checkpoints) == [1, 2]


def test_clean_says_how_much_of_what_and_leaves_alone_what_somebody_works_on(finished, monkeypatch, tmp_path, capsys):
    run = finished()
    monkeypatch.setenv("KAWHI_RUNS", str(tmp_path / "runs"))
    assert main(["clean", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(
        f"{run.path}: checkpoints 0.0 MiB, optimiser states 0.0 MiB, checkpoints set aside 0.0 MiB\n"
    )
    assert told.endswith("would free 0.0 MiB of 1 finished cells; 0 left alone\n")
    with run.locked():
        assert main(["clean"]) == 0
    assert "left alone" in capsys.readouterr().err
    assert kept(run.checkpoints) == [1, 2]
    assert main(["clean", str(run.path)]) == 0
    assert kept(run.checkpoints) == [1]


def test_a_configuration_that_is_older_than_the_rule_has_today_s(finished):
    run = finished()
    config = OmegaConf.load(run.config)
    del config["keep"]
    OmegaConf.save(config, run.config)
    assert disk.rule(run.load_config()) == OmegaConf.load(CONF / "run.yaml").keep
    disk.free(run)
    assert kept(run.checkpoints) == [1]


def test_no_number_depends_on_what_stays(tmp_path):
    assert place_of(cell(tmp_path, "keep.merged=false")).run == place_of(cell(tmp_path)).run
    with pytest.raises(CellError, match=r"keep\.best must be true or false, not 'yes please'"):
        validate_ranges(cell(tmp_path, "keep.best='yes please'"))


def test_fifteen_cells_of_the_paper_s_model_fit_on_two_terabytes(tmp_path):
    asked = cell(tmp_path, "scale=h200x8", "model=qwen2_5_vl_7b", "data=geo3k", "benchmarks=math")
    its = disk.sizes(asked, 8_290_000_000)
    assert round(its.peak / 1e9) == 298
    assert round(its.stays / 1e9) == 50
    assert 15 * its.stays + its.peak < 1.1e12
    assert its.peak / disk.GIB < OmegaConf.load(CONF / "scale" / "h200x8.yaml").scale.needs.disk_gib
    asked.keep.checkpoints = True
    assert 15 * disk.sizes(asked, 8_290_000_000).stays > 2e12
    adapters = disk.sizes(asked, 8_290_000_000, 0)
    assert round(adapters.peak / 1e9) == 99
    asked.study.name = "timing"
    assert disk.sizes(asked, 8_290_000_000).stays == 0


def test_a_plan_says_the_peak_and_what_stays(tmp_path, capsys):
    paths = [f"paths.{name}={tmp_path / name}" for name in ("runs", "records", "data")]
    assert main(["plan", "--short", "ablation=skip_ratio", *paths]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("disk: ")]
    assert "while a cell trains; " in line
    assert " stay of " in line
    assert main(["plan", "--short", "experiment=main_table", "scale=h200x8", *paths]) == 0
    # Four bytes of weights and eight of Adam, the newest and the one before it, and the merged model.
    assert "disk: up to 278.0 GiB while a cell trains; 565.8 GiB stay of 15 trainings" in capsys.readouterr().out


def test_parameters_are_counted_by_the_heads_of_the_files(tmp_path):
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(3, 4), "b": torch.zeros(5)}, tmp_path / "one.safetensors")
    save_file({"c": torch.zeros(())}, tmp_path / "two.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({}))
    assert disk.parameters_of(str(tmp_path)) == 18
    assert disk.parameters_of("nobody/has-this-model") is None
