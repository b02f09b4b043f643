"""What made a score: a fingerprint of the benchmark's own rule, its judge's prompts, and all that these use.

It covers what happens between a stored response and the number: what was asked of the model is not in it, because no
rule that changes makes another response.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from kawhi.base.included import OPTION, benchmark_file, files
from kawhi.base.meaning import Meaning
from kawhi.base.pins import MISSING

ROOT = Path(__file__).parents[2]
SCORES = ("rule", "questions", "verdict", "scores")
"""Attributes of a ``Benchmark`` that make a score of a response."""
SHARED = {"scoring": "numbers", "judge": "decided"}
"""Module of this room -> its definition that every score goes through."""


def rules_of(task: str, root: Path = ROOT) -> str:
    """12 hexadecimal digits of what makes this benchmark's scores today; equal ones give a response equal scores.

    Args:
        root: the folder that holds the package.

    Raises:
        FileNotFoundError: there is no such benchmark.
    """
    return _rules(task, root)[0]


def changed_rules(task: str, rules: str | None) -> str | None:
    """Today's fingerprint, where the one that a score carries is another.

    ``None`` where nobody can say: the score carries none, or this installation cannot score the benchmark.
    """
    try:
        today, complete = _rules(task, ROOT)
    except FileNotFoundError:
        return None
    return today if complete and rules not in (None, today) else None


@cache
def _rules(task: str, root: Path) -> tuple[str, bool]:
    """The fingerprint, and whether all packages that the rule uses are installed."""
    room, meaning = root / "kawhi" / "evaluation", Meaning(root)
    name = task.removeprefix("kawhi_")
    file = benchmark_file(name) or room / "benchmarks" / f"{name}.py"
    if not file.is_file():
        raise FileNotFoundError(f"there is no benchmark {name}: {OPTION} names the file or the folder that has it")
    for statement in meaning.module(file).defined["BENCHMARK"]:
        meaning.look(file, _arguments(statement, _attributes(meaning, room), scoring=True))
    for module, name in SHARED.items():
        meaning.look_at(room / f"{module}.py", name)
    own = (each for each in files("prompts") if each.stem == task)
    prompts = next(own, room / "prompts" / f"{task}.yaml")
    if prompts.is_file():
        meaning.look_at(prompts)
    return meaning.fingerprint(), not any(each.endswith(MISSING) for each in meaning.versions())


def _attributes(meaning: Meaning, room: Path) -> list[str]:
    """Of a ``Benchmark``, in order."""
    (definition,) = meaning.module(room / "benchmark.py").defined["Benchmark"]
    assert isinstance(definition, ast.ClassDef)
    return [each.target.id for each in definition.body if isinstance(each, ast.AnnAssign)]  # type: ignore[union-attr]


def asked_by(task: str) -> str | None:
    """12 hexadecimal digits of what somebody's own benchmark asks a model; ``None`` for one of ours.

    It is what its own files say but for what makes a score of a response: for that there is :func:`rules_of`.
    """
    file = benchmark_file(task.removeprefix("kawhi_"))
    if file is None:
        return None
    meaning = Meaning(file.parent)
    for statement in meaning.module(file).defined["BENCHMARK"]:
        attributes = _attributes(meaning, ROOT / "kawhi" / "evaluation")
        meaning.look(file, _arguments(statement, attributes, scoring=False))
    return meaning.fingerprint(versions=False)


def _arguments(statement: ast.stmt, attributes: list[str], *, scoring: bool) -> ast.AST:
    """Of ``BENCHMARK = Benchmark(...)`` the arguments that make a score, or the others; of anything else all."""
    call = getattr(statement, "value", None)
    if not isinstance(call, ast.Call) or getattr(call.func, "id", "") != "Benchmark":
        return statement
    given = dict(zip(attributes, call.args, strict=False)) | {each.arg: each.value for each in call.keywords}
    names = SCORES if scoring else [name for name in attributes if name not in SCORES]
    named = {name: given[name] for name in names if name in given}
    return ast.Dict([ast.Constant(name) for name in named], [*named.values()])
