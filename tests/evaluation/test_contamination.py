"""Pairs of a training set and a benchmark: by picture, by question, and no others."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset

from benchmarks.contamination import questions
from benchmarks.drawn_pictures import diagram, question, recompressed
from kawhi.base.errors import CellError
from kawhi.evaluation.benchmark import load
from kawhi.evaluation.contamination import Rows, benchmark_rows, pairs, training_rows, words
from kawhi.pictures.likeness import Looks
from tests.evaluation.examples import examples, published, tasks
from tests.evaluation.made import TINY


def pairs_of(asked, trained):
    train = Rows.of(trained)
    return pairs("made", Rows.of(asked), train, Looks(train.looks))


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(5)
    return [(diagram(rng), question(rng)) for _ in range(4)]


def test_a_pair_says_by_what_it_is_one(drawn):
    (one, asked), (two, other), (three, _), _ = drawn
    again = recompressed(two, np.random.default_rng(0))
    trained = [("t0", asked, [one]), ("t1", other, [two]), ("t2", "Find x.", [three])]
    found = pairs_of([("i0", asked, [one]), ("i1", "Find y.", [again]), ("i2", other, [])], trained)
    assert [(each.item, each.train, each.image == 1, each.question) for each in found] == [
        ("i0", "t0", True, 100.0),
        ("i1", "t1", False, None),
        ("i2", "t1", False, 100.0),
    ]
    assert [each.image is None for each in found] == [False, False, True]
    assert (found[1].asked, found[1].trained) == ("Find y.", other)


def test_a_picture_of_several_rows_is_compared_once_and_gives_every_pair(drawn):
    image = drawn[0][0]
    rows = Rows.of((str(number), f"{number}?", [image, image]) for number in range(3))
    assert (len(rows.looks), rows.pictures) == (1, [[0, 0]] * 3)
    found = pairs_of([("a", "", [image]), ("b", "", [image])], [(str(number), "", [image]) for number in range(3)])
    assert [(each.item, each.train) for each in found] == [(item, row) for item in "ab" for row in "012"]


def test_a_short_question_counts_only_beside_its_picture(drawn):
    (one, _), (two, _), *_ = drawn
    assert pairs_of([("i", "Find x.", [one])], [("t", "Find x.", [two])]) == []
    (found,) = pairs_of([("i", "find  x", [one])], [("t", "<image>Find x.", [one])])
    assert (found.image, found.question) == (1, 100)


def test_problems_of_one_template_are_two():
    asked = "In the triangle shown one side is 12 cm long and one angle is 40 degrees, what is the area?"
    assert pairs_of([("i", asked, ())], [("t", asked.replace("40", "50"), ())]) == []
    (found,) = pairs_of([("i", asked, ())], [("t", asked.replace("shown", "shwn"), ())])
    assert 92 <= found.question < 100


def test_what_makes_no_other_question():
    assert words("<image>How LONG is  AC?\nChoices:\nA:1\nB:2") == words("how long is ac") == "how long is ac"


def test_planted_questions_are_found_and_others_are_not():
    found = questions(60, 40, seed=1)
    assert found.pop("false alarms") == (0, 1600)
    assert found.pop("exact copies") == (60, 60)
    assert min(hits for hits, _ in found.values()) >= 57


@pytest.mark.parametrize("task", sorted({*tasks()} - {TINY}))
def test_every_benchmark_gives_the_ids_that_its_samples_have(task, tmp_path):
    """Of rows in its real schema, through ``datasets``."""
    file = tmp_path / "rows.parquet"
    published(task).to_parquet(file)
    found = [*benchmark_rows({"task": task, "title": "x"}, [file])]
    benchmark = load(task)
    assert {name for name, _, _ in found} >= {benchmark.facts(example.doc)["id"] for example in examples(task)}
    assert all(isinstance(text, str) for _, text, _ in found)
    assert len(Rows.of(found).looks) <= sum(len(images) for *_, images in found)


def test_passes_over_the_same_data_are_one(monkeypatch):
    task = "kawhi_mathvista"
    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: published(task))
    several = [*benchmark_rows({"task": task, "title": "x", "prompts": ["cot", "solution", "format"]})]
    assert len(several) == len(published(task)) == len({name for name, *_ in several})


def test_data_that_cannot_be_had_are_one_sentence(monkeypatch, tmp_path):
    def offline(*_, **__):
        raise ConnectionError("no route\nto the hub")

    monkeypatch.setattr("datasets.load_dataset", offline)
    with pytest.raises(CellError, match=r"kawhi_chartqa cannot be had \(no route\); .*kawhi_chartqa=FILE"):
        next(benchmark_rows({"task": "kawhi_chartqa", "title": "x"}))
    with pytest.raises(CellError, match="there is no"):
        next(training_rows(tmp_path / "train.parquet"))
    Dataset.from_list([{"a": 1}]).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(CellError, match="no column images and prompt"):
        next(training_rows(tmp_path / "train.parquet"))
