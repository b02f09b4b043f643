"""``kawhi contamination``, from what is typed to the pairs."""

from __future__ import annotations

import json

import pytest

from kawhi.commands.cli import main
from kawhi.tiny.dataset import write_split


@pytest.fixture
def files(tmp_path):
    """A training file of the tiny world, and a benchmark's file that begins with the same eight problems."""
    train, heldout = tmp_path / "data" / "train.parquet", tmp_path / "heldout.parquet"
    write_split(train, "train", 8, 168, 1)
    write_split(heldout, "train", 12, 168, 1)
    return train, heldout


def test_pairs_and_counts(files, tmp_path, capsys):
    train, heldout = files
    words = ["contamination", str(train), "--benchmark", f"kawhi_tiny={heldout}", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    found = [json.loads(line) for line in (tmp_path / "out" / "pairs.jsonl").read_text().splitlines()]
    same = [pair for pair in found if pair["image"] == 1 and pair["question"] == 100]
    assert {(pair["item"], pair["train"]) for pair in same} >= {(str(number), str(number)) for number in range(8)}
    assert {pair["benchmark"] for pair in found} == {"kawhi_tiny"}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["rows"], summary["benchmarks"]["kawhi_tiny"]["items"]) == (8, 12)
    assert 8 <= summary["benchmarks"]["kawhi_tiny"]["seen"] <= 12
    assert f"{len(found)} pairs of {train} (8 rows)" in capsys.readouterr().out


def test_none_is_a_file_too(files, tmp_path):
    """And the exit code does not change."""
    _, heldout = files
    write_split(tmp_path / "other.parquet", "heldout", 1, 168, 77)
    words = ["contamination", str(tmp_path / "other.parquet"), "--benchmark", f"kawhi_tiny={heldout}"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "pairs.jsonl").read_text() == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nothing"], "there is no results/data/nothing/train.parquet"),
        (["TRAIN", "--benchmark", "kawhi_none"], "no benchmark kawhi_none; there are"),
        (["TRAIN", "--benchmark", "kawhi_tiny"], "the rows of kawhi_tiny are drawn: name a file"),
        (["TRAIN", "--benchmark", "kawhi_chartqa=no.parquet"], "there is no file no.parquet"),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_is_read(files, capsys, words, sentence):
    train, _ = files
    assert main(["contamination", *(str(train) if word == "TRAIN" else word for word in words)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {sentence}")
