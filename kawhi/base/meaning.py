"""What code means: a fingerprint of definitions and of all that they use, whatever it is called and wherever it is.

Code is read and not imported.  Comments, docstrings, annotations, formatting, and the names of our own modules and of
what they define make no difference; the versions of other people's packages do, and so does the name of a script that
is run by its path.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
from collections import deque
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from kawhi.base.pins import MISSING, version

ON_IMPORT, WHOLE = "", "*"
"""In the place of a definition's name: what a module does when it is imported; all that is in a file or a folder."""


class Meaning:
    """What has been asked for and what that uses, each with a number in the order in which it is come upon.

    Args:
        root: the folder that holds the package ``kawhi``.
    """

    def __init__(self, root: Path):
        self.root = root
        self.packages: set[str] = set()
        self._numbers: dict[tuple[Path, str], int] = {}
        self._open: deque[tuple[Path, str]] = deque()
        self._texts: list[str] = []

    def module(self, file: Path) -> Module:
        """What is in a file; importing it is a use of what it does then."""
        module = read(file)
        if module.on_import:
            self._number(file, ON_IMPORT)
        return module

    def file_of(self, name: str, beside: Path | None = None) -> Path | None:
        """The file of one of our modules, which a script may also have beside it; ``None`` for other people's."""
        bare = name.lstrip(".")
        path, level = Path(*bare.split(".")), len(name) - len(bare)
        places = [self.root / path] if path.parts[:1] == ("kawhi",) else []
        if beside and not places:
            places = [beside.parents[max(0, level - 1)] / path]
        files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
        return next((file for file in files if file.is_file()), None)

    def use(self, file: Path, name: str = WHOLE) -> str:
        """The number of a definition, or of all of a file, as text; what it uses is looked at later."""
        if file.suffix != ".py" or name == WHOLE:
            return self._number(file, WHOLE)
        module = self.module(file)
        if name in module.imported:
            return self.imported(file, *module.imported[name])
        return self._number(file, name if name in module.defined else WHOLE)

    def imported(self, by: Path, module: str, name: str | None) -> str:
        """The same of what a file imports; of other people's its full name."""
        file = self.file_of(module, by)
        if file is None:
            self.packages.add(module.split(".")[0])
            return f"{module}:{name or ''}"
        if name is None:
            return self.use(file)
        submodule = self.file_of(_dotted(module, name), by)
        return self.use(submodule) if submodule else self.use(file, name)

    def look(self, file: Path, node: ast.AST) -> None:
        """Takes in a piece of a file's code and what it uses."""
        self._texts.append(_Text(self, file).of(node))

    def look_at(self, file: Path, name: str = WHOLE) -> None:
        """Takes in a definition, or a whole file, and what it uses."""
        self._texts.append(self.use(file, name))

    def fingerprint(self, *, versions: bool = True) -> str:
        """12 hexadecimal digits, of what was taken in until now.

        Args:
            versions: with those of other people's packages.
        """
        while self._open:
            self._texts.append(self._text(*self._open.popleft()))
        told = [*self._texts, *(self.versions() if versions else [])]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()[:12]

    def versions(self) -> list[str]:
        """``package==version`` of other people's packages that are used; ``missing`` where one is not installed."""
        return sorted({version_of(package) for package in self.packages - sys.stdlib_module_names})

    def _number(self, file: Path, name: str) -> str:
        if (file, name) not in self._numbers:
            self._numbers[file, name] = len(self._numbers)
            self._open.append((file, name))
        return f"#{self._numbers[file, name]}"

    def _text(self, file: Path, name: str) -> str:
        if file.is_dir():
            return " ".join(self.use(each) for each in sorted(file.rglob("*")) if each.suffix in (".py", ".yaml"))
        if file.suffix != ".py":
            return _content(file)
        module = self.module(file)
        if name == WHOLE:
            return " ".join(self.use(file, each) for each in module.defined) + _Text(self, file).of(module.as_script)
        return _Text(self, file).of(module.on_import if name == ON_IMPORT else module.defined[name])


