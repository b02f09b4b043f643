"""A replay buffer whose batches do not depend on which response finished first, with DAPO's dynamic sampling."""

from __future__ import annotations

import time
from collections import Counter

from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

from kawhi.verl_plugin.lost_responses import stop_for_lost


class OrderedReplayBuffer(ReplayBuffer):
    """Orders a batch by prompt submission, session and index; verl's order is completion, which no seed fixes.

    ``trainer.v1.sampler.custom_sampler`` of every run, stock ones included.  With ``dynamic: true``, a ``metric`` and
    ``max_num_gen_batches`` in its ``sampler_kwargs`` it samples dynamically (DAPO): groups whose responses all have one
    value of the metric are replaced, in rounds.  verl's own sampler replaces a group as soon as it has finished, so
    that the prompts of a step depend on timing; and it never stops.
    """

    def __init__(self, *args, sampler_kwargs, **kwargs):
        metric = sampler_kwargs["metric"] if sampler_kwargs.get("dynamic") else None
        # verl asks every 2 s, which is longer than a whole step of the tiny world; a poll costs milliseconds.
        own = {"filter_groups_metric": metric, "poll_interval": 0.1}
        super().__init__(*args, sampler_kwargs=sampler_kwargs, **(kwargs | own))

    def sample(self, global_steps, partition_id, batch_size):
        if partition_id == "val" or self.filter_groups_metric is None:
            return super().sample(global_steps=global_steps, partition_id=partition_id, batch_size=batch_size)
        limit = self.sampler_kwargs["max_num_gen_batches"] * batch_size
        dropped: Counter[float] = Counter()
        while True:
            self._wait_until_finished(partition_id)
            same, values = self._dapo_filtered_keys(partition_id)
            dropped.update(values)
            self._clear_groups(partition_id, same)
            mixed = self._in_order_of_submission(partition_id)
            tried = len(mixed) + sum(dropped.values())
            if len(mixed) >= batch_size:
                break
            if tried >= limit:
                raise RuntimeError(nothing_mixed(global_steps, tried, len(mixed), batch_size, dropped))
            # Twice what is missing, as verl refills; never more than a batch.
            self.refill_fn(min(batch_size, 2 * (batch_size - len(mixed))))
        snapshot = dict(self.partitions[partition_id])
        self._clear_groups(partition_id, set(mixed[batch_size:]))
        metrics = {
            "training/filter_groups/tried_samples": tried,
            "training/filter_groups/evicted_samples": sum(dropped.values()),
            "training/filter_groups/discarded_surplus_samples": len(mixed) - batch_size,
        }
        return self._materialize_batch(partition_id, mixed[:batch_size], snapshot), metrics

    def _sync_metadata_from_transfer_queue(self):
        """As verl's; a response that was lost ends the training before anything is computed from the others."""
        super()._sync_metadata_from_transfer_queue()
        if failed := sum(map(len, self.failure_keys.values())):
            stop_for_lost(f"responses of {failed} prompts of this step were")

    def _wait_until_finished(self, partition_id: str) -> None:
        while True:
            self._sync_metadata_from_transfer_queue()
            if not self.pending_keys[partition_id] and not self.running_keys[partition_id]:
                return
            time.sleep(self.poll_interval)

    def _in_order_of_submission(self, partition_id: str) -> list[str]:
        return [uid for uid in self.prompt_global_steps[partition_id] if uid in self.finished_keys[partition_id]]

    def _materialize_batch(self, partition_id, selected, snapshot):
        submitted = {uid: i for i, uid in enumerate(self.prompt_global_steps[partition_id])}

        def order(key: str) -> tuple[int, int, int]:
            uid, session, index = key.rsplit("_", 2)
            return submitted.get(uid, len(submitted)), int(session), int(index)

        ordered = {key: snapshot[key] for key in sorted(snapshot, key=order)}
        return super()._materialize_batch(partition_id, selected, ordered)


def nothing_mixed(step: int, tried: int, mixed: int, wanted: int, dropped: Counter[float]) -> str:
    """What the run says when it stops: how many groups it tried, and how the others came out."""
    values = ", ".join(f"{count} with {value:g} throughout" for value, count in sorted(dropped.items()))
    return (
        f"dynamic sampling tried {tried} prompts in step {step} and found {mixed} of the {wanted} groups with both "
        f"right and wrong responses that it needs ({values}): take easier or harder data, more responses per prompt "
        "(actor_rollout_ref.rollout.n), or a larger algorithm.filter_groups.max_num_gen_batches"
    )
