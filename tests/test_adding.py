"""The examples of docs/adding_a_*.md and docs/your_own.md, executed in folders that are no checkout.

That of a benchmark is asked as one that ships, too, in a copy of the repository.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from kawhi.base.included import KINDS, VARIABLE
from kawhi.verl_plugin import wire
from tests.adding import Page, run
from tests.cells import ROOT

FILES = {
    "method": ["mine/methods/unsure.py", "mine/conf/credit/unsure.yaml"],
    "benchmark": [
        "mine/benchmarks/last_word.py",
        "mine/conf/benchmarks/last_word.yaml",
        "tests/evaluation/examples/last_word.py",
    ],
    "table": ["mine/conf/experiment/granularity_and_regions.yaml"],
}
PAGES = {what: Page(what) for what in FILES}
WEIGHTS = """
import json, torch
from pathlib import Path
from kawhi.base.included import include
from kawhi.credit.methods import ResponseBatch, build
from kawhi.runs.own_methods import make_known
include([Path("mine")])
assert make_known() == ["unsure"]
signals = {"log_probs": torch.tensor([-3.0, -2.0, -1.0, 0.0])}
batch = ResponseBatch(torch.zeros(4), torch.tensor([0, 1, 4]), signals, None)
print(json.dumps(build("unsure").weights(batch).tolist()))
"""


@pytest.fixture(autouse=True)
def nothing_included(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One for each page, with its files."""
    return {what: page.own(tmp_path_factory.mktemp(what)) for what, page in PAGES.items()}


def typed(folder: Path, command: str, *more: str, **how) -> str:
    """What a command of a page prints, typed in a folder with the code of this checkout."""
    program, *words = shlex.split(command)
    heads = {"kawhi": ["-m", "kawhi"], "kawhi-run": ["-c", "from kawhi.commands.run import main; main()"], "python": []}
    return run(folder, *heads[program], *words, *more, code=ROOT, **how)


@pytest.mark.parametrize("what", FILES)
def test_its_files_are_those_and_its_cells_compose(folders, what):
    page = PAGES[what]
    assert list(page.files) == FILES[what]
    assert f"docs/adding_a_{what}.md" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    told = [command for command in page.commands if command.startswith("kawhi-run")]
    assert told
    for command in told:
        assert "study:" in typed(folders[what], command.replace(" -m ", " "), "--cfg", "job")
    for command in [each for each in page.commands if each.startswith("kawhi plan")]:
        assert "missing" in typed(folders[what], command)


def test_every_command_of_the_pages_is_run_by_a_test():
    known = ("kawhi-run --include ", "kawhi plan --include ", "kawhi bench credit --include ")
    known += ("python -m analysis.make_tables --include ",)
    assert [c for page in PAGES.values() for c in page.commands if not c.startswith(known)] == []


def test_the_method_is_found_and_weighs(folders):
    assert json.loads(run(folders["method"], "-c", WEIGHTS, code=ROOT)) == [1.0, 1.0, 0.0, 0.0]
    code = PAGES["method"].files[FILES["method"][0]]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10


def test_every_signal_of_a_method_is_named():
    pytest.importorskip("verl", reason="the training extra is not installed")
    from kawhi.credit.readings import TRUTH
    from kawhi.verl_plugin.trainer_signals import FIELDS

    text = PAGES["method"].text
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == {*FIELDS, *TRUTH}
    for prefix in (wire.PERTURBED, wire.BLANK):
        assert f"`timing_s/{prefix}_pass`" in text


def test_the_benchmark_is_asked_what_every_benchmark_is(tmp_path):
    told = run(
        PAGES["benchmark"].shipped(tmp_path, "tests", "pyproject.toml"),
        *("-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-m", "not slow", "-k", "last_word"),
        *("tests/evaluation/test_benchmarks.py", "tests/evaluation/test_task_runs.py", "tests/test_conf.py"),
    )
    assert re.search(r"^\d+ passed", told.splitlines()[-1])
    assert int(told.splitlines()[-1].split()[0]) >= 7


def test_the_table_has_the_numbers_that_records_give(folders, tmp_path):
    (command,) = [each for each in PAGES["table"].commands if each.startswith("python")]
    told = typed(folders["table"], command, "--out", str(tmp_path))
    assert re.search(r"^\| Token-level .* \d\d\.\d\d ", told, re.MULTILINE)


