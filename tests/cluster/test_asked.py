"""What a job reads lies where it was named, whatever folder the job runs in."""

from __future__ import annotations

from pathlib import Path

import pytest

from kawhi.cluster.asked import absolute_paths
from kawhi.runs.identity import cell_hash
from kawhi.tiny.dataset import write_split
from tests.cells import cell

REWARD = "def score(data_source, solution_str, ground_truth, extra_info=None, **_):\n    return 1.0\n"


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The folder that a command is typed in, with data, a reward and a sampler of one's own."""
    monkeypatch.chdir(tmp_path)
    for split in ("train", "validation"):
        write_split(tmp_path / f"{split}.parquet", split, 2, 168, seed=0)
    (tmp_path / "my_reward.py").write_text(REWARD)
    (tmp_path / "my_sampler.py").write_text("class Mine:\n    pass\n")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["data.reward=my_reward.py:score"],
        ["verl.reward.custom_reward_function.path=my_reward.py", "verl.reward.custom_reward_function.name=score"],
    ],
)
def test_files_of_one_s_own_are_named_for_every_folder(here, monkeypatch, words):
    sampler = "++verl.trainer.v1.sampler.custom_sampler.path=my_sampler.py"
    words = ["data=custom", "data.train_file=train.parquet", "data.validation_file=validation.parquet", *words]
    asked, with_sampler = cell(here, *words), cell(here, *words, sampler)
    before = [cell_hash(each) for each in (asked, with_sampler)]
    for each in (asked, with_sampler):
        absolute_paths(each)
    monkeypatch.chdir("/")  # as a job, in the copy of the code
    assert asked.data.train_file == str(here / "train.parquet")
    assert asked.verl.reward.custom_reward_function.path == str(here / "my_reward.py")
    assert with_sampler.verl.trainer.v1.sampler.custom_sampler.path == str(here / "my_sampler.py")
    assert [cell_hash(each) for each in (asked, with_sampler)] == before
    (here / "my_sampler.py").write_text("class Mine:\n    other = True\n")
    assert cell_hash(with_sampler) != before[1]


def test_what_ships_is_found_by_its_package_on_every_node(here):
    asked = cell(here)
    absolute_paths(asked)
    assert asked.verl.reward.custom_reward_function.path == "pkg://kawhi.rewards/boxed.py"
    assert asked.verl.actor_rollout_ref.rollout.agent.agent_loop_config_path.startswith("pkg://")
