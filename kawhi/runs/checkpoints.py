"""Which of verl's checkpoints a training may resume from, and which ones stay.

verl 0.9.1 with FSDP writes ``global_step_N/actor/*_world_size_W_rank_R.pt``, ``actor/huggingface``, ``data.pt`` last of
the folder, and then the tracker ``latest_checkpointed_iteration.txt``; only after that it logs the metrics of step N.
It resumes from whatever the tracker names.  Here nothing is trusted but the files: a checkpoint is *complete* when
every file is there and whole, and *usable* when its step and all before it are also in the metrics, so that resuming
from it leaves no gap.
"""

from __future__ import annotations

import contextlib
import errno
import json
import re
import shutil
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from kawhi.base.errors import CellError
from kawhi.base.files import write_atomically, write_json
from kawhi.base.health import BASE_REWARD

TRACKER = "latest_checkpointed_iteration.txt"
_PARTS = ("model", "optim", "extra_state")
_FOLDER = re.compile(r"global_step_(\d+)")
_BROKEN = (zipfile.BadZipFile, ValueError, EOFError, struct.error, NotImplementedError)
"""What ``zipfile`` raises for bytes that are not, or no longer, an archive."""


def folder_of(checkpoints: Path, step: int) -> Path:
    """Where verl saves this step."""
    return checkpoints / f"global_step_{step}"


def is_complete(folder: Path) -> bool:
    """Whether every file of a checkpoint is there and whole, as far as the ends of the files can tell.

    An archive's directory is its end, so that a file that was cut anywhere has none.  Contents are not read: a
    checkpoint of full size has 100 GB.

    Raises:
        CellError: the disk does not let a file be read; that is no reason to remove it.
    """
    actor = folder / "actor"
    ranks = _json(actor / "fsdp_config.json").get("world_size", 0)  # the first rank writes it after its own parts
    if not isinstance(ranks, int) or ranks < 1 or not _json(actor / "huggingface" / "config.json"):
        return False
    shards = [actor / f"{part}_world_size_{ranks}_rank_{rank}.pt" for part in _PARTS for rank in range(ranks)]
    return all(_is_archive(file) for file in [folder / "data.pt", *shards])


