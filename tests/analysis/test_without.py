"""``make_tables.py --without``: the scores of the items that nobody trained on, from the samples."""

from __future__ import annotations

import json

import pytest

from analysis.make_tables import main
from analysis.without import Without
from kawhi.evaluation.samples import read_samples
from kawhi.records.folder import read_folder
from tests.evaluation.made import MADE, TINY, known, make_run


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Two evaluations of an untrained model with their samples and records."""
    known(monkeypatch)
    return make_run(tmp_path)


def pairs(tmp_path, *items, task=TINY):
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps({"benchmark": task, "item": item, "train": "t"}) + "\n" for item in items))
    return file


def results(tmp_path, file):
    without = Without.of(file, tmp_path / "runs")
    folder = without(read_folder(tmp_path / "records"))
    return {each.task: each.result for each in folder.records.values()}, folder.refused, without


def test_the_items_are_left_out_and_counted(run, tmp_path):
    (before, *_), (after, refused, without) = (results(tmp_path, pairs(tmp_path, *ids)) for ids in ((), ("1", "2")))
    whole, cut = before[TINY], after[TINY]
    assert refused == []
    assert (whole.n, cut.n) == (4, 2)
    samples = read_samples(next((tmp_path / "runs").glob(f"*/*/eval/{TINY}-*/samples.parquet")))
    rest = [each.score for each in samples if each.id not in ("1", "2")]
    assert cut.score == pytest.approx(100 * sum(rest) / 2)
    assert cut.verdicts.scores().tolist() == rest
    assert cut.verdicts.dataset != whole.verdicts.dataset
    assert cut.truncated == 0
    assert after[MADE] == before[MADE]
    assert without.note == (
        "Items left out, because pairs.jsonl says that the training data have them: Tiny world 2 of 4."
    ).replace("Tiny world", whole.title)


def test_scores_between_right_and_wrong_stay_what_they_are(run, tmp_path):
    after, *_ = results(tmp_path, pairs(tmp_path, "0", task=MADE))
    assert after[MADE].n == 6
    assert 0.5 in after[MADE].verdicts.scores()
    assert after[MADE].correct is None


def test_problems_are_counted_anew(run, tmp_path):
    file = next((tmp_path / "records").glob(f"*{TINY}*.json"))
    content = json.loads(file.read_text())
    content["result"]["verdicts"]["problems"] = [0, 1, 2, 2]
    file.write_text(json.dumps(content))
    after, *_ = results(tmp_path, pairs(tmp_path, "1"))
    assert after[TINY].verdicts.problems == (0, 1, 1)


def test_what_cannot_be_scored_is_refused_by_name(run, tmp_path):
    _, (every,), _ = results(tmp_path, pairs(tmp_path, "0", "1", "2", "3"))
    assert every.reason == f"{tmp_path / 'pairs.jsonl'} lists every item of it"
    for folder in (tmp_path / "runs").glob(f"*/*/eval/{TINY}-*"):
        (folder / "samples.parquet").unlink()
    after, (missing,), _ = results(tmp_path, pairs(tmp_path, "0"))
    assert after.keys() == {MADE}
    assert missing.reason.startswith(f"its samples are not in {tmp_path / 'runs'}")


def test_the_command_says_what_is_no_file_of_pairs(tmp_path, capsys):
    (tmp_path / "pairs.jsonl").write_text('{"item": "1"}\n')
    for name in ("none.jsonl", "pairs.jsonl"):
        with pytest.raises(SystemExit, match="2"):
            main(["main", "--without", str(tmp_path / name), "--records", str(tmp_path)])
        assert f"{tmp_path / name} is no file of pairs" in capsys.readouterr().err


def test_a_table_says_below_itself_what_is_left_out(run, tmp_path):
    places = [
        "--records",
        str(tmp_path / "records"),
        "--out",
        str(tmp_path / "tables"),
        "--runs",
        str(tmp_path / "runs"),
    ]
    assert main(["main", "--without", str(pairs(tmp_path, "1")), *places]) == 0
    text = (tmp_path / "tables" / "main_table.md").read_text()
    assert "Items left out, because pairs.jsonl says that the training data have them" in text
