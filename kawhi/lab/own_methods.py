"""Credit methods that are not part of the package: a file that registers them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from kawhi.base.errors import CellError
from kawhi.credit.methods import METHODS


def include(file: Path) -> list[str]:
    """Runs a Python file; returns the names of the methods that it has registered.

    Raises:
        CellError: no such file, one that fails, or one that registers nothing.
    """
    if not file.is_file():
        raise CellError(f"there is no file {file} to include")
    before = set(METHODS)
    name = f"included_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise CellError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look for it there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise CellError(f"{file} cannot be included: {type(error).__name__}: {error}") from error
    added = sorted(set(METHODS) - before)
    if not added:
        raise CellError(f"{file} registers no credit method: decorate its class with @register('name')")
    return added