def usable_steps(checkpoints: Path, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Steps of the checkpoints that training may resume from, ascending.

    Args:
        checkpoints: verl's folder; it need not exist.
        rows: metrics by step, ascending (:meth:`kawhi.base.rundir.RunDirectory.metrics`).
    """
    logged = 0
    for row in rows:
        if row["step"] != logged + 1:
            break
        logged = row["step"]
    return [step for step in steps_of(checkpoints) if step <= logged and is_complete(folder_of(checkpoints, step))]


def settle(checkpoints: Path, step: int) -> None:
    """Makes verl resume from ``step``, or start afresh when it is 0.

    Removes what is newer or half-written, and names the step in the tracker.

    Raises:
        CellError: something cannot be removed.
    """
    shutil.rmtree(checkpoints.with_name(".discarded"), ignore_errors=True)
    for found in steps_of(checkpoints):
        folder = folder_of(checkpoints, found)
        if found > step or not is_complete(folder):
            try:
                shutil.rmtree(folder)
            except OSError as error:
                raise CellError(f"{folder} must not be resumed from and cannot be removed: {error.strerror}") from error
    _note_saved(checkpoints, [found for found in _saved(checkpoints) if found <= step])
    if step:
        write_atomically(checkpoints / TRACKER, str(step))
    else:
        (checkpoints / TRACKER).unlink(missing_ok=True)


def thin(checkpoints: Path, rows: Sequence[dict[str, Any]], *, by_held_out: bool = False) -> None:
    """Keeps the last usable checkpoint and the best one; removes the other older ones.

    The best one has the highest mean reward over the steps since the checkpoint before it; of equals, the later one.
    Nothing newer than the last usable one is touched: verl may be writing it.

    Args:
        by_held_out: the best one has the highest score on held-out data instead; of equals, the earlier one.
    """
    usable = usable_steps(checkpoints, rows)
    if not usable:
        return
    last = usable[-1]
    saved = sorted({*(step for step in _saved(checkpoints) if step < last), *usable})
    rewards = {step: _mean_reward(rows, after, step) for after, step in zip([0, *saved], saved, strict=False)}
    best = best_held_out(usable, rows) if by_held_out else max(usable, key=lambda step: (rewards[step], step))
    _note_saved(checkpoints, saved, best=best, last=last)  # first: a reward must not depend on what was removed
    for step in steps_of(checkpoints):
        if step < last and step != best:
            # What a shared file system does not give up yet is tried again after the next step.
            shutil.rmtree(folder_of(checkpoints, step), ignore_errors=True)


def best_held_out(steps: Sequence[int], rows: Sequence[dict[str, Any]]) -> int:
    """The step with the highest score on held-out data, of equals the earliest; the last where none has one."""
    scores = {row["step"]: score for row in rows if (score := held_out(row)) is not None}
    return max((step for step in steps if step in scores), key=lambda step: scores[step], default=steps[-1])


def held_out(row: dict[str, Any]) -> float | None:
    """The share of held-out responses that were right, which verl logs of each source of data, where it asked."""
    found = [value for name, value in row.items() if name.startswith("val-core/") and "/mean@" in name]
    return fmean(found) if found else None


def remove_all(checkpoints: Path) -> None:
    """Of a run whose weights nobody reads.

    All at once: who is killed while it removes them must not leave one that looks usable.
    """
    discarded = checkpoints.with_name(".discarded")
    shutil.rmtree(discarded, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        checkpoints.rename(discarded)
    shutil.rmtree(discarded, ignore_errors=True)
    _note(checkpoints).unlink(missing_ok=True)


def move(checkpoints: Path, to: Path) -> None:
    """Takes a run's checkpoints, with the note about them, to another folder; all at once, as :func:`remove_all`."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        checkpoints.rename(to)
    with contextlib.suppress(FileNotFoundError):
        _note(checkpoints).rename(_note(to))


def reward_of(row: dict[str, Any]) -> float | None:
    """A step's mean reward as the data's own rule gives it: before a method shapes it, if it does."""
    return row.get(BASE_REWARD, row.get("critic/rewards/mean"))


def _mean_reward(rows: Sequence[dict[str, Any]], after: int, until: int) -> float:
    found = [reward_of(row) for row in rows if after < row["step"] <= until]
    known = [reward for reward in found if reward is not None]
    return fmean(known) if known else -float("inf")


def steps_of(checkpoints: Path) -> list[int]:
    """Steps of which there is a folder, whole or not, ascending."""
    found = [_FOLDER.fullmatch(path.name) for path in checkpoints.glob("global_step_*")]
    return sorted(int(match[1]) for match in found if match)


def _note(checkpoints: Path) -> Path:
    """``train/checkpoints.json``: every step that was ever saved, which is the best and which the last."""
    return checkpoints.with_suffix(".json")


def best_and_last(checkpoints: Path) -> tuple[int | None, int | None]:
    """The steps that :func:`thin` kept, where it noted them."""
    note = _json(_note(checkpoints))
    return note.get("best"), note.get("last")


def _saved(checkpoints: Path) -> list[int]:
    return list(_json(_note(checkpoints)).get("saved", []))


def _note_saved(checkpoints: Path, saved: list[int], **kept: int) -> None:
    note = {"saved": saved, **kept}
    if note != _json(_note(checkpoints)) and (saved or _note(checkpoints).exists()):
        write_json(_note(checkpoints), note)


def _json(path: Path) -> dict[str, Any]:
    """Contents of a file; empty when it is missing or no whole JSON object."""
    try:
        content = json.loads(path.read_text())
    except ValueError:
        return {}
    except OSError as error:
        return _missing(path, error, {})
    return content if isinstance(content, dict) else {}


def _is_archive(path: Path) -> bool:
    """``torch.save`` writes zip archives."""
    try:
        with zipfile.ZipFile(path) as archive:
            return bool(archive.namelist())
    except _BROKEN:
        return False
    except OSError as error:
        return _missing(path, error, False)


def _missing(path: Path, error: OSError, absent: Any) -> Any:
    # EINVAL: a torn archive that points to a place before its beginning.
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL):
        return absent
    raise CellError(
        f"{path} cannot be read ({error.strerror}); mend the disk or remove the file, then run again"
    ) from error
