"""Credit methods from elsewhere: their text, and what is said when one fails."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import extract_tb
from typing import Any

from kawhi.base.errors import CellError
from kawhi.credit.methods import METHODS, CreditMethod


def text_of(name: str) -> str:
    """Of a method from elsewhere its text, since nothing else tells two versions of it apart; ours have commits."""
    method: Any = METHODS[name]
    return "" if method.__module__.startswith("kawhi.") else inspect.getsource(inspect.getmodule(method) or method)


@contextmanager
def mistakes_told(name: str, method: CreditMethod) -> Iterator[None]:
    """Makes a sentence of whatever a method from elsewhere raises.

    Args:
        name: of the method, for the sentence.

    Raises:
        CellError: of a method that fails; with the line of its own file where that is known.
    """
    kind = type(method)
    try:
        yield
    except CellError:
        raise
    except Exception as error:  # a stranger's code raises what it likes
        if kind.__module__.startswith("kawhi."):
            raise
        lines = [
            each.lineno for each in extract_tb(error.__traceback__) if each.filename == inspect.getsourcefile(kind)
        ]
        said = f"{type(error).__name__}{f' in line {lines[-1]}' if lines else ''}: {error}"
        told = f"the method {name} fails: {said}"
        raise CellError(f"{told}; docs/bench.md says what a method gets and returns") from error
