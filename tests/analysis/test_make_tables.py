"""The ablations' tables from synthetic records: rows, columns, notes and the command line."""

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_p

from analysis import make_tables
from analysis.make_tables import NAMES, PAPERS
from analysis.paper import paper_tables
from analysis.significance import detectable_difference, detectable_paired_difference, wilson_interval
from analysis.training_tables import ablations
from kawhi.evaluation.rules import rules_of
from tests.analysis.synthetic import (
    FAMILIES,
    Folder,
    accuracy,
    changed,
    column,
    digits,
    hashed,
    heads,
    record,
    thousand_records,
)

ROOT = Path(make_tables.__file__).parents[1]
LABELS = ["GRPO", "GRPO + KAWHI (Ours)", "All vision tokens", "Random", "Inverse selection"]
TABLE = "region_selection"
AT = ("benchmarks", "kawhi_tiny")


@pytest.mark.parametrize("exists", [True, False])
def test_without_records_the_paper_stands_beside_en_dashes(folder: Folder, exists: bool) -> None:
    if not exists:
        folder.records.rmdir()
    rows = folder.made_rows(TABLE)
    assert [row["Experiment"] for row in rows] == LABELS
    assert column(rows, "paper", "MathVerse") == ["45.94", "47.56", "46.58", "46.34", "45.74"]
    assert column(rows, "paper", "Average") == ["37.11", "38.42", "37.52", "37.66", "36.78"]
    measured = [row[key] for row in rows for key in row if "nothing was run" in key]
    assert len(measured) == 5 * 7
    assert set(measured) == {"–"}
    assert "nothing was run" in folder.text("md")
    assert "nothing was run" in folder.text("tex")


def test_measured_cells_and_the_rows_that_have_none(folder: Folder) -> None:
    folder.add(record("uniform", 1000), record("kawhi", 1040), record("Inverse selection", 990))
    rows = folder.made_rows(TABLE)
    assert column(rows, "tiny", "Accuracy (%)") == ["50.00", "52.00", "–", "–", "49.50"]
    assert column(rows, "tiny", "vs GRPO") == ["–", "+2.00", "–", "–", "-0.50"]
    low, high = wilson_interval(1040, 2000)
    assert column(rows, "tiny", "interval")[1:3] == [f"[{100 * low:.2f}, {100 * high:.2f}]", "–"]
    assert column(rows, "tiny", "Verdict") == ["–", "–", "not run", "not run", "–"]  # no items, no comparison
    assert column(rows, "tiny", ": n") == ["2000", "2000", "–", "–", "2000"]
    assert column(rows, "tiny", "Seeds") == ["1", "1", "–", "–", "1"]
    texts = [" ".join(folder.text(ending).replace("\\\\", " ").split()) for ending in ("md", "tex", "csv", "html")]
    assert all("CPU world, not comparable with the paper" in text for text in texts)


def test_verdicts_are_paired_by_item_and_one_seed_speaks_of_two_runs(folder: Folder) -> None:
    grpo = "1" * 1000 + "0" * 1000
    folder.add(record("uniform", 1000, verdicts=grpo), record("kawhi", 1100, verdicts="1" * 1100 + "0" * 900))
    folder.add(record("All vision tokens", 1000, verdicts=grpo[::-1]))
    rows = folder.made_rows(TABLE)
    assert column(rows, "tiny", "Verdict") == ["–", "differs, one seed", "within noise", "not run", "not run"]
    low, high = column(rows, "tiny", "Interval of it")[1].strip("[]").split(", ")
    assert 3.5 < float(low) < 5 < float(high) < 6.5  # the same hundred answers gained: a narrow interval


def test_runs_of_equal_seeds_are_compared_as_runs(folder: Folder) -> None:
    grpo = "1" * 1000 + "0" * 1000
    folder.add(record("uniform", 1000, verdicts=grpo), record("kawhi", 1010, verdicts="1" * 990 + "0" * 990 + "1" * 20))
    folder.add(record("All vision tokens", 1000, rollout=5, verdicts=grpo))  # GRPO has no run with this seed
    text = folder.made_text(TABLE)
    p = mcnemar_p(np.array([[980, 10], [20, 990]]), exact=True).pvalue
    assert f"same seeds: GRPO + KAWHI (Ours) 20 to 10 (p = {p:.2g}); McNemar's exact test" in text


