"""What verl logs of held-out data is what the record and the rule for checkpoints read."""

from __future__ import annotations

import pytest
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from kawhi.runs.checkpoints import held_out


@pytest.mark.parametrize("each", [1, 4], ids=["greedy, once", "sampled four times"])
def test_the_share_of_right_answers_is_found_among_verl_s_metrics(each):
    uids = [f"prompt {i}" for i in range(4) for _ in range(each)]
    right = [float(i < 3) for i in range(4) for _ in range(each)]
    reward = [2 * value - 1 for value in right]  # of another scale than the verdict
    logged = PPOTrainerSync._val_metrics_update(
        object.__new__(PPOTrainerSync), ["geo3k"] * len(uids), uids, {"reward": reward, "acc": right}, [2] * len(uids)
    )
    assert held_out(logged) == pytest.approx(0.75)
    assert held_out({"critic/rewards/mean": 0.5}) is None
