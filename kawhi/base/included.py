"""Credit methods, benchmarks and configuration that are not part of this package, and where they are.

Somebody's own are in a folder with ``methods/*.py``, ``benchmarks/*.py``, ``prompts/*.yaml`` and
``conf/<group>/*.yaml``, as far as there are any; in one Python file; or in an installed package that is such a folder
and names itself by an entry point of the group ``kawhi``.  Files and folders are named with ``--include``, which every
process that a command starts inherits by the variable ``KAWHI_INCLUDE``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType
from typing import Literal

from kawhi.base.checkout import CONF, ROOT
from kawhi.base.errors import CellError
from kawhi.base.meaning import Meaning, read

VARIABLE = "KAWHI_INCLUDE"
OPTION = "--include"
GROUP = "kawhi"
"""Of entry points; what one names is a package, e.g. ``mine = "my_package"``."""
KINDS = ("methods", "benchmarks", "prompts", "conf")
_OURS = {"benchmarks": ROOT / "kawhi/evaluation/benchmarks", "prompts": ROOT / "kawhi/evaluation/prompts", "conf": CONF}


def include(paths: Iterable[Path]) -> None:
    """Adds files and folders to those that this process and all that it starts know.

    Raises:
        CellError: one that is not there, holds nothing for us, or has a file of a name that is taken.
    """
    absolute = [each.expanduser().resolve() for each in (*named(), *paths)]
    for path in absolute:
        if not path.exists():
            raise CellError(f"there is no file or folder {path} to include ({OPTION})")
        if path.is_file() and path.suffix != ".py":
            raise CellError(f"{path} is no Python file: {OPTION} takes one, or a folder of {', '.join(KINDS)}")
        if path.is_dir() and not any((path / kind).is_dir() for kind in KINDS):
            raise CellError(f"{path} has none of the folders {', '.join(KINDS)}, so there is nothing to include")
    if absolute:  # what this process starts may run in another folder
        os.environ[VARIABLE] = os.pathsep.join(map(str, dict.fromkeys(absolute)))
    _refuse_taken_names()


def taken_from(words: Sequence[str]) -> list[str]:
    """A command line without ``--include PATH`` and ``--include=PATH``, whose paths are included.

    Raises:
        CellError: as :func:`include`, and the option without a path.
    """
    left, paths, rest = [], [], iter(words)
    for word in rest:
        if word == OPTION:
            path = next(rest, None)
            if path is None:
                raise CellError(f"{OPTION} needs a file or a folder")
            paths.append(Path(path))
        elif word.startswith(f"{OPTION}="):
            paths.append(Path(word.partition("=")[2]))
        else:
            left.append(word)
    include(paths)
    return left


def named() -> list[Path]:
    """The files and folders that were included, in order."""
    return [Path(each) for each in os.environ.get(VARIABLE, "").split(os.pathsep) if each]


def files(kind: Literal["methods", "benchmarks", "prompts"]) -> list[Path]:
    """Somebody's own files of a kind; a single Python file may hold methods and a benchmark."""
    suffix = ".yaml" if kind == "prompts" else ".py"
    single = [path for path in named() if path.is_file()] if suffix == ".py" else []
    found = [file for folder in _folders() for file in sorted((folder / kind).glob(f"*{suffix}"))]
    return [*single, *(file for file in found if file.name != "__init__.py")]


def conf_folders() -> list[Path]:
    """Somebody's own folders of configuration, which Hydra searches after ours."""
    return [folder / "conf" for folder in _folders() if (folder / "conf").is_dir()]


def configuration_files(group: str, ours: Path = CONF) -> list[Path]:
    """The files of a group of the configuration, ours first."""
    return [file for folder in (ours, *conf_folders()) for file in sorted((folder / group).glob("*.yaml"))]


def configuration_file(group: str, name: str, ours: Path = CONF) -> Path | None:
    """One of :func:`configuration_files`."""
    return next((file for file in configuration_files(group, ours) if file.stem == name), None)


def benchmark_file(name: str) -> Path | None:
    """The file of somebody's own benchmark."""
    own = (file for file in files("benchmarks") if file.stem == name)
    return next((file for file in own if "BENCHMARK" in read(file).defined), None)


def run(file: Path) -> ModuleType:
    """A Python file as a module, which is run once by a process.

    Raises:
        CellError: it fails.
    """
    package = next((package for package, folder in _packages() if file.is_relative_to(folder)), None)
    try:
        if package:
            folder = dict(_packages())[package]
            return import_module(".".join((package, *file.relative_to(folder).with_suffix("").parts)))
        name = f"included_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, file)
            assert spec is not None
            assert spec.loader is not None
            sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses and pickling look for it there
            try:
                spec.loader.exec_module(sys.modules[name])
            except BaseException:
                del sys.modules[name]
                raise
        return sys.modules[name]
    except Exception as error:
        raise CellError(f"{file} cannot be included: {type(error).__name__}: {error}") from error


def run_methods() -> list[Path]:
    """Runs the files that may register credit methods; returns them."""
    found = files("methods")
    for file in found:
        run(file)
    return found


def source(file: Path) -> str:
    """12 hexadecimal digits of what a file says, and what it uses of files beside it: comments make no difference."""
    meaning = Meaning(file.parent)
    meaning.look_at(file)
    return meaning.fingerprint(versions=False)


def _folders() -> list[Path]:
    return [*(path for path in named() if path.is_dir()), *(folder for _, folder in _packages())]


@cache
def _packages() -> tuple[tuple[str, Path], ...]:
    """Installed packages with an entry point of ours, and their folders."""
    return tuple(_package_folders())


def _package_folders() -> Iterator[tuple[str, Path]]:
    for point in metadata.entry_points(group=GROUP):
        try:
            spec = importlib.util.find_spec(point.value)
        except ModuleNotFoundError:
            spec = None
        if spec is None or not spec.submodule_search_locations:
            raise CellError(f"the entry point {GROUP}:{point.name} names {point.value}, which is no installed package")
        yield point.value, Path(spec.submodule_search_locations[0]).resolve()


def _refuse_taken_names() -> None:
    """Raises:
    CellError: a file of somebody's own that has the name of ours: which of them is meant could not be said.
    """
    own = [(kind, folder / kind) for folder in _folders() for kind in _OURS]
    for kind, folder in own:
        for file in folder.rglob("*.yaml" if kind != "benchmarks" else "*.py"):
            if file.name != "__init__.py" and (_OURS[kind] / file.relative_to(folder)).exists():
                raise CellError(f"{file} has the name of a file of KAWHI's own {kind}: call it otherwise")