class Module:
    """What a file defines, imports and does.

    Attributes:
        imported: name in the file -> module and, for ``from module import name``, the name there.
        defined: name -> the statements that give it its value.
        on_import, as_script: other statements: those that every import runs, and those for ``__main__`` alone.
    """

    def __init__(self, file: Path):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        self.imported: dict[str, tuple[str, str | None]] = {}
        self.defined: dict[str, list[ast.stmt]] = {}
        self.on_import: list[ast.stmt] = []
        self.as_script: list[ast.stmt] = []
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self.imported |= {each.asname or each.name.split(".")[0]: (each.name, None) for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                self.imported |= {each.asname or each.name: (module, each.name) for each in node.names}
        for statement in tree.body:
            self._sort(statement)

    def _sort(self, statement: ast.stmt) -> None:
        names = _given_by(statement)
        for name in names:
            self.defined.setdefault(name, []).append(statement)
        if not names and not _without_effect(statement):
            script = isinstance(statement, ast.If) and "__main__" in ast.dump(statement.test)
            (self.as_script if script else self.on_import).append(statement)


read = cache(Module)
"""A file, read once by a process."""


def _dotted(module: str, name: str | None) -> str:
    return f"{module}{'' if module.endswith('.') else '.'}{name}" if name else module


def _given_by(statement: ast.stmt) -> list[str]:
    """The names that a statement of a module defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return []
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    nodes = [node for target in targets for node in ast.walk(target)]
    return [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


def _without_effect(statement: ast.stmt) -> bool:
    """Whether it is an import, whose effect is where the name is used, or a docstring."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    docstring = isinstance(value, ast.Constant) and isinstance(value.value, str)
    return docstring or isinstance(statement, ast.Import | ast.ImportFrom | ast.Pass)


class _Text:
    """Code as text, with the number of what is meant in the place of its name.

    A method that is called as a kind of node says what stands for one of that kind, or ``None`` where nothing does.
    """

    def __init__(self, meaning: Meaning, file: Path):
        self.meaning, self.file, self.own = meaning, file, meaning.module(file)

    def of(self, node: Any) -> str:
        if isinstance(node, list):
            return f"[{' '.join(self.of(each) for each in node if not _without_effect(each))}]"
        if not isinstance(node, ast.AST):
            return repr(node)
        kind = type(node).__name__
        known = getattr(self, kind, None)
        return (known(node) if known else None) or f"{kind}({' '.join(map(self.of, self._parts(node)))})"

    def _parts(self, node: ast.AST) -> Iterator[Any]:
        for name, value in ast.iter_fields(node):
            if name == "name" and value in self.own.defined and node.col_offset == 0:  # type: ignore[attr-defined]
                yield self.meaning.use(self.file, value)
            elif name not in ("annotation", "returns", "ctx") and (name, value) != ("type_params", []):
                yield value  # Python 3.11 knows no type parameters

    def Name(self, node: ast.Name) -> str | None:
        known = node.id in self.own.imported or node.id in self.own.defined
        return self.meaning.use(self.file, node.id) if known else None

    def Attribute(self, node: ast.Attribute) -> str | None:
        """``sandbox.draw`` where ``sandbox`` is a module of ours."""
        target = self.own.imported.get(node.value.id) if isinstance(node.value, ast.Name) else None
        file = self.meaning.file_of(_dotted(*target), self.file) if target else None
        return self.meaning.use(file, node.attr) if file else None

    def Constant(self, node: ast.Constant) -> str | None:
        """``"kawhi.rewards.sandbox_child"`` is run by this name."""
        named = isinstance(node.value, str) and re.fullmatch(r"kawhi(\.\w+)+", node.value)
        file = self.meaning.file_of(node.value) if named else None  # type: ignore[arg-type]
        return self.meaning.use(file) if file else None

    def BinOp(self, node: ast.BinOp) -> str | None:
        """``Path(__file__).parent / "questions.yaml"`` reads the file."""
        named = isinstance(node.op, ast.Div) and isinstance(node.right, ast.Constant)
        path = self.file.parent / str(node.right.value) if named else None  # type: ignore[attr-defined]
        return f"{self.of(node.left)} / {self.meaning.use(path)}" if path and path.exists() else None


def _content(file: Path) -> str:
    """A YAML file is what it says; any other its bytes."""
    if file.suffix == ".yaml":
        return json.dumps(yaml.safe_load(file.read_text(encoding="utf-8")), sort_keys=True)
    return hashlib.sha256(file.read_bytes()).hexdigest()


@cache
def version_of(module: str) -> str:
    """``package==version`` of the package that a module of other people's is from."""
    if module not in _distributions():
        return f"{module}=={MISSING}"
    name = _distributions()[module][0]
    return f"{re.sub('[-_.]+', '-', name).lower()}=={version(name)}"


@cache
def _distributions() -> dict[str, list[str]]:
    return {module: sorted(set(names)) for module, names in metadata.packages_distributions().items()}