def test_with_several_seeds_the_methods_are_compared(folder: Folder) -> None:
    for rollout in range(3):
        folder.add(record("uniform", 1000, rollout=rollout, verdicts=digits(2000, 1000, seed=rollout)))
        folder.add(record("kawhi", 1400, rollout=rollout, verdicts=digits(2000, 1400, seed=10 + rollout)))
    assert folder.make(TABLE) == 0
    assert column(folder.rows(), "tiny", "Verdict")[:2] == ["–", "differs"]


@pytest.mark.parametrize("paired", [True, False])
def test_records_over_other_items_are_compared_without_pairs(folder: Folder, paired: bool) -> None:
    base = digits(2000, 1000)
    ours = "".join("1" if i < 1100 else digit for i, digit in enumerate(base))  # right wherever the base is, and more
    other = record("kawhi", ours.count("1"), verdicts=ours)
    other["benchmarks"]["kawhi_tiny"]["verdicts"]["dataset"] = "0123456789abcdef" if paired else "fedcba9876543210"
    folder.add(record("uniform", 1000, verdicts=base), other)
    rows = folder.made_rows(TABLE)
    low, high = map(float, column(rows, "tiny", "Interval of it")[1].strip("[]").split(", "))
    gained, share = ours.count("1") / 2000 - 0.5, ours.count("1") / 2000
    variance = gained * (1 - gained) if paired else 0.25 + share * (1 - share)
    assert high - low == pytest.approx(200 * norm.ppf(0.975) * math.sqrt(variance / 1999), abs=0.02)
    assert column(rows, "tiny", "Verdict")[1] == "differs, one seed"


@pytest.mark.parametrize("name", ablations())
def test_each_ablation_has_its_rows_for_both_families(folder: Folder, name: str) -> None:
    rows = ablations()[name].rows
    for family, base in {"qwen2_5_vl": 1000, "qwen3_vl": 800}.items():
        folder.add(*(record(credit, base + 20 * i, family=family) for i, credit in enumerate(rows)))
    made = folder.made_rows(name)
    assert [row["Experiment"] for row in made] == [*rows.values()]
    for family, base in {"qwen2_5_vl": 50, "qwen3_vl": 40}.items():
        head = f"tiny: {FAMILIES[family]['name']}, Tiny world, 20 steps"
        assert column(made, head, "Accuracy") == [f"{base + i:.2f}" for i in range(len(rows))]
        assert column(made, head, "vs GRPO") == ["–", *(f"+{i}.00" for i in range(1, len(rows)))]
    assert f"`python experiments/run.py -m ablation={name}`" in folder.text("md", name)


def test_seeds_are_averaged_and_their_answers_pooled(folder: Folder) -> None:
    folder.add(record("uniform", 1000), record("kawhi", 1040), record("kawhi", 1000, rollout=1))
    rows = folder.made_rows(TABLE)
    low, high = wilson_interval(2040, 4000)
    ours = [column(rows, "tiny", name)[1] for name in ("Accuracy", "vs GRPO", "interval", ": n", "Seeds")]
    assert ours == ["51.00", "+1.00", f"[{100 * low:.2f}, {100 * high:.2f}]", "4000", "2"]


def test_note_names_seeds_n_detectable_difference_and_command(folder: Folder) -> None:
    shares = [{"run": {"kawhi_share": share}} for share in (0.004, 0.0123)]
    folder.add(record("uniform", 1000, **shares[0]), record("kawhi", 1040, **shares[1]))
    folder.add(record("kawhi", 1060, rollout=1))
    text = folder.made_text(TABLE)
    assert "took 1.2 to 1.2% of the time of a step" in text
    assert "Seeds: data 1, regions 0, sampling 0; rollout 0 (GRPO); 0, 1 (GRPO + KAWHI (Ours))." in text
    assert column(folder.rows(), "tiny-qwen2.5-vl", ": n")[:2] == ["2000", "4000"]
    assert f"{100 * detectable_difference(3100 / 6000, 2000):.2f} points (n = 2000 each" in text
    assert text.count("95% two-sided, 80% power") == 1


