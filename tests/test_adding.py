"""The examples of docs/adding_a_*.md, executed in copies of the repository: they touch the files they say, no other."""

from __future__ import annotations

import json
import re

import pytest

from kawhi.verl_plugin import wire
from tests.adding import Page, run
from tests.cells import ROOT

FILES = {
    "method": ["kawhi/credit/methods/unsure.py", "conf/credit/unsure.yaml"],
    "benchmark": [
        "kawhi/evaluation/benchmarks/last_word.py",
        "conf/benchmarks/last_word.yaml",
        "tests/evaluation/examples/last_word.py",
    ],
    "table": ["conf/experiment/granularity_and_regions.yaml"],
}
PAGES = {what: Page(what) for what in FILES}
WEIGHTS = """
import json, torch
from kawhi.credit.methods import ResponseBatch, build
signals = {"log_probs": torch.tensor([-3.0, -2.0, -1.0, 0.0])}
batch = ResponseBatch(torch.zeros(4), torch.tensor([0, 1, 4]), signals, None)
print(json.dumps(build("unsure").weights(batch).tolist()))
"""


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    """A copy for each page, with its files."""
    more = {"benchmark": ["tests", "pyproject.toml"], "table": ["analysis", "results/published/records"]}
    return {what: page.written(tmp_path_factory.mktemp(what), *more.get(what, [])) for what, page in PAGES.items()}


@pytest.mark.parametrize("what", FILES)
def test_its_files_are_those_and_its_cells_compose(repositories, what):
    page = PAGES[what]
    assert list(page.files) == FILES[what]
    assert f"docs/adding_a_{what}.md" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    told = [command for command in page.commands if command.startswith("python experiments/run.py")]
    assert told
    for command in told:
        words = [word for word in command.split()[2:] if word != "-m"]
        assert "study:" in run(repositories[what], "experiments/run.py", "--cfg", "job", *words)


def test_the_method_is_found_and_weighs(repositories):
    assert json.loads(run(repositories["method"], "-c", WEIGHTS)) == [1.0, 1.0, 0.0, 0.0]
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


def test_the_benchmark_is_asked_what_every_benchmark_is(repositories):
    told = run(
        repositories["benchmark"],
        *("-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-m", "not slow", "-k", "last_word"),
        *("tests/evaluation/test_benchmarks.py", "tests/evaluation/test_task_runs.py", "tests/test_conf.py"),
    )
    assert re.search(r"^\d+ passed", told.splitlines()[-1])
    assert int(told.splitlines()[-1].split()[0]) >= 7


def test_the_table_has_the_numbers_that_records_give(repositories):
    told = run(repositories["table"], "analysis/make_tables.py", "granularity_and_regions")
    assert re.search(r"^\| Token-level .* \d\d\.\d\d ", told, re.MULTILINE)


def test_a_row_is_one_line(repositories):
    """That of the page, in the file of the page: it is planned, and has the numbers of whoever ran it."""
    row = PAGES["table"].text.partition("## One row")[2].partition("```yaml\n")[2].partition("```")[0]
    assert row.count("\n") == 1
    file = repositories["table"] / FILES["table"][0]
    before = file.read_text()
    words = ("experiment=granularity_and_regions", "--short")
    planned = run(repositories["table"], "-m", "kawhi", "plan", *words)
    try:
        file.write_text(before + row)
        assert "Inverse selection" not in planned
        assert re.search(r"^  7  .*Inverse selection", run(repositories["table"], "-m", "kawhi", "plan", *words), re.M)
        told = run(repositories["table"], "analysis/make_tables.py", "granularity_and_regions")
        assert re.search(r"^\| Inverse selection .* \d\d\.\d\d ", told, re.MULTILINE)
    finally:
        file.write_text(before)


@pytest.mark.slow
def test_the_method_trains(repositories):
    run(repositories["method"], "experiments/run.py", "credit=unsure", "study=timing", "steps=1")
    (record,) = (repositories["method"] / "results" / "records").glob("*.json")
    (zeros,) = json.loads(record.read_text())["training"]["weight_zero_share"]
    assert zeros == pytest.approx(0.5, abs=0.01)


@pytest.mark.slow
def test_the_benchmark_has_a_score(repositories):
    told = run(repositories["benchmark"], "experiments/run.py", "study=baseline", "benchmarks=last_word")
    assert "Last word" in told or "kawhi_last_word" in told
