"""Samples in parquet: what is written is what is read."""

from __future__ import annotations

from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kawhi.evaluation.samples import Reply, Sample, read_images, read_samples, write_images, write_samples

SAMPLE = Sample("1", "", {"id": "1", "question": "q", "answer": "a"}, "p", [], "r", "stop", 1, 0.0)
REPLY = Reply("verdict", "0" * 16, "1" * 12, "1", "", 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))  # everything but surrogates
SCORE = st.floats(0, 1)
PARTS = st.dictionaries(TEXT, SCORE, max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXT, children, max_size=3),
    max_leaves=6,
)
SAMPLES = st.builds(
    Sample,
    id=TEXT,
    run=TEXT,
    facts=st.dictionaries(TEXT, JSON, max_size=3),
    prompt=TEXT,
    images=st.lists(TEXT, max_size=2),
    response=TEXT,
    finish_reason=st.sampled_from(["stop", "length"]),
    tokens=st.integers(0, 2**40),
    rule_score=SCORE,
    rule_extraction=TEXT,
    rule_parts=PARTS,
    score=st.none() | SCORE,
    extraction=TEXT,
    parts=PARTS,
    replies=st.lists(st.builds(Reply, TEXT, TEXT, TEXT, TEXT, TEXT, st.integers(0, 9)), max_size=2),
)


@given(samples=st.lists(SAMPLES, max_size=3))
def test_samples_come_back_as_they_were(tmp_path_factory, samples):
    file = tmp_path_factory.mktemp("samples") / "samples.parquet"
    write_samples(file, samples)
    assert read_samples(file) == samples


@pytest.mark.parametrize("key", ["response", "prompt", "extraction", "id"])
@pytest.mark.parametrize(("text", "stored"), [("a\ud83db", "a\ufffdb"), ("\udc00", "\ufffd"), ("\ud83d\ude00", "😀")])
def test_half_a_character_becomes_the_replacement_character(tmp_path, key, text, stored):
    write_samples(tmp_path / "s.parquet", [replace(SAMPLE, **{key: text})])
    assert getattr(read_samples(tmp_path / "s.parquet")[0], key) == stored


def test_half_a_character_in_a_reply_or_in_the_facts_does_not_stop_an_evaluation(tmp_path):
    sample = replace(SAMPLE, facts={"\ud800": ["\ud800"]}, images=["\ud800"], replies=[replace(REPLY, text="\ud800")])
    write_samples(tmp_path / "s.parquet", [sample])
    read = read_samples(tmp_path / "s.parquet")[0]
    assert (read.facts, read.images, read.replies[0].text) == ({"\ufffd": ["\ufffd"]}, ["\ufffd"], "\ufffd")


@pytest.mark.parametrize(
    ("score", "error", "verdict"),
    [
        (1.0, "", "right"),
        (0.0, "", "wrong"),
        (0.5, "", "partly"),
        (1e-9, "", "partly"),
        (None, "", "open"),
        (None, "no reply", "error"),
        (1.0, "no reply", "error"),
    ],
)
def test_the_verdict_and_its_column(tmp_path, score, error, verdict):
    sample = replace(SAMPLE, score=score, replies=[REPLY, replace(REPLY, error=error)])
    assert sample.verdict == verdict
    assert sample.judge_error == error
    write_samples(tmp_path / "s.parquet", [sample])
    assert pq.read_table(tmp_path / "s.parquet")["verdict"].to_pylist() == [verdict]
    assert read_samples(tmp_path / "s.parquet")[0].score == score


def test_a_writer_that_is_stopped_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "s.parquet"
    write_samples(file, [SAMPLE])

    def half(table, path):
        path.write_bytes(b"PAR1")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("kawhi.data.schema.pq.write_table", half)
        with pytest.raises(KeyboardInterrupt):
            write_samples(file, [])
    assert read_samples(file) == [SAMPLE]
    assert [each.name for each in tmp_path.iterdir()] == ["s.parquet"]


@given(images=st.dictionaries(TEXT, st.binary(max_size=20), max_size=4))
def test_images_come_back_as_they_were(tmp_path_factory, images):
    file = tmp_path_factory.mktemp("images") / "images.parquet"
    write_images(file, images)
    assert read_images(file) == images


def test_an_older_file_has_no_clusters(tmp_path):
    write_samples(tmp_path / "samples.parquet", [replace(SAMPLE, cluster="7")])
    assert read_samples(tmp_path / "samples.parquet")[0].cluster == "7"
    older = pq.read_table(tmp_path / "samples.parquet").drop_columns("cluster")
    pq.write_table(older, tmp_path / "samples.parquet")
    assert read_samples(tmp_path / "samples.parquet") == [replace(SAMPLE, cluster="")]