def test_the_detectable_difference_is_paired_where_there_are_items(folder: Folder) -> None:
    base, ours = digits(2000, 1000, seed=1), digits(2000, 1000, seed=2)
    folder.add(record("uniform", 1000, verdicts=base), record("kawhi", 1000, verdicts=ours))
    assert folder.make(TABLE) == 0
    points = 100 * detectable_paired_difference([*map(int, ours)], [*map(int, base)])
    assert f"detectable from GRPO with one seed each: {points:.2f} points (n = 2000)" in folder.text("md")


def test_all_answers_right_have_no_detectable_difference(folder: Folder) -> None:
    folder.add(record("uniform", 2000))
    assert "between two cells: – (" in folder.made_text(TABLE)


def test_provenances_models_and_benchmarks_never_share_a_column(folder: Folder) -> None:
    second = {"title": "MathVision", "metric": "accuracy", "n": 100, "correct": 30, "score": 30}
    folder.add(record("All vision tokens", 1000), record("All vision tokens", 1040, provenance="measured"))
    folder.add(record("All vision tokens", 1100, family="qwen3_vl", steps=40))
    folder.add(record("All vision tokens", 0, benchmarks={"mathvision": second}))
    rows = folder.made_rows(TABLE)
    assert column(rows, "measured: tiny-qwen2.5-vl, Tiny world, 20 steps:", "Accuracy")[2] == "52.00"
    assert column(rows, "tiny: tiny-qwen2.5-vl, Tiny world", "Accuracy")[2] == "50.00"
    assert column(rows, "tiny: tiny-qwen3-vl, Tiny world, 40 steps", "Accuracy")[2] == "55.00"
    assert column(rows, "tiny: tiny-qwen2.5-vl, MathVision", "Accuracy")[2] == "30.00"
    assert not any("measured" in key and "CPU world" in key for key in rows[0])


def test_a_score_that_is_no_share_of_the_samples_has_no_interval(folder: Folder) -> None:
    partly = {"title": "ChartMimic", "metric": "score", "n": 600, "correct": None, "score": 40.2}
    folder.add(record("kawhi", 0, benchmarks={"chartmimic": partly}))
    rows = folder.made_rows(TABLE)
    assert column(rows, "tiny: tiny-qwen2.5-vl, ChartMimic", "Score")[1] == "40.20"
    assert column(rows, "tiny: tiny-qwen2.5-vl, ChartMimic", "95% interval")[1] == "–"
    assert column(rows, "vs GRPO") == ["–"] * 5  # there is no GRPO


@pytest.mark.parametrize("foreign", [record("vppo", 1000), record("kawhi", 1000, algorithm="dapo")])
def test_records_of_other_experiments_are_ignored(folder: Folder, foreign: dict[str, Any]) -> None:
    folder.add(foreign)
    assert "nothing was run" in folder.made_text(TABLE)


OTHER_WEIGHTS = FAMILIES["qwen2_5_vl"] | {"weights": "0123456789abcdef0123456789abcdef"}


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"steps": 40}, None),
        ({"n": 1800}, ("benchmarks.problems 1800", "benchmarks.problems 2000")),
        ({"data": "other"}, ("data.name other", "data.name tiny")),
        ({"model": OTHER_WEIGHTS}, ("model.weights 01234567…", "model.weights f5a74305…")),
        ({"learning_rate": 1e-4}, ("verl.actor_rollout_ref.actor.optim.lr 0.0001", "optim.lr 0.0002")),
    ],
)
def test_another_setting_is_a_column_of_its_own_and_says_why(
    folder: Folder, other: dict[str, Any], difference: tuple[str, str] | None
) -> None:
    folder.add(record("kawhi", 1040), record("uniform", 900, **other))
    rows = folder.made_rows(TABLE)
    found = {tuple(row[name] for row in rows[:2]) for name in heads(rows, "Accuracy (%)")}
    assert found == {("50.00" if "n" in other else "45.00", "–"), ("–", "52.00")}
    text = folder.text("md")
    if difference is None:
        assert "setting 1" not in text
    else:
        assert f"20 steps, setting 1 ({difference[0]})" in text
        assert "20 steps, setting 2 (" in text
        assert f"{difference[1]}). Seeds" in text


