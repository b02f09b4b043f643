"""Notes every response that verl loses, and stops a training that has lost one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn

import ray
from verl.trainer.ppo.v1 import agent_loop_tq

from kawhi.base.lost import described, losses, note
from kawhi.base.processes import RUN_DIRECTORY

_StockWorker: Any = agent_loop_tq.AgentLoopWorkerTQ.__ray_metadata__.modified_class


class NotingWorker(_StockWorker):
    """verl's agent loop worker, which writes down whose response fails, and why.

    verl catches the error, logs it with an id that is random, and pads the batch.
    """

    async def _run_agent_loop(self, sampling_params, trajectory, **prompt):
        try:
            return await super()._run_agent_loop(sampling_params, trajectory, **prompt)
        except Exception as error:
            if folder := os.environ.get(RUN_DIRECTORY):
                note(Path(folder), error, prompt)
            raise


class NotingManager(agent_loop_tq.AgentLoopManagerTQ):
    """``actor_rollout_ref.rollout.agent.agent_loop_manager_class`` of every run, stock ones included."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.agent_loop_workers_class = ray.remote(NotingWorker)


def stop_for_lost(what: str) -> NoReturn:
    """
    Args:
        what: how much was lost.

    Raises:
        RuntimeError: always, with the rows and the causes of this launch where they were noted.
    """
    folder = os.environ.get(RUN_DIRECTORY)
    found = losses(Path(folder)) if folder else []
    last = [each for each in found if each.launch == found[-1].launch]
    named = f": {described(last)}; mend or drop that data, or mend what failed" if last else ""
    raise RuntimeError(f"{what} lost{named} ('Error in _run_prompt' in the log above has the whole traceback)")