def test_a_row_is_one_line(folders, tmp_path):
    """That of the page, in the file of the page: it is planned, and has the numbers of whoever ran it."""
    row = PAGES["table"].text.partition("## One row")[2].partition("```yaml\n")[2].partition("```")[0]
    assert row.count("\n") == 1
    file = folders["table"] / FILES["table"][0]
    before = file.read_text()
    plan, table = (next(c for c in PAGES["table"].commands if c.startswith(p)) for p in ("kawhi plan", "python"))
    planned = typed(folders["table"], plan)
    try:
        file.write_text(before + row)
        assert "Inverse selection" not in planned
        assert re.search(r"^  7  .*Inverse selection", typed(folders["table"], plan), re.M)
        told = typed(folders["table"], table, "--out", str(tmp_path))
        assert re.search(r"^\| Inverse selection .* \d\d\.\d\d ", told, re.MULTILINE)
    finally:
        file.write_text(before)


@pytest.mark.slow
def test_the_three_ways_to_name_it(folders, tmp_path, monkeypatch):
    """A file alone, the variable of a shell, and an installed package."""
    text = (ROOT / "docs" / "your_own.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^[├└]── (\w+)/", text, re.MULTILINE)) == set(KINDS)
    mine = folders["method"] / "mine"
    words = "kawhi plan credit=unsure --short"
    assert "Could not find 'credit/unsure'" in typed(tmp_path, words, fails=True)
    assert "missing" in typed(tmp_path, f"{words} --include {mine / 'methods' / 'unsure.py'}")
    with monkeypatch.context() as shell:
        shell.setenv(VARIABLE, str(mine))
        assert "Unsure" in typed(tmp_path, words)
        shell.setenv(VARIABLE, str(tmp_path / "gone"))
        assert "there is no file or folder" in typed(tmp_path, words, fails=True)
    packages = tmp_path / "packages"
    (packages / "my_package").parent.mkdir()
    (packages / "my_package").symlink_to(mine)
    (packages / "my_package-1.dist-info").mkdir()
    (packages / "my_package-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: my-package\nVersion: 1\n"
    )
    (declared,) = re.findall(r"^mine = \"my_package\"$", text, re.MULTILINE)
    points = declared.replace('"', "")
    (packages / "my_package-1.dist-info" / "entry_points.txt").write_text(f"[kawhi]\n{points}\n")
    code = "import sys; sys.path.append('packages'); from kawhi.commands.cli import main; sys.exit(main())"
    assert "Unsure" in run(tmp_path, "-c", code, *words.split()[1:], code=ROOT)


@pytest.mark.slow
def test_the_method_trains(folders):
    folder = folders["method"]
    typed(folder, "kawhi-run --include mine credit=unsure", "study=timing", "steps=1")
    (record,) = (folder / "results" / "records").glob("*.json")
    found = json.loads(record.read_text())
    (zeros,) = found["training"]["weight_zero_share"]
    assert zeros == pytest.approx(0.5, abs=0.01)
    assert re.fullmatch(r"[0-9a-f]{12}", found["config"]["credit"]["source"]["unsure"])
    assert "--include=mine" in found["command"]


@pytest.mark.slow
def test_the_benchmark_has_a_score(folders):
    folder = folders["benchmark"]
    told = typed(folder, "kawhi-run --include mine study=baseline benchmarks=last_word")
    assert "Last word" in told or "kawhi_last_word" in told
    (evaluation,) = (folder / "results" / "runs" / "none").glob("*/eval/kawhi_last_word-*")
    (folder / "mine" / "benchmarks" / "last_word.py").write_text(
        PAGES["benchmark"].files[FILES["benchmark"][0]].replace('rstrip(".")', 'rstrip(".,")')
    )
    before = json.loads((evaluation / "score.json").read_text())["rules"]
    typed(folder, f"kawhi rescore {evaluation}")
    assert json.loads((evaluation / "score.json").read_text())["rules"] != before
    assert typed(folder, "kawhi-run --include mine study=baseline benchmarks=last_word").startswith("done: ")
    assert len([*evaluation.parent.iterdir()]) == 1


@pytest.mark.slow
def test_the_bench_compares_it(folders):
    (command,) = [each for each in PAGES["method"].commands if each.startswith("kawhi bench")]
    told = typed(folders["method"], command, "--seeds", "1", "--no-probe", "--set", "steps=1")
    assert re.search(r"^\| unsure ", told, re.MULTILINE)
