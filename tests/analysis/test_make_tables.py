"""The region-selection table from synthetic records, sound and broken."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from analysis import make_tables
from analysis.make_tables import main
from analysis.records import read_records
from analysis.statistics import detectable_difference, wilson_interval

ROOT = Path(make_tables.__file__).parents[1]
LABELS = ["GRPO", "GRPO + KAWHI (Ours)", "All vision tokens", "Random", "Inverse selection"]


def record(credit: str, correct: int, *, n: int = 2000, rollout: int = 0, **changes: Any) -> dict[str, Any]:
    """A sound record; ``changes`` replaces top-level keys."""
    benchmark = {"title": "Tiny world", "metric": "accuracy", "n": n, "correct": correct, "score": 100 * correct / n}
    return {
        "schema": 1,
        "cell": {
            "experiment": "region_selection",
            "name": f"{credit}-{rollout}",
            "hash": f"{credit}{rollout}{changes}",
        },
        "provenance": "tiny",
        "model": {"name": "tiny-qwen2.5-vl", "family": "qwen2_5_vl", "weights": "00ff"},
        "algorithm": "grpo",
        "credit": {"name": credit, "label": credit},
        "data": "tiny",
        "seeds": {"data": 1, "rollout": rollout, "regions": 0},
        "steps": 20,
        "benchmarks": {"kawhi_tiny": benchmark},
        **{key: {} for key in ("training", "health", "config", "run")},
        **changes,
    }


class Folder:
    """Records on disk and the tables made of them."""

    def __init__(self, path: Path) -> None:
        self.records, self.out = path / "records", path / "tables"
        self.records.mkdir()

    def add(self, name: str, content: dict[str, Any] | str) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        (self.records / name).write_text(text, encoding="utf-8")

    def make(self) -> int:
        return main(["region_selection", "--records", str(self.records), "--out", str(self.out)])

    def text(self, ending: str) -> str:
        return (self.out / f"region_selection.{ending}").read_text(encoding="utf-8")

    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(self.text("csv").splitlines()))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def column(rows: list[dict[str, str]], *parts: str) -> list[str]:
    """The one column whose head contains all ``parts``."""
    (name,) = (key for key in rows[0] if all(part in key for part in parts))
    return [row[name] for row in rows]


def test_paper_yaml_names_a_place_and_its_averages_are_averages() -> None:
    entries = yaml.safe_load((ROOT / "analysis" / "paper.yaml").read_text())["values"]
    assert all(set(entry) == {"table", "row", "column", "value", "place"} for entry in entries)
    values = {(entry["row"], entry["column"]): entry["value"] for entry in entries}
    assert len(values) == len(entries) == 15
    for row in {row for row, _ in values}:
        mean = (values[row, "MathVerse"] + values[row, "MathVision"]) / 2
        assert values[row, "Average"] == pytest.approx(mean, abs=0.0051)


@pytest.mark.parametrize("exists", [True, False])
def test_without_records_the_paper_stands_beside_en_dashes(folder: Folder, exists: bool) -> None:
    if not exists:
        folder.records.rmdir()
    assert folder.make() == 0
    rows = folder.rows()
    assert [row["Experiment"] for row in rows] == LABELS
    assert column(rows, "paper", "MathVerse") == ["45.94", "47.56", "46.58", "46.34", "45.74"]
    assert column(rows, "paper", "Average") == ["37.11", "38.42", "37.52", "37.66", "36.78"]
    measured = [row[key] for row in rows for key in row if "nothing was run" in key]
    assert len(measured) == 5 * 5
    assert set(measured) == {"–"}
    assert "nothing was run" in folder.text("md")
    assert "nothing was run" in folder.text("tex")


def test_measured_cells_and_the_rows_that_have_none(folder: Folder) -> None:
    folder.add("a.json", record("uniform", 1000))
    folder.add("b.json", record("kawhi", 1040))
    folder.add("c.json", record("kawhi_inverse", 990))
    assert folder.make() == 0
    rows = folder.rows()
    assert column(rows, "tiny", "Accuracy (%)") == ["50.00", "52.00", "–", "–", "49.50"]
    assert column(rows, "tiny", "vs GRPO") == ["–", "+2.00", "–", "–", "-0.50"]
    low, high = wilson_interval(1040, 2000)
    assert column(rows, "tiny", "interval")[1:3] == [f"[{100 * low:.2f}, {100 * high:.2f}]", "–"]
    assert column(rows, "tiny", ": n") == ["2000", "2000", "–", "–", "2000"]
    assert column(rows, "tiny", "Seeds") == ["1", "1", "–", "–", "1"]
    assert all("CPU world, not comparable with the paper" in text for text in map(folder.text, ("md", "tex", "csv")))


def test_without_a_grpo_record_there_is_no_difference(folder: Folder) -> None:
    folder.add("b.json", record("kawhi", 1040))
    assert folder.make() == 0
    assert column(folder.rows(), "vs GRPO") == ["–"] * 5


def test_seeds_are_averaged_and_their_answers_pooled(folder: Folder) -> None:
    folder.add("a.json", record("uniform", 1000))
    folder.add("b.json", record("kawhi", 1040))
    folder.add("c.json", record("kawhi", 500, n=1000, rollout=1))
    assert folder.make() == 0
    rows = folder.rows()
    low, high = wilson_interval(1540, 3000)
    ours = [column(rows, "tiny", name)[1] for name in ("Accuracy", "vs GRPO", "interval", ": n", "Seeds")]
    assert ours == ["51.00", "+1.00", f"[{100 * low:.2f}, {100 * high:.2f}]", "3000", "2"]


def test_note_names_seeds_n_detectable_difference_and_command(folder: Folder) -> None:
    folder.add("a.json", record("uniform", 1000))
    folder.add("b.json", record("kawhi", 1040))
    folder.add("c.json", record("kawhi", 1060, rollout=1))
    assert folder.make() == 0
    text = folder.text("md")
    assert "GRPO: data 1 rollout 0 regions 0; GRPO + KAWHI (Ours): data 1 rollout 0 regions 0, data 1 rollout 1" in text
    assert "n per cell: GRPO: 2000; GRPO + KAWHI (Ours): 4000" in text
    assert f"{100 * detectable_difference(3100 / 6000, 2000):.2f} points (n = 2000 each" in text
    assert "`python experiments/run.py -m ablation=region_selection`" in text


def test_all_answers_right_have_no_detectable_difference(folder: Folder) -> None:
    folder.add("a.json", record("uniform", 2000))
    assert folder.make() == 0
    assert "between two cells: – (" in folder.text("md")


def test_provenances_models_and_benchmarks_never_share_a_column(folder: Folder) -> None:
    folder.add("a.json", record("uniform", 1000))
    folder.add("b.json", record("kawhi", 1040, provenance="measured"))
    other = {"name": "tiny-qwen3-vl", "family": "qwen3_vl", "weights": "11"}
    folder.add("c.json", record("kawhi", 1100, model=other, steps=40))
    second = {"title": "MathVision", "metric": "accuracy", "n": 100, "correct": 30, "score": 30}
    folder.add("d.json", record("kawhi_all", 900, benchmarks={"mathvision": second}))
    assert folder.make() == 0
    rows = folder.rows()
    assert column(rows, "tiny: tiny-qwen2.5-vl, Tiny world", "Accuracy") == ["50.00", "–", "–", "–", "–"]
    assert column(rows, "measured: tiny-qwen2.5-vl, Tiny world, 20 steps:", "Accuracy") == ["–", "52.00", "–", "–", "–"]
    assert column(rows, "tiny: tiny-qwen3-vl, Tiny world", "Accuracy") == ["–", "55.00", "–", "–", "–"]
    assert column(rows, "tiny: tiny-qwen2.5-vl, MathVision", "Accuracy") == ["–", "–", "30.00", "–", "–"]
    assert not any("measured" in key and "CPU world" in key for key in rows[0])


@pytest.mark.parametrize("foreign", [record("vppo", 1000), record("kawhi", 1000, algorithm="dapo")])
def test_records_of_other_experiments_are_ignored(folder: Folder, foreign: dict[str, Any]) -> None:
    folder.add("a.json", foreign)
    assert folder.make() == 0
    assert "nothing was run" in folder.text("md")


def broken(*path: str, value: Any) -> dict[str, Any]:
    """A record with one value replaced, or removed when ``value`` is ``KeyError``."""
    content = tree = record("kawhi", 1040)
    for key in path[:-1]:
        tree = tree[key]
    if value is KeyError:
        del tree[path[-1]]
    else:
        tree[path[-1]] = value
    return content


AT = ("benchmarks", "kawhi_tiny")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"schema": 1', "cannot be read"),
        ("[1]", "schema version 1"),
        (broken("schema", value=2), "schema version 1"),
        (broken("schema", value=KeyError), "schema version 1"),
        (broken("health", value=KeyError), "lacks health"),
        (broken("cell", "hash", value=KeyError), "lacks cell.hash"),
        (broken("model", value="a name"), "lacks model.name"),
        (broken("steps", value="20"), "wrong type"),
        (broken("seeds", "data", value=None), "wrong type"),
        (broken("provenance", value="paper"), "provenance 'paper'"),
        (broken(*AT, value=3), "lacks benchmarks.kawhi_tiny.n"),
        (broken(*AT, "correct", value=KeyError), "lacks benchmarks.kawhi_tiny.correct"),
        (broken(*AT, "score", value=True), "wrong type"),
        (broken(*AT, "score", value=float("nan")), "not a percentage"),
        (broken(*AT, "score", value=float("inf")), "not a percentage"),
        (broken(*AT, "score", value=-0.1), "not a percentage"),
        (broken(*AT, "score", value=100.1), "not a percentage"),
        (broken(*AT, "score", value=0.52), "not 1040 of 2000"),
        (broken(*AT, "correct", value=2001), "not 2001 of 2000"),
        (broken(*AT, "n", value=0), "not 1040 of 0"),
    ],
)
def test_one_broken_record_stops_the_table(
    folder: Folder, capsys: pytest.CaptureFixture[str], content: dict[str, Any] | str, sentence: str
) -> None:
    folder.add("good.json", record("uniform", 1000))
    folder.add("odd.json", content)
    assert folder.make() == 1
    printed = capsys.readouterr()
    assert "odd.json" in printed.err
    assert sentence in printed.err
    assert printed.err.count("\n") == 1
    assert not printed.out
    assert not folder.out.exists()


def test_a_score_rounded_to_two_decimals_is_consistent(folder: Folder) -> None:
    folder.add("a.json", broken(*AT, value={"title": "T", "metric": "accuracy", "n": 3, "correct": 1, "score": 33.33}))
    assert [m.score for m in read_records(folder.records)] == [33.33]


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (record("kawhi", 1040), "same cell"),
        (record("kawhi", 1000, config={"temperature": 0.5}), "equal seeds"),
    ],
)
def test_records_that_do_not_fit_together_are_both_named(
    folder: Folder, capsys: pytest.CaptureFixture[str], other: dict[str, Any], sentence: str
) -> None:
    folder.add("one.json", record("kawhi", 1040))
    folder.add("two.json", other)
    assert folder.make() == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert "one.json" in error
    assert "two.json" in error
    assert not folder.out.exists()


@pytest.mark.parametrize(
    "changes",
    [{"steps": 40}, {"data": "other"}, {"model": {"name": "tiny-qwen2.5-vl", "family": "qwen2_5_vl", "weights": "11"}}],
)
def test_another_setting_is_a_column_of_its_own(folder: Folder, changes: dict[str, Any]) -> None:
    folder.add("one.json", record("kawhi", 1040))
    folder.add("two.json", record("uniform", 900, **changes))
    assert folder.make() == 0
    rows = list(csv.reader(folder.text("csv").splitlines()))
    scores = [i for i, name in enumerate(rows[0]) if name.endswith("Accuracy (%)")]
    assert [[row[i] for i in scores] for row in rows[1:3]] in (
        [["–", "45.00"], ["52.00", "–"]],
        [["45.00", "–"], ["–", "52.00"]],
    )


def test_the_time_of_kawhis_parts_is_said(folder: Folder) -> None:
    folder.add("one.json", record("kawhi", 1040, run={"kawhi_share": 0.0123}))
    folder.add("two.json", record("uniform", 1000, run={"kawhi_share": 0.004}))
    assert folder.make() == 0
    assert "took 1.2 to 1.2% of the time of a step" in folder.text("md")


def test_names_are_escaped(folder: Folder) -> None:
    folder.add("a.json", record("uniform", 1000, model={"name": r"a_b|50%\&", "family": "f", "weights": "0"}))
    assert folder.make() == 0
    assert r"a_b\|50%\\&" in folder.text("md")
    assert r"a\_b|50\%\textbackslash{}\&" in folder.text("tex")


def test_markdown_and_latex_lines_have_equal_numbers_of_cells(folder: Folder) -> None:
    folder.add("a.json", record("uniform", 1000))
    assert folder.make() == 0
    table = [line for line in folder.text("md").splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {10}
    tex = folder.text("tex")
    assert {line.count("&") for line in tex.splitlines() if line.endswith(r"\\") and "multicolumn" not in line} == {8}
    assert tex.count(r"\multicolumn") == 2
    assert "–" not in tex


def test_a_terminal_gets_a_drawn_table(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make_tables, "Console", lambda: Console(force_terminal=True, width=200))
    folder.add("a.json", record("uniform", 1000, model={"name": "[bold]x", "family": "f", "weights": "0"}))
    assert folder.make() == 0
    printed = capsys.readouterr().out
    assert "┃" in printed
    assert "[bold]x" in printed


def test_the_script_runs_from_anywhere_and_prints_markdown_into_a_pipe(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "analysis" / "make_tables.py")]
    arguments = ["--records", str(tmp_path / "none"), "--out", str(tmp_path)]
    done = subprocess.run([*script, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == (tmp_path / "region_selection.md").read_text(encoding="utf-8")
