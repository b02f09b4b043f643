"""docs/bends.md names every internal name of a library that the code uses, and nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bends import rows
from tests.cells import ROOT

FOLDERS = ("kawhi", "analysis", "experiments", "hydra_plugins", "benchmarks")
FILES = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
# What Python documents, and what any object may have.
DOCUMENTED = {"_exit", "__wrapped__"}.union(*map(dir, (type, dict, ast, BaseException, lambda: None)))
BY_STRING = ("getattr", "hasattr", "setattr", "delattr")


def private(name: str) -> bool:
    return name.startswith("_") and name not in DOCUMENTED and name != "__future__"


def internal(paths: list[str]) -> Iterator[str]:
    """The internal parts of paths that begin in a library."""
    for first, *rest in (path.split(".") for path in paths):
        if first not in FOLDERS:
            yield from filter(private, (first, *rest))


def imported(nodes: list[ast.AST]) -> Iterator[tuple[str, str]]:
    """Local name of each import, and what it stands for."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((each.asname or each.name.split(".")[0], each.name) for each in node.names)
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((each.asname or each.name, f"{node.module}.{each.name}") for each in node.names)


class Source:
    """A file of ours, and what it takes of libraries that they do not offer."""

    def __init__(self, text: str):
        self.nodes = list(ast.walk(ast.parse(text)))
        self.origin = dict(imported(self.nodes))
        self.functions = {node.name for node in self.each(ast.FunctionDef, ast.AsyncFunctionDef)}
        self.own = self.functions | {node.name for node in self.each(ast.ClassDef)}
        self.own |= {node.id for node in self.each(ast.Name) if isinstance(node.ctx, ast.Store)}
        attributes = [node for node in self.each(ast.Attribute) if isinstance(node.ctx, ast.Store)]
        self.own |= {node.attr for node in attributes if self.root(node) in ("self", "cls")}

    def each(self, *kinds: type) -> list:
        return [node for node in self.nodes if isinstance(node, kinds)]

    def root(self, node: ast.expr) -> str:
        """The name that an expression begins with."""
        while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
            node = node.func if isinstance(node, ast.Call) else node.value
        return node.id if isinstance(node, ast.Name) else ""

    def foreign(self, node: ast.expr) -> bool:
        package = self.origin.get(self.root(node), "sys").split(".")[0]
        return package not in (*FOLDERS, "sys")

    def ours(self, node: ast.expr) -> bool:
        return self.origin.get(self.root(node), "").split(".")[0] in FOLDERS

    def bends(self) -> Iterator[str]:
        found = [*self._imports(), *self._strings()]
        found += [node.attr for node in self.each(ast.Attribute) if not self.ours(node) and self._is_theirs(node)]
        for call in self.each(ast.Call):
            found += self._by_string(call)
        for node in self.each(ast.Assign):
            places = [place for target in node.targets for place in getattr(target, "elts", [target])]
            found += [place.attr for place in places if self._replaces(place, node.value)]
        return iter(found)

    def _imports(self) -> Iterator[str]:
        for node in self.each(ast.Import, ast.ImportFrom):
            paths = [alias.name for alias in node.names]
            paths = [f"{node.module}.{path}" for path in paths] if isinstance(node, ast.ImportFrom) else paths
            if not getattr(node, "level", 0):
                yield from internal(paths)

    def _strings(self) -> Iterator[str]:
        texts = [node.value for node in self.each(ast.Constant) if isinstance(node.value, str)]
        return internal([text for text in texts if re.fullmatch(r"[a-z]\w*(\.\w+)+", text)])

    def _is_theirs(self, node: ast.Attribute) -> bool:
        return private(node.attr) and (self.root(node) == "super" or node.attr not in self.own)

    def _by_string(self, call: ast.Call) -> Iterator[str]:
        """Attributes that a call is told by their names."""
        asked = self.root(call.func)
        if asked in BY_STRING or any(map(self.foreign, call.args)):
            named = {each.value for each in call.args if isinstance(each, ast.Constant)} - {None}
            yield from (each for each in map(str, named) if each.isidentifier() and private(each))
        if asked == "setattr" and self.foreign(call.args[0]):
            yield self.root(call.args[0])

    def _replaces(self, target: ast.expr, value: ast.expr) -> bool:
        """Whether this sets an attribute of a library's module or class, or a function of any object from outside."""
        if not isinstance(target, ast.Attribute) or self.root(target) in ("self", "cls") or self.ours(target):
            return False
        made = value.func if isinstance(value, ast.Call) else value
        function = isinstance(made, ast.Lambda) or (isinstance(made, ast.Name) and made.id in self.functions)
        return self.foreign(target) or (function and self.root(target) not in self.functions)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_internal_name_is_on_the_page(folder):
    listed = {(file, part) for row in rows() for file in row.files for name in row.names for part in name.split(".")}
    found = {
        (str(file.relative_to(ROOT)), name)
        for file in FILES
        if file.relative_to(ROOT).parts[0] == folder
        for name in Source(file.read_text(encoding="utf-8")).bends()
    }
    assert found - listed == set()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("from hydra._internal.utils import run", "_internal"),
        ("import torch._dynamo", "_dynamo"),
        ("from verl.utils import _hidden", "_hidden"),
        ("import verl.utils as tu\ntu._hidden()", "_hidden"),
        ("class A(B):\n    def _step(self):\n        return super()._step()", "_step"),
        ("class A(B):\n    def go(self):\n        return self._of_b()", "_of_b"),
        ("import verl\nverl.run = print", "run"),
        ("import verl\nsetattr(verl, name, 1)", "verl"),
        ("def other():\n    pass\ndef bend(model):\n    model.forward = other", "forward"),
        ("def bend(model):\n    model.clean = lambda: None", "clean"),
        ("sys.modules['ray._raylet']", "_raylet"),
        ("getattr(model, '_hidden')", "_hidden"),
        ("TaskRunner.__ray_metadata__", "__ray_metadata__"),
    ],
)
def test_each_way_to_bend_is_found(text, name):
    assert list(Source(text).bends()) == [name]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.names[0])
def test_each_row_is_true(row):
    """Its files use its names, or say what they are; its tests exist."""
    for file in row.files:
        assert (ROOT / file).is_file(), file
    assert row.tests
    for test in row.tests:
        file, _, function = test.partition("::")
        assert f"def {function}(" in (ROOT / file).read_text(encoding="utf-8") if function else (ROOT / file).is_file()


def test_each_internal_name_is_used_where_the_page_says():
    for row in rows():
        text = "".join((ROOT / file).read_text(encoding="utf-8") for file in row.files)
        for name in row.names:
            for part in filter(private, name.split(".")):
                assert re.search(rf"\b{part}\b", text), name


def test_the_headings_are_the_versions_of_the_lock_file():
    lines = (ROOT / "requirements" / "cpu.txt").read_text(encoding="utf-8").splitlines()
    locked = {"python": "3.11"} | dict(line.lower().replace("_", "-").split("==") for line in lines if "==" in line)
    for heading in sorted({row.library for row in rows()}):
        library, version = heading.lower().split()
        assert f"{locked.get(library) or locked[f'{library}-cpu']}.".startswith(f"{version}."), heading


def test_docstrings_point_to_tests_that_exist():
    named = {match for file in FILES for match in re.findall(r"``(tests/[\w/]+\.py)``", Path(file).read_text())}
    assert len(named) > 5
    assert [each for each in sorted(named) if not (ROOT / each).is_file()] == []
