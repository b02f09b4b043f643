"""Notes every response that verl loses, and stops a training that has lost one."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from kawhi.base.lost import described, losses, note
from kawhi.base.processes import RUN_DIRECTORY


def note_lost_responses(worker: Any) -> None:
    """Makes verl's agent loop worker write down which row a response was of that fails, and why; it fails as ever.

    verl catches the error, logs it with an id that is random, and pads the batch.

    Args:
        worker: class that is changed in place; a second call does nothing.
    """
    original: Callable[..., Any] = worker._run_agent_loop
    if hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    async def noted(self, sampling_params, trajectory, **prompt):
        try:
            return await original(self, sampling_params, trajectory, **prompt)
        except Exception as error:
            if folder := os.environ.get(RUN_DIRECTORY):
                note(Path(folder), error, prompt)
            raise

    worker._run_agent_loop = noted


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
