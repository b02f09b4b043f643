"""What is kept, what is dropped and how it is told, what is done again and what is not."""

from __future__ import annotations

import json
import re

import pyarrow.parquet as pq
import pytest

from kawhi.base.errors import CellError
from kawhi.data import build as module
from kawhi.data import origins, schema
from kawhi.data.build import Request, build, finished
from kawhi.data.file_checks import check_file
from kawhi.data.prompt_length import Length
from kawhi.data.prompts import INSTRUCTION, compose
from kawhi.data.sources import PrepareError
from kawhi.data.sources.geo3k import Reader as Geo3K
from kawhi.data.sources.virl39k import Reader as ViRL39K
from tests.data import layouts

LIMIT = 300


class Words:
    """A processor of a kind: a token for every word and every 100 pixels."""

    special = ("<|image_pad|>", "<|im_end|>")

    def __call__(self, messages, sizes):
        image = sum(width * height // 100 for width, height in sizes)
        return Length(sum(len(message["content"].split()) for message in messages) + image, image)


def request(reader, **changed):
    name = "geo3k" if isinstance(reader, Geo3K) else "virl39k"
    fixed = {"selection": "all", "model": "words", "max_prompt_length": LIMIT, "limit": None}
    return Request(**({"name": name, "source": "here"} | fixed | changed))


def run(source, out, tick=lambda *_: None, **changed):
    return build(source, origins.fingerprint(source.files), request(source, **changed), out, Words(), tick)


def rows(path):
    return pq.read_table(path).to_pylist()


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(module, "SHARD_ROWS", 4)


def test_one_schema_whatever_the_source(tmp_path):
    geo3k = Geo3K(layouts.geo3k(tmp_path / "geo3k"))
    (tmp_path / "virl39k").mkdir()
    virl39k = ViRL39K(layouts.virl39k(tmp_path / "virl39k", [layouts.virl_row(number) for number in range(20)]))
    for source, split, counts in ((geo3k, "test", (23, 3, 2)), (virl39k, "train", (18, 2))):
        out = tmp_path / f"out of {split}"
        report = run(source, out)
        assert tuple(counts["kept"] for counts in report["splits"].values()) == counts
        for name, counts_of in report["splits"].items():
            file = out / f"{name}.parquet"
            assert pq.read_schema(file).equals(schema.SCHEMA)
            assert check_file(file, Words(), LIMIT) == counts_of["kept"]
            assert schema.preparation(file) == {"request": request(source).described(), "split": name}
    row = rows(tmp_path / "out of train" / "train.parquet")[0]
    index = row["extra_info"]["index"]
    assert row["images"] == [{"bytes": (virl39k.place / f"images/Processed-{index}-0.jpg").read_bytes()}]
    assert row["prompt"] == [{"role": "user", "content": f"<image>\nHow many are {index}?\n\n{INSTRUCTION}"}]
    assert row["reward_model"] == {"style": "rule", "ground_truth": str(index)}
    assert row["data_source"] == "virl39k"
    assert row["extra_info"] == {
        "split": "train",
        "index": index,
        "id": f"Processed-{index}",
        "question": f"<image>\nHow many are {index}?",
        "answer": str(index),
        "task": "(GradeSchool) Geometric",
        "choices": [],
    }


def test_rows_held_out_are_no_training_rows_and_always_the_same(tmp_path):
    (tmp_path / "in").mkdir()
    source = ViRL39K(layouts.virl39k(tmp_path / "in", [layouts.virl_row(number) for number in range(30)]))
    ids = []
    for out in (tmp_path / "a", tmp_path / "b"):
        run(source, out)
        ids.append(
            [[row["extra_info"]["id"] for row in rows(out / f"{split}.parquet")] for split in ("train", "validation")]
        )
    assert ids[0] == ids[1]
    assert [len(of_split) for of_split in ids[0]] == [27, 3]
    assert not set(ids[0][0]) & set(ids[0][1])


def test_the_instruction_asks_for_both_marks_and_images_stand_where_the_question_has_them():
    assert "<think>" in INSTRUCTION
    assert "</think>" in INSTRUCTION
    assert "\\boxed{}" in INSTRUCTION
    assert compose("Q?", 2).startswith("<image><image>Q?")
    assert compose("A <image> B", 1).startswith("A <image> B")


BROKEN = {
    "no answer": {"answer": "  "},
    "no question": {"problem": "<image> "},
    "no image": {"images": []},
    "image count": {"problem": "<image><image>Find it."},
    "image missing": {"images": [{"bytes": None, "path": "gone.png"}]},
    "image cannot be decoded": {"images": [{"bytes": layouts.picture(0)[:-4000], "path": None}]},
    "image too small": {"images": [{"bytes": layouts.picture(0, (27, 90)), "path": None}]},
    "image too narrow": {"images": [{"bytes": layouts.picture(0, (28, 5700)), "path": None}]},
    "prompt too long": {"images": [{"bytes": layouts.picture(0, (200, 200)), "path": None}]},
    "foreign marker": {"problem": "<image>What does <video> mean?"},
    "special token": {"problem": "<image>What does <|image_pad|> mean?"},
}
WORDS = len(compose("Find x8.", 1).split())
DETAIL = {
    "no answer": "the answer is empty or its box is not closed",
    "image count": "2 <image> marker(s) but 1 image(s)",
    "special token": "the model takes <|image_pad|> in a message for a token of its own, not for text",
    "image missing": "the image: the file holds no bytes for it",
    "image too small": "the image has 27 x 90 pixels; the least side is 28",
    "image too narrow": "the image has 28 x 5700 pixels; the highest ratio is 200",
    "prompt too long": f"{400 + WORDS} tokens, 400 of them for images; the limit is {LIMIT}",
}


def test_what_is_dropped_is_reported_by_id_with_the_reason(tmp_path):
    train = [layouts.geo3k_row(number, **change) for number, change in enumerate(BROKEN.values())]
    train += [layouts.geo3k_row(number) for number in range(50, 53)]
    report = run(Geo3K(layouts.geo3k(tmp_path / "in", train)), tmp_path / "out")
    assert {row["reason"]: row["id"] for row in report["dropped"]} == {
        reason: f"train-{number:05d}" for number, reason in enumerate(BROKEN)
    }
    details = {row["reason"]: row["detail"] for row in report["dropped"]}
    assert {reason: details[reason] for reason in DETAIL} == DETAIL
    assert details["image cannot be decoded"].startswith("the image cannot be decoded: ")
    assert report["splits"]["train"] == {"rows": 14, "kept": 3, "dropped": dict.fromkeys(BROKEN, 1)}
    kept = rows(tmp_path / "out" / "train.parquet")
    assert [row["extra_info"]["index"] for row in kept] == [11, 12, 13]  # numbers of the source, not of the file
    assert json.loads((tmp_path / "out" / "geo3k.report.json").read_text()) == report


def test_the_second_row_with_an_id_is_refused(tmp_path):
    train = [layouts.geo3k_row(number, id=number % 5, choices=[]) for number in range(6)]
    report = run(Geo3K(layouts.geo3k(tmp_path / "in", train)), tmp_path / "out")
    assert report["dropped"] == [
        {"split": "train", "id": "train-0", "reason": "id repeated", "detail": "row 5 has the id of an earlier row"}
    ]
    assert report["splits"]["train"]["kept"] == 5


def test_a_split_without_a_row_left_is_an_error(tmp_path):
    source = Geo3K(layouts.geo3k(tmp_path / "in", [layouts.geo3k_row(0, answer="")] * 2))
    with pytest.raises(PrepareError, match=r"no row of train is left \(2 no answer\)"):
        run(source, tmp_path / "out")
    assert not (tmp_path / "out" / "train.parquet").exists()


class Killed(BaseException):
    """Stands for what ends a process."""


def test_a_shard_that_is_done_is_not_done_again(tmp_path):
    train = [layouts.geo3k_row(number, answer="" if number in (1, 9) else "1") for number in range(23)]
    source, out, lines = Geo3K(layouts.geo3k(tmp_path / "in", train)), tmp_path / "out", []

    def until_the_third(split, done, *_):
        if done == 12:
            raise Killed

    with pytest.raises(Killed):
        run(source, out, until_the_third)
    shards = sorted(out.glob(".geo3k-*/train-*.parquet"))
    assert len(shards) == 3
    assert not list(out.glob("*.parquet"))
    report = run(source, out, lambda *line: lines.append(line))
    assert lines[:2] == [("train", 12, 23, 2), ("train", 16, 23, 2)]
    run(source, tmp_path / "at once")
    assert report == json.loads((tmp_path / "at once" / "geo3k.report.json").read_text())
    for split in ("train", "validation", "test"):
        assert rows(out / f"{split}.parquet") == rows(tmp_path / "at once" / f"{split}.parquet")
    assert not list(out.glob(".geo3k-*"))


def test_shards_of_other_files_are_not_gone_on_with(tmp_path):
    out = tmp_path / "out"
    source = Geo3K(layouts.geo3k(tmp_path / "in"))

    def at_once(*_):
        raise Killed

    with pytest.raises(Killed):
        run(source, out, at_once)
    layouts.geo3k(tmp_path / "in", [layouts.geo3k_row(number, answer="new") for number in range(23)])
    run(Geo3K(tmp_path / "in"), out)
    assert {row["extra_info"]["answer"] for row in rows(out / "train.parquet")} == {"new"}


def test_finished_means_the_same_request_and_all_files(tmp_path):
    source, out = Geo3K(layouts.geo3k(tmp_path / "in")), tmp_path / "out"
    assert finished(request(source), out) is None
    report = run(source, out)
    assert finished(request(source), out) == report
    (out / "validation.parquet").unlink()
    assert finished(request(source), out) is None


@pytest.mark.parametrize(
    ("key", "value"), [("max_prompt_length", 200), ("model", "other"), ("limit", 3), ("source", "there")]
)
@pytest.mark.parametrize("with_report", [True, False])
def test_another_preparation_is_never_overwritten(tmp_path, key, value, with_report):
    source, out = Geo3K(layouts.geo3k(tmp_path / "in")), tmp_path / "out"
    run(source, out)
    if not with_report:
        (out / "geo3k.report.json").unlink()
    old = getattr(request(source), key)
    with pytest.raises(
        PrepareError, match=re.escape(f"was made with {key} {old!r} instead of {value!r}; name another")
    ):
        finished(request(source, **{key: value}), out)


def test_a_file_of_one_s_own_is_never_overwritten(tmp_path):
    source = Geo3K(layouts.geo3k(tmp_path / "in"))
    schema.write(tmp_path / "out" / "train.parquet", [])
    with pytest.raises(PrepareError, match=r"train.parquet was not made by kawhi prepare; name another folder"):
        finished(request(source), tmp_path / "out")


def test_the_limit_counts_rows_of_every_split(tmp_path):
    report = run(Geo3K(layouts.geo3k(tmp_path / "in")), tmp_path / "out", limit=2)
    assert {split: counts["rows"] for split, counts in report["splits"].items()} == {
        "train": 2,
        "validation": 2,
        "test": 2,
    }


def test_only_one_process_prepares_a_folder(tmp_path):
    source, out = Geo3K(layouts.geo3k(tmp_path / "in")), tmp_path / "out"
    refused = []

    def second(*_):
        with pytest.raises(CellError, match="another process is preparing") as error:
            run(source, out)
        refused.append(error)

    run(source, out, second)
    assert refused
