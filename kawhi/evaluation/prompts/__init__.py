"""One prompt file per judged benchmark: ``<task>.yaml``.

verdict:              # name of a question
  max_tokens: 8       # of the reply
  system: ...         # optional; Jinja templates, filled with the question's fields
  user: ...
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined, Template

from kawhi.base.included import files

_FOLDER = Path(__file__).parent
_TEMPLATES = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)


@dataclass(frozen=True)
class Prompts:
    """The prompt file of a benchmark.

    Attributes:
        version: 12 hexadecimal digits of the file's hash.
        entries: question -> ``max_tokens``, ``user`` and perhaps ``system``.
    """

    version: str
    entries: Mapping[str, Mapping[str, Any]]

    def render(self, name: str, fields: Mapping[str, Any]) -> tuple[str | None, str, int]:
        """System text, user text, largest number of tokens.

        Raises:
            KeyError: no such question.
            jinja2.UndefinedError: a field that the template needs was not given.
        """
        entry = self.entries[name]
        system = entry.get("system")
        return (
            None if system is None else _template(system).render(**fields),
            _template(entry["user"]).render(**fields),
            int(entry["max_tokens"]),
        )


@cache
def _template(source: str) -> Template:
    return _TEMPLATES.from_string(source)  # compiling takes milliseconds, rendering microseconds


def prompts_of(task: str) -> Prompts:
    """The prompt file of a task, which somebody's own has in the folder ``prompts`` beside its own.

    Raises:
        FileNotFoundError: it has none.
    """
    own = next((file for file in files("prompts") if file.stem == task), _FOLDER / f"{task}.yaml")
    text = own.read_text()
    return Prompts(hashlib.sha256(text.encode()).hexdigest()[:12], yaml.safe_load(text))
