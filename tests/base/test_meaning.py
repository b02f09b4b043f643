"""What changes a fingerprint of code, and what does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kawhi.base import meaning
from kawhi.base.meaning import Meaning

FILES = {
    "start.py": '''
"""A module."""
from __future__ import annotations

from decimal import Decimal

import yaml

from kawhi.helpers import double, unused
from kawhi import limits

FIRST, SECOND = double(1), double(2)


def answer(text: str) -> Decimal:
    """Doubles a number."""
    # A comment.
    return Decimal(double(int(text))) if len(text) < limits.LENGTH else SECOND


def asked() -> dict:
    from kawhi.questions import questions

    return yaml.safe_load(questions())


def apart():
    return unused()
''',
    "helpers.py": """
import subprocess
import sys


def double(number):
    return 2 * number if number < 10 else double(number - 1) + _rest(number)


def _rest(number):
    return subprocess.run([sys.executable, "-m", "kawhi.child", str(number)])


def unused():
    return 0
""",
    "limits.py": "LENGTH = 100\nOTHER = 3\n",
    "questions.py": "from pathlib import Path\n\n\ndef questions():\n"
    '    return (Path(__file__).parent / "all.yaml").read_text()\n',
    "all.yaml": "one: Who?\ntwo: What?\n",
    "child.py": """
import numpy as np

from kawhi.limits import LENGTH


def main():
    return np.pi + LENGTH


if __name__ == "__main__":
    main()
""",
}


def written(folder: Path, **other: str) -> Path:
    package = folder / "kawhi"
    package.mkdir(parents=True)
    for name, text in (FILES | {key.replace("_", ".", 1): value for key, value in other.items()}).items():
        (package / name).write_text(text)
    return folder


def fingerprint(root: Path, *names: str, file: str = "start.py") -> str:
    found = Meaning(root)
    for name in names or ("answer", "asked"):
        found.look_at(root / "kawhi" / file, name)
    return found.fingerprint()


@pytest.fixture
def before(tmp_path):
    return fingerprint(written(tmp_path / "before"))


def replaced(name: str, *pairs: tuple[str, str]) -> str:
    text = FILES[name]
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


SAME = {
    "a comment": {"helpers_py": replaced("helpers.py", ("import sys\n", "import sys  # to start one\n"))},
    "a docstring": {"start_py": replaced("start.py", ("Doubles a number.", "Doubles it."), ('"""A module."""', ""))},
    "an annotation": {"start_py": replaced("start.py", ("text: str) -> Decimal", "text)"))},
    "formatting": {"all_yaml": "# All.\n'two': \"What?\"\n'one': Who?\n", "limits_py": "OTHER=3\nLENGTH=(100)"},
    "what is not used": {"helpers_py": replaced("helpers.py", ("return 0", "return 1")), "limits_py": "LENGTH = 100\n"},
    "a helper's name": {"helpers_py": replaced("helpers.py", ("_rest", "_others"))},
    "a relative import": {"start_py": replaced("start.py", ("from kawhi.", "from ."), ("from kawhi ", "from . "))},
    "a definition that moved": {
        "helpers_py": replaced("helpers.py", ("def double", "from kawhi.more import _rest\n\n\ndef double")).replace(
            'def _rest(number):\n    return subprocess.run([sys.executable, "-m", "kawhi.child", str(number)])', ""
        ),
        "more_py": "import subprocess\nimport sys\n\n\ndef _rest(number):\n"
        '    return subprocess.run([sys.executable, "-m", "kawhi.child", str(number)])\n',
    },
}
OTHER = {
    "the code": {"start_py": replaced("start.py", ("<", "<="))},
    "a helper": {"helpers_py": replaced("helpers.py", ("2 * number", "3 * number"))},
    "a helper's helper": {"helpers_py": replaced("helpers.py", ('"-m", ', ""))},
    "a constant": {"limits_py": "LENGTH = 101\n"},
    "a value given beside another": {"start_py": replaced("start.py", ("double(2)", "double(3)"))},
    "what is imported from elsewhere": {"start_py": replaced("start.py", ("from decimal", "from fractions"))},
    "what a module does when it is imported": {"helpers_py": FILES["helpers.py"] + "\n\nsys.setrecursionlimit(10)\n"},
    "a file that is read": {"all_yaml": "one: Who?\ntwo: Why?\n"},
    "a module that is run": {"child_py": replaced("child.py", ("np.pi", "np.e"))},
    "what it does when it is run": {"child_py": replaced("child.py", ("    main()\n", "    print(main())\n"))},
}


@pytest.mark.parametrize("change", SAME)
def test_what_means_the_same_has_the_same_fingerprint(tmp_path, before, change):
    assert fingerprint(written(tmp_path / "after", **SAME[change])) == before


@pytest.mark.parametrize("change", OTHER)
def test_what_means_something_else_has_another(tmp_path, before, change):
    assert fingerprint(written(tmp_path / "after", **OTHER[change])) != before


@pytest.mark.parametrize("name", ["start", "helpers", "limits", "questions", "child", "all.yaml"])
def test_a_renamed_file_changes_nothing(tmp_path, before, name):
    after = written(tmp_path / "after")
    for file in (after / "kawhi").iterdir():
        text = file.read_text()
        text = text.replace(f"kawhi.{name}", "kawhi.renamed").replace(f'"{name}"', '"renamed.yaml"')
        text = text.replace(f"from kawhi import {name}\n", "from kawhi import renamed\n").replace(
            f"{name}.LENGTH", "renamed.LENGTH"
        )
        file.write_text(text)
    file = after / "kawhi" / (name if "." in name else f"{name}.py")
    file.rename(file.with_stem("renamed"))
    start = "renamed.py" if name == "start" else "start.py"
    assert fingerprint(after, file=start) == before


def test_definitions_that_are_exchanged_are_not_the_same(tmp_path):
    exchanged = replaced("start.py", ("double(1), double(2)", "double(2), double(1)"))
    assert fingerprint(written(tmp_path / "a")) != fingerprint(written(tmp_path / "b", start_py=exchanged))


def test_versions_of_other_people_s_packages_count(tmp_path, monkeypatch):
    root = written(tmp_path)
    found = Meaning(root)
    found.look_at(root / "kawhi" / "start.py", "answer")
    found.fingerprint()
    assert [each.split("==")[0] for each in found.versions()] == ["numpy"]
    assert not found.versions()[0].endswith(meaning.MISSING)
    before = fingerprint(root)
    monkeypatch.setattr(meaning, "version_of", lambda module: f"{module}==1")
    assert fingerprint(root) != before


def test_a_package_that_is_not_installed_is_missing():
    assert meaning.version_of("no_such_module") == f"no_such_module=={meaning.MISSING}"


def test_nothing_is_imported(tmp_path):
    root = written(
        tmp_path, start_py="from kawhi.trap import go\n\n\ndef answer():\n    return go()\n", trap_py="1 / 0\n"
    )
    fingerprint(root, "answer")
    assert "kawhi.trap" not in sys.modules


def test_every_python_gives_the_same_fingerprint(tmp_path):
    """3.12 parses definitions into more fields than 3.11; records of both are beside each other in a table."""
    assert fingerprint(written(tmp_path), "answer") == "f46e035a0715"
