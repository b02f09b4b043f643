"""Responses that a training lost: which row of the data, and why, kept in the run directory for whoever has to say so.

verl logs a response that fails and goes on without it, minutes later and in another process.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_SHOWN = 60
"""Characters of a question, and three times as many of a cause, in a sentence."""

_INFRASTRUCTURE = {"OSError", "TimeoutError", "RayActorError", "ActorDiedError", "EngineDeadError", "CancelledError"}
"""Classes of errors that say nothing about the row."""


@dataclass(frozen=True)
class Lost:
    """One response that was lost.

    Attributes:
        launch: which launch of the training lost it.
        index: ``extra_info.index`` of the row, by which verl knows it; ``0`` where the file has none.
        id: ``extra_info.id`` of the row, if it has one.
        question: how its question begins.
        cause: the error, in one line.
        own: whether the error may come of the row itself.
    """

    launch: int
    step: int
    index: str
    id: str | None
    question: str
    cause: str
    own: bool

    @property
    def row(self) -> str:
        """What a sentence calls the row."""
        name = "" if self.id is None else f"id {self.id}, "
        return f"row {self.index} ({name}{self.question!r})"


def lost_file(run_directory: Path) -> Path:
    """Where the losses of all launches of a training are."""
    return run_directory / "train" / "lost.jsonl"


def note(run_directory: Path, error: BaseException, prompt: dict[str, Any]) -> None:
    """Adds a lost response.

    Args:
        prompt: what verl knows about it: ``raw_prompt``, ``extra_info``, ``index`` and ``global_steps``.
    """
    about = prompt.get("extra_info") or {}
    loss = Lost(
        launch=len(list((run_directory / "train").glob("metrics-*.jsonl"))),  # each launch has one of its own
        step=int(prompt["global_steps"]),
        index=str(prompt.get("index")),
        id=about.get("id"),
        question=_question(prompt.get("raw_prompt") or [])[:_SHOWN],
        cause=_cause(error),
        own=_INFRASTRUCTURE.isdisjoint(kind.__name__ for kind in type(error).__mro__),
    )
    with open(lost_file(run_directory), "a") as file:
        file.write(json.dumps(asdict(loss)) + "\n")


def losses(run_directory: Path) -> list[Lost]:
    """All that were lost, in order."""
    path = lost_file(run_directory)
    return [Lost(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def described(lost: Iterable[Lost]) -> str:
    """The rows with their causes, the first few of them."""
    causes = {each.row: each.cause for each in lost}
    more = f"; and {len(causes) - 3} more" if len(causes) > 3 else ""
    return "; ".join(f"{row}: {cause}" for row, cause in list(causes.items())[:3]) + more


def lost_twice(run_directory: Path) -> list[Lost]:
    """The last loss of each row that two launches lost for a reason which may be its own."""
    launches: dict[str, set[int]] = {}
    last: dict[str, Lost] = {}
    for each in losses(run_directory):
        if each.own:
            launches.setdefault(each.row, set()).add(each.launch)
            last[each.row] = each
    return [last[row] for row, of_row in launches.items() if len(of_row) > 1]


def _question(messages: Iterable[dict[str, Any]]) -> str:
    """The text of the user's messages; verl has put images into their lists."""
    texts = []
    for message in messages:
        content = message["content"] if message["role"] == "user" else []
        parts = [{"text": content}] if isinstance(content, str) else content
        texts += [part.get("text", "") for part in parts]
    return " ".join(" ".join(texts).split())


def _cause(error: BaseException) -> str:
    """Class and message in one line; of an error that came from another process its last line, which has both."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    told = lines[-1] if len(lines) > 1 and type(error).__name__.startswith("RayTaskError") else " ".join(lines)
    named = told if type(error).__name__.startswith("RayTaskError") else f"{type(error).__name__}: {told}"
    return named[: 3 * _SHOWN]
