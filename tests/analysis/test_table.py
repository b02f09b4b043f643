"""What a table says below itself of single rows."""

from __future__ import annotations

from tests.analysis.synthetic import Folder, changed, record
from tests.analysis.test_cards import made

ACCEPTED = [{"step": 5, "why": "the band was measured anew", "findings": ["kl is 0.3 at step 4"]}]


def test_a_table_names_the_rows_that_were_accepted_by_hand(folder: Folder) -> None:
    folder.add(record("uniform", 900), record("kawhi", 1000, health={"accepted": ACCEPTED}))
    (note,) = [line for line in folder.made_text("region_selection").splitlines() if "kawhi accept" in line]
    assert note.startswith("- Failed a health check and accepted by hand (kawhi accept), with the reason: ")
    assert note.endswith("(the band was measured anew).")
    assert note.count("the band was measured anew") == 1
    card = made(record("kawhi", 1000, health={"accepted": ACCEPTED}))["0.md"]
    assert "the band was measured anew" in card


def test_a_table_without_such_rows_says_nothing_of_them(folder: Folder) -> None:
    folder.add(record("uniform", 900), record("kawhi", 1000))
    assert "kawhi accept" not in folder.made_text("region_selection")
    assert "accepted" not in made(record("kawhi", 1000))["0.md"]


def test_a_table_counts_the_samples_that_the_judge_refused(folder: Folder) -> None:
    judge = {"name": "j", "model": "j", "temperature": 0.0, "seed": 0, "prompts": "p", "identity": "i"}
    judge |= {"questions": 2000, "asked_again": 0, "refused": 3}
    told = changed(record("kawhi", 1000), "benchmarks", "kawhi_tiny", "judge", value=judge)
    folder.add(record("uniform", 900), told)
    (note,) = [line for line in folder.made_text("region_selection").splitlines() if "refused" in line]
    assert note.endswith("(Tiny world 3 of 2000).")
