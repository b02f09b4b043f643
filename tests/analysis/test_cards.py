"""Cards: what they say of each study's record, en dashes for what it does not say, and text that stays text."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from lxml import html

from analysis.card import curve_text
from analysis.card_html import bars, sparkline
from analysis.card_markdown import escaped, fenced
from analysis.cards import INDEX, card_files
from analysis.make_report import write_cards
from analysis.report import gather
from kawhi.records.folder import Folder, read_folder
from kawhi.records.schema import Record
from tests.analysis import synthetic
from tests.analysis.figure_records import heads_record
from tests.analysis.paper_records import HOSTILE, talkative
from tests.analysis.synthetic import (
    baseline_record,
    changed,
    grounding_record,
    record,
    timing_record,
)
from tests.split import parsed


def made(*contents: dict[str, Any]) -> dict[str, str]:
    records: dict[Path, Record] = {Path(f"r/records/{i}.json"): parsed(c) for i, c in enumerate(contents)}
    return card_files(Folder(records, []), Path("r/cards"))


def test_a_card_says_what_the_record_says() -> None:
    files = made(talkative())
    assert set(files) == {"0.md", "0.html", INDEX}
    page = html.fromstring(files["0.html"])
    said = ["Tiny world", "52.00", "2000", "CPU world", "0123abc with changes that are not committed", "12.5 s", "1.25"]
    said += ["3.50 GiB", "0.25 (step 1) to 0.5 (step 4), best 0.75 (step 3)", "1: 3; 4: 20", "0.9.1", "-0.125"]
    said += ["Problem 7, step 3: reward 0.5, advantage -0.75"]
    for text in (files["0.md"], page.text_content()):
        assert [words for words in said if words not in text] == []
    assert page.xpath("//svg")
    assert page.xpath("//details")
    assert files["0.md"].splitlines()[0].startswith("# Training, tiny ")
    assert "../records/0.json" in files["0.html"]
    assert "(<../records/0.json>)" in files["0.md"]


def test_the_configuration_is_all_of_it() -> None:
    content = talkative()
    block = made(content)["0.md"].split("```yaml\n")[1].split("\n```")[0]
    assert yaml.safe_load(block) == content["config"]


def test_what_is_missing_is_an_en_dash() -> None:
    text = made(record("kawhi", 1000))["0.md"]
    for name in ("Hardware", "Duration", "GPU hours", "Peak memory", "Git commit", "Versions", "Reward", "Data sets"):
        assert f"| {name} | – |" in text
    assert "– The record does not say the command." in text
    assert "Responses of the last" not in text
    assert "<svg" not in made(record("kawhi", 1000))["0.html"]


def test_a_clean_commit_and_one_of_which_nothing_is_known() -> None:
    for dirty, words in ((False, "| abc |"), (None, "| abc, whether with changes is not known |")):
        assert words in made(record("kawhi", 1000, run={"git": {"commit": "abc", "dirty": dirty}}))["0.md"]


def test_each_study_has_a_card() -> None:
    files = made(baseline_record(900), timing_record("vppo"), grounding_record("blank"), heads_record("tiny"))
    assert files["0.md"].startswith("# Evaluation of the untrained model, tiny-qwen2.5-vl (tiny): Tiny world 45.00 %\n")
    assert "3.00 s per step" in files["1.md"]
    assert "blank: alpha -0.0123" in files["2.md"]
    assert "| critical_heads | \\[2, 3, 6, 7," in files["3.md"]
    assert "| baseline.total | 2100 |" in files["3.md"]
    assert "28 entries, in the record" in files["3.md"]
    index = files[INDEX]
    for study in ("baseline", "timing", "grounding", "heads"):
        assert f"## tiny: {study} (CPU world, not comparable with the paper)" in index


def test_the_index_never_mixes_provenances() -> None:
    index = made(record("kawhi", 1000), record("kawhi", 1040, provenance="measured", rollout=1))[INDEX]
    full, tiny = index.split("## tiny")
    assert "## measured: training" in full
    assert "52.00 %" in full
    assert "50.00 %" not in full
    assert "50.00 %" in tiny


def test_no_records_have_an_index_that_says_so() -> None:
    assert "There are no records." in made()[INDEX]


def test_the_judge_is_told() -> None:
    judge = {"name": "own", "model": "judge-7b", "temperature": 0.0, "seed": 0, "prompts": "1", "identity": "abc"}
    content = record("kawhi", 1000)
    content = changed(content, "benchmarks", "kawhi_tiny", "judge", value=judge | {"questions": 20, "asked_again": 1})
    content = changed(content, "benchmarks", "kawhi_tiny", "judge_rule_agreement", value=0.97)
    text = made(content)["0.md"]
    assert "judge-7b, 20 questions" in text
    assert "| judge: asked_again | 1 |" in text
    assert "| judge: agreement with the rules | 0.97 |" in text


def test_hostile_text_is_only_text() -> None:
    files = made(talkative())
    page = html.fromstring(files["0.html"])
    assert not page.xpath("//script")
    assert page.text_content().count(HOSTILE) >= 4
    outside = "\n".join(part for i, part in enumerate(files["0.md"].split("```")) if i % 2 == 0)
    assert "<script" not in outside.replace("\\<script", "")
    tables = [line for line in outside.splitlines() if line.startswith("|")]
    for line in tables:
        assert line.replace("\\|", "").count("|") in (3, 4, 9)


def test_markdown() -> None:
    assert escaped("a|b\n<c> _d_ e_f [g]") == r"a\|b \<c\> \_d\_ e_f \[g\]"
    assert fenced("a ```` b", "sh") == ["`````sh", "a ```` b", "`````"]


@pytest.mark.parametrize(
    ("curve", "lines", "dots"), [([], 0, 0), ([1.0], 0, 0), ([1.0, None, 2.0, 3.0], 2, 1), ([2.0, 2.0], 1, 0)]
)
def test_gaps_of_a_curve_are_gaps(curve: list[float | None], lines: int, dots: int) -> None:
    runs = [len(run) for run in sparkline(curve)]
    assert (len(runs), runs.count(1)) == (lines, dots)


def test_curves_without_steps() -> None:
    assert curve_text([None, None]) == "–"
    assert curve_text([None, 2.0]) == "2 (step 2) to 2 (step 2)"
    assert bars([]) == bars([0, 0]) == []


def test_cards_of_records_that_are_gone_are_removed_and_nothing_else(folder: synthetic.Folder) -> None:
    folder.add(record("kawhi", 1000), record("uniform", 1000))
    cards = folder.out.parent / "cards"
    write_cards(gather(read_folder(folder.records).joined(), folder.out), cards)
    (cards / "notes.md").write_text("mine", encoding="utf-8")
    (folder.records / "001.json").unlink()
    write_cards(gather(read_folder(folder.records).joined(), folder.out), cards)
    assert sorted(file.name for file in cards.iterdir()) == ["000.html", "000.md", INDEX, "notes.md"]
    assert json.loads((folder.records / "000.json").read_text())["cell"]["name"] in (cards / INDEX).read_text()
