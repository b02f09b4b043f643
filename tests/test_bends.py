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


class Source:
    """A file of ours, and what it takes of libraries that they do not offer."""

    def __init__(self, text: str):
        self.nodes = list(ast.walk(ast.parse(text)))
        self.origin: dict[str, str] = {}  # local name -> what was imported under it
        for node in self.nodes:
            if isinstance(node, ast.Import):
                self.origin |= {a.asname or a.name.split(".")[0]: a.name for a in node.names}
            if isinstance(node, ast.ImportFrom) and not node.level:
                self.origin |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
        functions = [node for node in self.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        self.functions = {node.name for node in functions}
        stored = [node for node in self.nodes if isinstance(getattr(node, "ctx", None), ast.Store)]
        self.own = self.functions | {node.name for node in self.nodes if isinstance(node, ast.ClassDef)}
        self.own |= {node.id for node in stored if isinstance(node, ast.Name)}
        self.own |= {n.attr for n in stored if isinstance(n, ast.Attribute) and self.root(n) in ("self", "cls")}

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
        for node in self.nodes:
            match node:
                case ast.ImportFrom(module=str(module), level=0) if module.split(".")[0] not in FOLDERS:
                    inside = filter(private, module.split("."))
                    yield from [*inside, *(alias.name for alias in node.names if private(alias.name))]
                case ast.Import():
                    yield from (part for alias in node.names for part in alias.name.split(".") if private(part))
                case ast.Attribute(attr=attr) if private(attr) and not self.ours(node):
                    if self.root(node) == "super" or attr not in self.own:
                        yield attr
                case ast.Constant(value=str(text)) if re.fullmatch(r"[a-z]\w*(\.\w+)+", text):
                    yield from filter(private, text.split(".") if text.split(".")[0] not in FOLDERS else ())
                case ast.Call():
                    yield from self._by_string(node)
                case ast.Assign():
                    places = [each for target in node.targets for each in getattr(target, "elts", [target])]
                    yield from (each.attr for each in places if self._replaces(each, node.value))

    def _by_string(self, call: ast.Call) -> Iterator[str]:
        """Attributes that a call is told by their names."""
        asks = self.root(call.func) in BY_STRING
        if asks or any(map(self.foreign, call.args)):
            named = [each.value for each in call.args if isinstance(each, ast.Constant)]
            yield from (each for each in named if isinstance(each, str) and each.isidentifier() and private(each))
        if self.root(call.func) == "setattr" and self.foreign(call.args[0]):
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
