"""What is somebody's own is found where it was named, and nothing of it is taken for ours."""

from __future__ import annotations

import pytest

from kawhi.base import included
from kawhi.base.errors import CellError


@pytest.fixture
def mine(tmp_path):
    folder = tmp_path / "mine"
    for name, text in {
        "methods/one.py": "",
        "benchmarks/__init__.py": "",
        "benchmarks/two.py": "BENCHMARK = 2\n",
        "benchmarks/helper.py": "",
        "prompts/kawhi_two.yaml": "",
        "conf/credit/one.yaml": "",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_folder_has_files_of_each_kind(mine):
    included.include([mine, mine])
    assert included.named() == [mine]
    assert included.files("methods") == [mine / "methods/one.py"]
    assert included.benchmark_file("two") == mine / "benchmarks/two.py"
    assert included.benchmark_file("helper") is None
    assert included.files("prompts") == [mine / "prompts/kawhi_two.yaml"]
    assert included.configuration_file("credit", "one") == mine / "conf/credit/one.yaml"
    assert included.configuration_file("credit", "kawhi") == included.CONF / "credit/kawhi.yaml"
    assert included.run(mine / "benchmarks/two.py").BENCHMARK == 2


def test_a_command_line_names_them_anywhere(mine):
    (mine.parent / "three.py").write_text("BENCHMARK = 3\n")
    words = ["a=1", "--include", str(mine), f"--include={mine.parent / 'three.py'}", "-m"]
    assert included.taken_from(words) == ["a=1", "-m"]
    assert included.benchmark_file("three") == mine.parent / "three.py"
    with pytest.raises(CellError, match="needs a file"):
        included.taken_from(["--include"])


def test_a_relative_path_of_the_variable_is_the_same_file_in_every_folder(mine, monkeypatch):
    monkeypatch.chdir(mine.parent)
    monkeypatch.setenv(included.VARIABLE, "mine/benchmarks/two.py:mine")
    included.include([])
    assert included.named() == [mine / "benchmarks/two.py", mine]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone", "there is no file or folder"),
        ("mine/conf/credit", "has none of the folders"),
        ("mine/conf/credit/one.yaml", "is no Python file"),
    ],
)
def test_what_is_no_addition_is_refused(mine, name, said):
    with pytest.raises(CellError, match=said):
        included.include([mine.parent / name])
    assert included.named() == []


@pytest.mark.parametrize("name", ["conf/credit/kawhi.yaml", "benchmarks/tiny.py", "prompts/kawhi_mathvista.yaml"])
def test_a_name_of_ours_is_refused(mine, name):
    (mine / name).write_text("")
    with pytest.raises(CellError, match="call it otherwise"):
        included.include([mine])


def test_a_comment_is_no_part_of_what_a_file_says(tmp_path):
    texts = {
        "one": "import os\n\ndef two(x):\n    return x + 1\n",
        "same": '"""Says."""\nimport os\n\ndef two(x):\n    # adds\n    return (x + 1)\n',
        "other": "import os\n\ndef two(x):\n    return x + 2\n",
        "done": "import os\n\ndef two(x):\n    return x + 1\n\nprint(two(1))\n",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    found = {name: included.source(tmp_path / f"{name}.py") for name in texts}
    assert found["one"] == found["same"]
    assert len(set(found.values())) == 3


def test_a_package_s_folder_is_that_of_its_entry_point(mine, monkeypatch):
    """Its modules are imported by their names, so that one can use another."""
    (mine / "__init__.py").write_text("")
    (mine / "benchmarks" / "two.py").write_text("from mine.benchmarks import helper\nBENCHMARK = helper.__name__\n")
    monkeypatch.syspath_prepend(mine.parent)
    monkeypatch.setattr(included, "_packages", lambda: (("mine", mine),))
    assert included.run(included.benchmark_file("two")).BENCHMARK == "mine.benchmarks.helper"