def test_of_many_differences_a_few_are_named(folder: Folder) -> None:
    verl = {"data": {"seed": 1}, **{f"key_{i}": i for i in range(9)}}
    folder.add(record("kawhi", 1040), hashed(changed(record("uniform", 900), "config", "verl", value=verl)))
    assert folder.make(TABLE) == 0
    assert "optim.lr not set, verl.key_0 0, verl.key_1 1, verl.key_2 2 and 7 more). Seeds" in folder.text("md")
    assert "verl.key_0 not set" in folder.text("md")


def test_settings_where_only_the_shared_rows_were_run_are_named_not_shown(folder: Folder) -> None:
    folder.add(*(record(credit, 1000) for credit in ("uniform", "kawhi", "All vision tokens")))
    folder.add(record("uniform", 1200, steps=40), record("kawhi", 1200, learning_rate=1e-4))
    assert folder.make(TABLE) == 0
    assert len(heads(folder.rows(), "Accuracy (%)")) == 1
    text = folder.text("md")
    assert (
        "Left out, because nothing but GRPO or KAWHI was run there: tiny: tiny-qwen2.5-vl, Tiny world, 20 steps" in text
    )
    assert "lr 0.0001); tiny: tiny-qwen2.5-vl, Tiny world, 40 steps." in text
    assert "Left out" in folder.text("tex")


def test_without_names_all_tables_are_made_complete_with_en_dashes(folder: Folder, capsys) -> None:
    assert folder.make() == 0
    tables = {*NAMES, *(f"{name}_compared" for name in PAPERS)}
    assert folder.made() == {f"{name}.{ending}" for name in tables for ending in ("md", "tex", "csv", "html")}
    assert f"wrote {len(tables)} tables" in capsys.readouterr().out
    printed = [row["paper: KAWHI: Avg"] for row in folder.rows("main_table")]
    assert printed == [row.cells["Avg"].text for row in paper_tables()["kawhi_1"].rows]
    for name in tables:
        ours = [row[key] for row in folder.rows(name) for key in row if "nothing was run" in key]
        assert set(ours) <= {"–", "not run"}
        assert ours


def test_scores_by_rules_that_have_changed_are_named_below_the_table(folder: Folder) -> None:
    today, old = rules_of("kawhi_tiny"), "abcabcabcabc"
    contents = {"uniform": today, "kawhi": old, "Random": old, "All vision tokens": None}
    for credit, rules in contents.items():
        folder.add(changed(record(credit, 1000), "benchmarks", "kawhi_tiny", "rules", value=rules))
    assert folder.make("region_selection") == 0
    (note,) = [line for line in folder.text("md").splitlines() if "rules that have changed since" in line]
    where = "tiny: tiny-qwen2.5-vl, Tiny world, 20 steps (Tiny world)"
    assert note.endswith(f"(kawhi rescore): GRPO + KAWHI (Ours), {where}; Random, {where}.")
    assert "rules that have changed since" in folder.text("tex")
    assert "rules that have changed since" in folder.text("html")


def test_of_several_benchmarks_the_one_that_a_table_shows_is_named(folder: Folder) -> None:
    tasks = ("kawhi_tiny", "kawhi_mathvista")
    both = {task: accuracy(task, 2000, 1000) | {"rules": "abcabcabcabc"} for task in tasks}
    folder.add(record("uniform", 1000, benchmarks=both | {tasks[0]: both[tasks[0]] | {"rules": rules_of(tasks[0])}}))
    assert folder.make("region_selection") == 0
    (note,) = [line for line in folder.text("md").splitlines() if "rules that have changed since" in line]
    assert "(kawhi_mathvista)" in note
    assert "(kawhi_tiny)" not in note


def test_short_names(folder: Folder) -> None:
    assert folder.make("main", "chart", "ablation", "--format", "csv") == 0
    made = {f"{name}_table{kind}.csv" for name in ("main", "chart", "ablation") for kind in ("", "_compared")}
    assert folder.made() == made


def test_broken_records_are_named_left_out_and_the_exit_code_says_so(folder: Folder, capsys) -> None:
    """What is broken, ``tests/records`` says."""
    folder.add(record("uniform", 1000), record("kawhi", 1040))
    folder.add(changed(record("Random", 1000), *AT, "score", value=147.0), name="score.json")
    folder.add(record("Sentence-level", 1000), name="twin_1.json")
    folder.add(record("Sentence-level", 1001), name="twin_2.json")
    assert folder.make(TABLE, "granularity") == 1
    said = capsys.readouterr().err
    assert said.count("left out ") == 3
    assert all(f"{name}_kawhi_tiny.json: " in said for name in ("score", "twin_1", "twin_2"))
    assert column(folder.rows(), "tiny", "Accuracy (%)") == ["50.00", "52.00", "–", "–", "–"]
    assert column(folder.rows("granularity"), "Accuracy (%)")[2:] == ["–", "–"]


