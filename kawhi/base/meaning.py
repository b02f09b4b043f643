"""What code means: a fingerprint of definitions and of all that they use, whatever it is called and wherever it is.

Code is read and not imported.  Comments, docstrings, annotations, formatting, and the names of our own modules and of
what they define make no difference; the versions of other people's packages do, and so does the name of a script that
is run by its path.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import json
import re
import sys
from collections import deque
from functools import cache
from importlib import metadata
from pathlib import Path

import yaml

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
        self._modules: dict[Path, Module] = {}
        self._numbers: dict[tuple[Path, str], int] = {}
        self._open: deque[tuple[Path, str]] = deque()
        self._texts: list[str] = []

    def module(self, file: Path) -> Module:
        """A file, read once."""
        if file not in self._modules:
            self._modules[file] = Module(file)
            if self._modules[file].on_import:
                self._number(file, ON_IMPORT)
        return self._modules[file]

    def file_of(self, name: str, beside: Path | None = None) -> Path | None:
        """The file of one of our modules, which a script may also have beside it; ``None`` for other people's."""
        path = Path(*name.split("."))
        places = [self.root / path] if path.parts[0] == "kawhi" else [beside.parent / path] if beside else []
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
        submodule = self.file_of(f"{module}.{name}", by)
        return self.use(submodule) if submodule else self.use(file, name)

    def look(self, file: Path, node: ast.AST) -> None:
        """Takes in a piece of a file's code and what it uses."""
        self._texts.append(ast.dump(_References(self, file).visit(copy.deepcopy(node))))

    def look_at(self, file: Path, name: str = WHOLE) -> None:
        """Takes in a definition, or a whole file, and what it uses."""
        self._texts.append(self.use(file, name))

    def fingerprint(self) -> str:
        """12 hexadecimal digits.

        Raises:
            metadata.PackageNotFoundError: a package that is used is not installed, so nobody knows its version.
        """
        while self._open:
            self._texts.append(self._text(*self._open.popleft()))
        versions = sorted({version_of(package) for package in self.packages - sys.stdlib_module_names})
        return hashlib.sha256("\n".join([*self._texts, *versions]).encode()).hexdigest()[:12]

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
            return " ".join(self.use(file, each) for each in module.defined) + self._dumped(file, module.as_script)
        return self._dumped(file, module.on_import if name == ON_IMPORT else module.defined[name])

    def _dumped(self, file: Path, nodes: list[ast.stmt]) -> str:
        references = _References(self, file)
        return "\n".join(ast.dump(references.visit(copy.deepcopy(node))) for node in nodes)


class Module:
    """What a file defines, imports and does, without docstrings and annotations.

    Attributes:
        imported: name in the file -> module and, for ``from module import name``, the name there.
        defined: name -> the statements that give it its value.
        on_import, as_script: other statements: those that every import runs, and those for ``__main__`` alone.
    """

    def __init__(self, file: Path):
        tree = _Bare().visit(ast.parse(file.read_text(encoding="utf-8")))
        self.imported: dict[str, tuple[str, str | None]] = {}
        self.defined: dict[str, list[ast.stmt]] = {}
        self.on_import: list[ast.stmt] = []
        self.as_script: list[ast.stmt] = []
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self.imported |= {each.asname or each.name.split(".")[0]: (each.name, None) for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                self.imported |= {each.asname or each.name: (str(node.module), each.name) for each in node.names}
        for statement in tree.body:
            self._sort(statement)

    def _sort(self, statement: ast.stmt) -> None:
        names = _given_by(statement)
        for name in names:
            self.defined.setdefault(name, []).append(statement)
        if not names and not isinstance(statement, ast.Import | ast.ImportFrom | ast.Pass):
            script = isinstance(statement, ast.If) and "__main__" in ast.dump(statement.test)
            (self.as_script if script else self.on_import).append(statement)


def _given_by(statement: ast.stmt) -> list[str]:
    """The names that a statement of a module defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return []
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    nodes = [node for target in targets for node in ast.walk(target)]
    return [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


class _Bare(ast.NodeTransformer):
    """Leaves out docstrings and annotations."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for name in ("annotation", "returns"):
            if getattr(node, name, None) is not None:
                setattr(node, name, ast.Constant(None) if isinstance(node, ast.AnnAssign) else None)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [each for each in body if not _is_text(each)] or [ast.Pass()]  # type: ignore[attr-defined]
        return super().generic_visit(node)


def _is_text(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


class _References(ast.NodeTransformer):
    """Puts the number of what is meant in the place of its name."""

    def __init__(self, meaning: Meaning, file: Path):
        self.meaning, self.file, self.own = meaning, file, meaning.module(file)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self.own.imported or node.id in self.own.defined:
            node.id = self.meaning.use(self.file, node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        target = self.own.imported.get(node.value.id) if isinstance(node.value, ast.Name) else None
        file = self.meaning.file_of(".".join(filter(None, target)), self.file) if target else None
        if file is None:
            return self.generic_visit(node)
        return ast.Name(self.meaning.use(file, node.attr), node.ctx)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """``"kawhi.rewards.sandbox_child"`` is run by this name."""
        text = node.value if isinstance(node.value, str) and re.fullmatch(r"kawhi(\.\w+)+", node.value) else None
        file = self.meaning.file_of(text) if text else None
        return ast.Constant(self.meaning.use(file)) if file else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """``Path(__file__).parent / "questions.yaml"`` reads the file."""
        if isinstance(node.op, ast.Div) and isinstance(node.right, ast.Constant) and isinstance(node.right.value, str):
            path = self.file.parent / node.right.value
            if path.exists():
                node.right = ast.Constant(self.meaning.use(path))
        return self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> ast.AST:
        return ast.Pass()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        return ast.Pass()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._nameless(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._nameless(node)

    def _nameless(self, node: ast.FunctionDef | ast.ClassDef) -> ast.AST:
        """A module's own definition is called by its number."""
        if node.name in self.own.defined and node.col_offset == 0:
            node.name = self.meaning.use(self.file, node.name)
        return self.generic_visit(node)


def _content(file: Path) -> str:
    """A YAML file is what it says; any other its bytes."""
    if file.suffix == ".yaml":
        return json.dumps(yaml.safe_load(file.read_text(encoding="utf-8")), sort_keys=True)
    return hashlib.sha256(file.read_bytes()).hexdigest()


@cache
def version_of(package: str) -> str:
    """``package==version`` of what a module of other people's is from.

    Raises:
        metadata.PackageNotFoundError: it is not installed.
    """
    if package not in _distributions():
        raise metadata.PackageNotFoundError(package)
    name = _distributions()[package][0]
    return f"{re.sub('[-_.]+', '-', name).lower()}=={metadata.version(name)}"


@cache
def _distributions() -> dict[str, list[str]]:
    return {module: sorted(set(names)) for module, names in metadata.packages_distributions().items()}
