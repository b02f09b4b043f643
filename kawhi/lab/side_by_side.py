"""Forked processes of the lab: they have the policies and methods of the process that started them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import torch

from kawhi.base.errors import CellError
from kawhi.base.processes import die_with_parent

INHERITED: list[Any] = []
"""What a forked process works on, where that cannot be sent to it."""


@contextmanager
def forked(jobs: int, work: Any = None) -> Iterator[ProcessPoolExecutor]:
    """So many forked processes, which end with this one; what has not begun when something fails is left out.

    Args:
        work: is the last of their :data:`INHERITED`.

    Raises:
        CellError: one of them was killed.
    """
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork"), initializer=_begin, initargs=(work,)) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            told = "a process of the lab was killed, perhaps for want of memory: try --jobs 1"
            raise CellError(f"{told}; what is finished stays") from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _begin(work: Any) -> None:
    die_with_parent()
    # After a fork torch (2.13) makes its thread pool anew at the first use, which is not safe from several threads at
    # once: transformers' loader, which has them, dies of "Invalid thread pool!".  Here there is one.
    torch.set_num_threads(1)
    INHERITED.append(work)