def test_a_number_leads_to_its_command_and_its_record_in_one_step(folder: Folder) -> None:
    command = "python experiments/run.py credit=uniform seeds.rollout=3"
    folder.add(record("uniform", 1000, command=command), name="a.json")
    folder.add(record("kawhi", 1040), name="b.json")
    text = folder.made_text(TABLE)
    (at,) = re.findall(r"\[50.00\]\(#([\w-]+)\)", text)
    (line,) = (line for line in text.splitlines() if f'<a id="{at}"></a>' in line)
    assert f"`{command}`" in line
    assert "[record](../records/a.json)" in line
    page = folder.text("html")
    (at,) = re.findall(rf'<a href="#([\w-]+)" title="{command}">50.00</a>', page)
    assert f'<li id="{at}">' in page
    assert folder.rows()[0][heads(folder.rows(), "source")[1]] == command
    assert folder.rows()[0][heads(folder.rows(), "records")[0]] == "../records/a.json"
    assert f": {command} (a.json)" in folder.text("tex")
    # a record that does not say its command: the table's
    assert "`python experiments/run.py -m ablation=region_selection` ([record](../records/b.json))" in text
    # the paper's numbers lead to their place
    (at,) = set(re.findall(r"\[45.94\]\(#([\w-]+)\)", text))
    assert f'<a id="{at}"></a>as printed: KAWHI, sec. 4.3, table 3, line 1' in text


def test_all_tables_are_made_of_a_thousand_records(folder: Folder) -> None:
    """How long it takes is for benchmarks/tables_speed.py, which makes the same folder."""
    thousand_records(folder)
    assert folder.make("--format", "csv") == 0
    seeds = column(folder.rows(TABLE), "tiny-qwen2.5-vl", "Seeds")
    assert seeds == ["9"] * 5


def test_with_names_those_are_made_once_each(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.add(record("All vision tokens", 1020))
    assert folder.make("weights", "heads", "weights") == 0
    assert {name.partition(".")[0] for name in folder.made()} == {"weights", "heads"}
    printed = capsys.readouterr()
    assert not printed.err
    assert "](" not in printed.out  # links are for files
    assert printed.out.index("Redistribution") < printed.out.index("Critical visual heads")
    assert "paper" not in folder.rows("weights")[0]


def test_an_unknown_name_is_answered_with_those_there_are(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        folder.make("region")
    error = capsys.readouterr().err
    assert "no table region; there are main, chart, ablation, tor, main_table" in error


def test_the_script_runs_from_anywhere_and_prints_markdown_into_a_pipe(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "analysis" / "make_tables.py"), TABLE]
    arguments = ["--records", str(tmp_path / "none"), "--out", str(tmp_path)]
    done = subprocess.run([*script, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[:4] == [
        "Region selection: table 3 of the paper, block 1, and what was run here.",
        "",
        "|  | paper: Qwen2.5-VL-7B-Instruct |  |  |",
        "| --- | ---: | ---: | ---: |",
    ]
    assert "| GRPO | 45.94 | 28.29 | 37.11 |\n" in done.stdout
    assert "- measured: nothing was run.\n" in done.stdout
    assert (tmp_path / "region_selection.md").is_file()


@pytest.mark.parametrize("kind", ["latex", "csv", "html"])
def test_a_format_that_is_asked_for_is_all_that_is_printed(folder: Folder, capsys, kind: str) -> None:
    """So that `--format latex > main.tex` is a file to include."""
    folder.add(record("uniform", 1000), record("kawhi", 1040))
    assert folder.make("main_table", "--format", kind) == 0
    names = [f"{name}.{make_tables.FORMATS[kind]}" for name in ("main_table", "main_table_compared")]
    assert capsys.readouterr().out == "\n".join((folder.out / name).read_text() for name in names)
    assert folder.made() == {*names}
