"""Which checkpoints may be resumed from and which stay, on files as verl writes them."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kawhi.base.errors import CellError
from kawhi.base.health import BASE_REWARD
from kawhi.runs import checkpoints as module
from kawhi.runs.checkpoints import TRACKER, best_held_out, is_complete, settle, thin, usable_steps
from tests.cells import metrics_row

PARTS = ("model", "optim", "extra_state")
REWARD = "critic/rewards/mean"


def archive(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", b"x" * 50)
        file.writestr("archive/data/0", bytes(range(256)))


def save(checkpoints: Path, step: int, ranks: int = 2, tracker: bool = True) -> Path:
    """A checkpoint in the order in which verl writes it."""
    folder = checkpoints / f"global_step_{step}"
    for rank in range(ranks):
        for part in PARTS:
            archive(folder / "actor" / f"{part}_world_size_{ranks}_rank_{rank}.pt")
    (folder / "actor" / "huggingface").mkdir()
    (folder / "actor" / "huggingface" / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    (folder / "actor" / "fsdp_config.json").write_text(json.dumps({"FSDP_version": 2, "world_size": ranks}))
    archive(folder / "data.pt")
    if tracker:
        (checkpoints / TRACKER).write_text(str(step))
    return folder


def rows(*rewards: float) -> list[dict]:
    return [metrics_row(step, **{"critic/rewards/mean": reward}) for step, reward in enumerate(rewards, 1)]


def kept(checkpoints: Path) -> list[int]:
    return sorted(int(path.name.split("_")[-1]) for path in checkpoints.glob("global_step_*"))


FILES = sorted(str(file) for part in PARTS for rank in (0, 1) for file in [f"actor/{part}_world_size_2_rank_{rank}.pt"])
FILES += ["actor/fsdp_config.json", "actor/huggingface/config.json", "data.pt"]


@pytest.fixture
def checkpoints(tmp_path):
    return tmp_path / "train" / "checkpoints"


def test_what_verl_wrote_to_the_end_is_complete(checkpoints):
    assert is_complete(save(checkpoints, 3))
    assert is_complete(save(checkpoints, 4, ranks=1))


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "folder"])
def test_a_damaged_checkpoint_is_not_complete(checkpoints, file, damage):
    path = save(checkpoints, 3) / file
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes(content[: len(content) - 1] if damage == "truncated" else b"")
    assert not is_complete(checkpoints / "global_step_3")


def test_there_may_be_no_checkpoint(checkpoints):
    assert not is_complete(checkpoints / "global_step_3")
    assert usable_steps(checkpoints, rows(0.1)) == []
    settle(checkpoints, 0)
    thin(checkpoints, rows(0.1))
    assert not checkpoints.exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_archive_cut_anywhere_is_none(tmp_path, data):
    import torch

    path = tmp_path / "model.pt"
    if not path.exists():
        torch.save({"weight": torch.arange(100.0), "step": 3}, path)
        assert module._is_archive(path)
    whole = path.read_bytes()
    cut = tmp_path / "cut.pt"
    cut.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert not module._is_archive(cut)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200), position=st.integers(0, 500))
def test_any_bytes_are_an_archive_or_not(tmp_path, content, position):
    """Whatever a crash has left in the file: no error, a verdict."""
    path = tmp_path / "x.pt"
    archive(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:position] + content + whole[position + len(content) :])
    assert module._is_archive(path) in (True, False)


def test_a_disk_that_fails_is_no_half_written_checkpoint(checkpoints, monkeypatch):
    folder = save(checkpoints, 3)

    def fail(path, *_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module.zipfile, "ZipFile", fail)
    with pytest.raises(CellError, match=r"data.pt cannot be read \(Input/output error\)"):
        settle(checkpoints, 3)
    assert folder.exists()


@pytest.mark.parametrize("tracker", [None, "", "7", "x", "1"])
def test_the_newest_complete_and_logged_one_is_resumed_from_whatever_the_tracker_says(checkpoints, tracker):
    for step in (1, 2, 3, 4):
        save(checkpoints, step)
    (checkpoints / "global_step_3" / "data.pt").unlink()  # half-written; and 4 was saved, then killed before it logged
    (checkpoints / TRACKER).unlink()
    if tracker is not None:
        (checkpoints / TRACKER).write_text(tracker)
    usable = usable_steps(checkpoints, rows(0.1, 0.2, 0.3))
    assert usable == [1, 2]
    settle(checkpoints, usable[-1])
    assert (checkpoints / TRACKER).read_text() == "2"
    assert kept(checkpoints) == [1, 2]


def test_a_gap_in_the_metrics_is_gone_back_to(checkpoints):
    for step in (1, 2, 3):
        save(checkpoints, step)
    assert usable_steps(checkpoints, [metrics_row(1), metrics_row(3)]) == [1]
    assert usable_steps(checkpoints, []) == []


def test_without_a_usable_checkpoint_training_starts_afresh(checkpoints):
    save(checkpoints, 2)
    (checkpoints / "global_step_x").mkdir()
    settle(checkpoints, 0)
    assert [path.name for path in checkpoints.iterdir()] == ["global_step_x"]


def test_verl_finds_what_was_settled(checkpoints):
    manager = pytest.importorskip("verl.utils.checkpoint.checkpoint_manager")
    save(checkpoints, 2)
    save(checkpoints, 4)
    settle(checkpoints, 2)
    assert manager.find_latest_ckpt_path(str(checkpoints)) == str(checkpoints / "global_step_2")
    settle(checkpoints, 0)
    assert manager.find_latest_ckpt_path(str(checkpoints)) is None


def test_the_best_and_the_last_stay(checkpoints):
    rewards = [0.1, 0.1, 0.5, 0.7, 0.2, 0.2, 0.3, 0.3]
    for step in (2, 4, 6, 8):
        save(checkpoints, step)
        thin(checkpoints, rows(*rewards[:step]))
    assert kept(checkpoints) == [4, 8]
    assert json.loads((checkpoints.parent / "checkpoints.json").read_text()) == {
        "saved": [2, 4, 6, 8],
        "best": 4,
        "last": 8,
    }


def test_a_reward_does_not_depend_on_what_was_removed(checkpoints):
    """4 was better than 2, over steps 3 and 4; if the removed 2 were forgotten, steps 1 and 2 would count for it."""
    rewards = [-9, -9, 0.8, 0.8, 0.5, 0.5]
    for step in (2, 4, 6):
        save(checkpoints, step)
        thin(checkpoints, rows(*rewards[:step]))
    assert kept(checkpoints) == [4, 6]


BEST = {
    "of equals the later": ([{REWARD: 0.5}, {REWARD: 0.5}, {REWARD: 0.1}], [2, 3]),
    "the base reward where a method shapes it": ([{REWARD: s, BASE_REWARD: -s} for s in (1, 2, 3)], [1, 3]),
    "an unknown reward is never the best": ([{}, {REWARD: None}, {}], [3]),
}


@pytest.mark.parametrize(("logged", "stay"), BEST.values(), ids=BEST)
def test_which_is_the_best(checkpoints, logged, stay):
    for step in (1, 2, 3):
        save(checkpoints, step)
    thin(checkpoints, [metrics_row(step, **row) for step, row in enumerate(logged, 1)])
    assert kept(checkpoints) == stay


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ({1: 0.5, 2: 0.7, 3: 0.6, 4: 0.1}, 2),
        ({1: 0.5, 2: 0.7, 3: 0.7, 4: 0.7}, 2),  # of equals the earliest
        ({2: 0.1, 4: 0.3}, 4),
        ({}, 4),
        ({4: 0.0}, 4),
    ],
)
def test_the_best_on_held_out_data_stays_whatever_its_reward(checkpoints, scores, best):
    found = rows(0.9, 0.1, 0.1, 0.2)
    for row in found:
        if row["step"] in scores:  # two sources of data count alike, and what verl logs beside is no score
            row |= {f"val-core/{k}/acc/mean@1": scores[row["step"]] + d for k, d in (("geo3k", 0.05), ("tiny", -0.05))}
            row["val-aux/geo3k/reward/mean@1"] = 1 - scores[row["step"]]
    for step in range(1, 5):
        save(checkpoints, step)
        thin(checkpoints, found[:step], by_held_out=True)
    assert kept(checkpoints) == sorted({best, 4})
    assert json.loads((checkpoints.parent / "checkpoints.json").read_text())["best"] == best
    assert best_held_out(usable_steps(checkpoints, found), found) == best


def test_what_is_being_written_and_what_would_be_resumed_from_are_not_touched(checkpoints):
    save(checkpoints, 1)
    save(checkpoints, 2)
    save(checkpoints, 3)  # the tracker names it, but its metrics are not there yet
    half = save(checkpoints, 4, tracker=False)
    (half / "data.pt").unlink()
    thin(checkpoints, rows(0.9, 0.1))
    assert kept(checkpoints) == [1, 2, 3, 4]
    thin(checkpoints, rows(0.9, 0.1, 0.1))
    assert kept(checkpoints) == [1, 3, 4]


def test_what_was_discarded_does_not_divide_the_steps_any_more(checkpoints):
    for step in (2, 3, 4):
        save(checkpoints, step)
        thin(checkpoints, rows(0.1, 0.1, 0.2, 0.9)[:step])
    (checkpoints / "global_step_4" / "data.pt").unlink()
    (checkpoints / "global_step_3" / "data.pt").unlink(missing_ok=True)
    save(checkpoints, 2)
    settle(checkpoints, 2)
    assert json.loads((checkpoints.parent / "checkpoints.json").read_text())["saved"] == [2]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rewards=st.lists(st.integers(0, 9), min_size=1, max_size=8),
    saved=st.sets(st.integers(1, 9), min_size=1),
    logged=st.integers(0, 8),
)
def test_thinning_as_it_goes_or_at_the_end_keeps_the_same(tmp_path_factory, rewards, saved, logged):
    """The last usable one always stays, at most two usable ones do, and no newer one is touched."""
    gradual, at_once = (tmp_path_factory.mktemp(name) / "checkpoints" for name in ("gradual", "at-once"))
    found = rows(*rewards)[:logged]
    for step in sorted(saved):
        save(gradual, step, ranks=1)
        save(at_once, step, ranks=1)
        thin(gradual, found[:step])
    thin(gradual, found)
    thin(at_once, found)
    usable = [step for step in saved if step <= len(found)]
    newer = saved - set(usable)
    assert kept(gradual) == kept(at_once)
    assert newer <= set(kept(at_once))
    best = _best(found, usable)
    assert set(kept(at_once)) - newer == ({best, max(usable)} if usable else set())


def _best(found: list[dict], usable: list[int]) -> int:
    scores = []
    for number, step in enumerate(sorted(usable)):
        after = sorted(usable)[number - 1] if number else 0
        part = [row["critic/rewards/mean"] for row in found[after:step]]
        scores.append((sum(part) / len(part), step))
    return max(scores)[1] if scores else 0


def test_nothing_is_left_of_a_sick_run(checkpoints):
    save(checkpoints, 1)
    thin(checkpoints, rows(0.1))
    module.remove_all(checkpoints)
    module.remove_all(checkpoints)
    assert os.listdir(checkpoints.parent) == []


def test_a_sick_run_is_not_resumed_from_although_its_removal_was_killed(checkpoints, monkeypatch):
    save(checkpoints, 1)
    monkeypatch.setattr(module.shutil, "rmtree", lambda *_, **__: None)
    module.remove_all(checkpoints)
    assert usable_steps(checkpoints, rows(0.1)) == []
    monkeypatch.undo()
    settle(checkpoints, 0)
    assert os.listdir(checkpoints.parent) == []
