"""Which changes of the code change the fingerprint of which benchmarks' scores."""

from __future__ import annotations

import ast
import shutil

import pytest

from kawhi.base import meaning
from kawhi.evaluation import rules
from kawhi.evaluation.rules import changed_rules, rules_of
from tests.cells import ROOT
from tests.evaluation.examples import tasks

TASKS = sorted(tasks())
BENCHMARKS, ANSWERS = "evaluation/benchmarks", "rewards/answers.py"
BY_VALUE = {"kawhi_mathverse", "kawhi_mathvision", "kawhi_wemath"}
WITH_CHOICES = BY_VALUE | {"kawhi_chartqapro", "kawhi_mathvista"}
DESCRIPTIVE = {"kawhi_charxiv_descriptive"}
CHARXIV = DESCRIPTIVE | {"kawhi_charxiv_reasoning"}


@pytest.fixture
def copy(tmp_path):
    """The folder of a copy of the package, as far as scores go."""
    for room in ("evaluation", "rewards", "base", "pictures"):
        shutil.copytree(ROOT / "kawhi" / room, tmp_path / "kawhi" / room, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def changed(copy) -> set[str]:
    return {task for task in TASKS if rules_of(task, copy) != rules_of(task)}


def test_every_benchmark_has_rules_of_its_own(copy):
    assert rules_of("kawhi_reading") == rules_of("kawhi_tiny")  # other problems, answered and scored alike
    assert len({rules_of(task) for task in TASKS}) == len(TASKS) - 1
    assert changed(copy) == set()


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        # A benchmark's own rule, verdict and score
        (f"{BENCHMARKS}/mathvista.py", "len(extraction) > MAX", "len(extraction) >= MAX", {"kawhi_mathvista"}),
        (f"{BENCHMARKS}/mme.py", "50 * sum(right)", "40 * sum(right)", {"kawhi_mme"}),
        (f"{BENCHMARKS}/chartmimic.py", '["score"] / 100', '["score"] / 99', {"kawhi_chartmimic"}),
        (f"{BENCHMARKS}/charxiv.py", 'text.split(",")', 'text.split(";")', CHARXIV),
        # What a benchmark asks of the model, which no rule changes
        (f"{BENCHMARKS}/mathvista.py", '"Solution:"', '"My solution:"', set()),
        # What it asks of the judge
        ("evaluation/prompts/kawhi_mathverse.yaml", "max_tokens: ", "max_tokens: 1", {"kawhi_mathverse"}),
        ("evaluation/prompts/kawhi_mathvista.yaml", "# MathVista: what", "# What", set()),
        (
            f"{BENCHMARKS}/charxiv_questions.yaml",
            "what is its title?",
            "what is the title?",
            {"kawhi_charxiv_descriptive"},
        ),
        # What several share
        (ANSWERS, 'return "right" if taken == letter', 'return "right" if taken != letter', BY_VALUE),
        (ANSWERS, "if len(same) == 1:", "if len(same) >= 1:", WITH_CHOICES),
        ("rewards/sandbox_child.py", "import signal\n", "import signal\n\nsignal.alarm(9)\n", WITH_CHOICES),
        ("rewards/boxed.py", "boxes.pop()[1]", "boxes.pop()[0]", set(TASKS) - {"kawhi_chartmimic"}),
        ("evaluation/chartmimic/child/tracing.py", "import io\n", "import io\n\nio.open\n", {"kawhi_chartmimic"}),
        # The way from outcomes to numbers
        ("evaluation/scoring.py", "round(value, 4)", "round(value, 5)", set(TASKS)),
        ("evaluation/judge.py", "if any(reply.error", "if all(reply.error", set(TASKS)),
        # Everything else of the room
        ("evaluation/judge.py", "sent += heard.attempts", "sent += 2 * heard.attempts", set()),
        ("evaluation/generate.py", "THUMBNAIL = 512", "THUMBNAIL = 256", set()),
    ],
)
def test_a_change_shows_in_exactly_the_scores_that_it_makes(copy, file, old, new, expected):
    path = copy / "kawhi" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    assert changed(copy) == expected


def test_comments_docstrings_and_formatting_change_nothing(copy):
    for file in copy.rglob("*.py"):
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
                node.body[0].value.value = "Something else."
        file.write_text("# Written again.\n" + ast.unparse(tree))
    assert changed(copy) == set()


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("rewards/answers.py", "reading"),
        ("rewards/sandbox_child.py", "verifier"),
        ("evaluation/benchmarks/charxiv.py", "figures"),
        ("evaluation/chartmimic/sandbox.py", "jail"),
    ],
)
def test_a_renamed_file_changes_nothing(copy, file, name):
    path = copy / "kawhi" / file
    old, package = path.stem, ".".join(["kawhi", *path.relative_to(copy / "kawhi").parts[:-1]])
    path.rename(path.with_stem(name))
    for each in copy.rglob("*.py"):
        text = each.read_text()
        text = text.replace(f"{package}.{old} ", f"{package}.{name} ").replace(
            f'{package}.{old}"', f'{package}.{name}"'
        )
        each.write_text(text.replace(f"from {package} import {old}\n", f"from {package} import {name} as {old}\n"))
    assert changed(copy) == set()


def test_a_score_by_other_rules_is_told():
    today = rules_of("kawhi_mathvista")
    assert changed_rules("kawhi_mathvista", "abcabcabcabc") == today
    assert changed_rules("kawhi_mathvista", today) is None


def test_nobody_can_say_without_a_fingerprint_a_benchmark_or_its_packages(monkeypatch):
    assert changed_rules("kawhi_mathvista", None) is None
    assert changed_rules("kawhi_no_such_benchmark", "abcabcabcabc") is None
    monkeypatch.setattr(meaning, "version_of", lambda module: f"{module}=={meaning.MISSING}")
    rules._rules.cache_clear()
    assert changed_rules("kawhi_mathvista", "abcabcabcabc") is None
    assert changed_rules("kawhi_tiny", "abcabcabcabc") == rules_of("kawhi_tiny")
    rules._rules.cache_clear()
