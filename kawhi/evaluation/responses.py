"""What the policy answered, kept as it comes in: ``eval/<task>/responses<-pass>.jsonl``.

A line per response, written whole and flushed, so a run that is killed asks only for what is missing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kawhi.base.errors import CellError
from kawhi.evaluation.reply_log import whole_lines


@dataclass(frozen=True)
class Response:
    """One response of the policy.

    Attributes:
        index: row of the data set, lmms-eval's ``doc_id``.
        prompt: 16 hexadecimal digits of the hash of the prompt's text.
        text: the response.
        finish_reason: ``stop`` or ``length`` (cut off).
        tokens: its length.
    """

    index: int
    prompt: str
    text: str
    finish_reason: str
    tokens: int


def prompt_hash(prompt: str) -> str:
    """Tells prompts apart."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


class ResponseStore:
    """The responses of one pass of a benchmark.

    Args:
        path: of the file; what it holds is read at once.

    Raises:
        CellError: a line that is no response, other than a last one that was cut off.
    """

    def __init__(self, path: Path):
        self.path = path
        self.responses: dict[int, Response] = {}
        if not path.exists():
            return
        for number, line in enumerate(whole_lines(path), 1):
            try:
                response = Response(**json.loads(line))
            except (ValueError, TypeError) as error:
                raise CellError(f"line {number} of {path} is no response ({error}): remove the file") from error
            self.responses[response.index] = response

    def get(self, index: int, prompt: str) -> Response | None:
        """The response to a prompt, if it is there.

        Raises:
            CellError: there is one for this row, but to another prompt.
        """
        found = self.responses.get(index)
        if found is not None and found.prompt != prompt_hash(prompt):
            raise CellError(f"{self.path} has a response to another prompt for row {index}: remove the file")
        return found

    def add(self, responses: Iterable[Response]) -> None:
        """Appends responses; they are on the disk when this returns."""
        new = list(responses)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write("".join(json.dumps(asdict(response)) + "\n" for response in new))
            file.flush()
            os.fsync(file.fileno())
        self.responses |= {response.index: response for response in new}


def sample_seed(seed: int, index: int) -> int:
    """A seed of its own for each row, whatever else is generated beside it."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0] >> 1)


def row_of(request: Any) -> int:
    """Row of the data set in a request of lmms-eval, its ``doc_id``."""
    return request.args[3]


def prompt_of(request: Any) -> str:
    """Text of the prompt in a request of lmms-eval."""
    return request.args[0]
