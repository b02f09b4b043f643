"""A replay buffer whose batches do not depend on which response finished first."""

from __future__ import annotations

from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer


class OrderedReplayBuffer(ReplayBuffer):
    """Orders a batch by prompt submission, session and index; verl's order is completion, which no seed fixes.

    ``trainer.v1.sampler.custom_sampler`` of every run, stock ones included.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # verl asks every 2 s, which is longer than a whole step of the tiny world; a poll costs milliseconds.
        self.poll_interval = 0.1

    def _materialize_batch(self, partition_id, selected, snapshot):
        submitted = {uid: i for i, uid in enumerate(self.prompt_global_steps[partition_id])}

        def order(key: str) -> tuple[int, int, int]:
            uid, session, index = key.rsplit("_", 2)
            return submitted.get(uid, len(submitted)), int(session), int(index)

        ordered = {key: snapshot[key] for key in sorted(snapshot, key=order)}
        return super()._materialize_batch(partition_id, selected, ordered)
