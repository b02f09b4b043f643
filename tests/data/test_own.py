"""Data of one's own: jsonl and parquet, paths and bytes, columns named and guessed; the mistakes of each."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kawhi.data.origins import fingerprint
from kawhi.data.sources import PrepareError
from kawhi.data.sources.own import Reader
from tests.data.layouts import picture
from tests.data.test_sources import all_of


def lines(file: Path, rows: list[dict]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def image(folder: Path, number: int) -> str:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "images" / f"{number}.png").write_bytes(picture(number))
    return f"images/{number}.png"


def rows(folder: Path, count: int, **more) -> list[dict]:
    return [{"prompt": f"Find x{n}.", "label": n, "image": image(folder, n), **more} for n in range(count)]


def test_jsonl_with_paths_and_guessed_columns(tmp_path):
    source = Reader(lines(tmp_path / "some.jsonl", rows(tmp_path, 3)))
    assert source.columns == {"question": "prompt", "answer": "label", "image": "image"}
    assert source.splits == ("train",)
    last = all_of(source, "train")[-1]
    assert (last.id, last.question, last.answer) == ("train-00002", "Find x2.", "2")
    assert [read() for read in last.images] == [picture(2)]


def test_named_columns_come_before_guessed_ones(tmp_path):
    made = rows(tmp_path, 2, question="no", answer="none", key="k")
    made[1]["key"] = "m"
    source = Reader(
        lines(tmp_path / "some.jsonl", made), {"question": "prompt", "answer": "label", "id": "key", "image": "image"}
    )
    assert [(each.id, each.question, each.answer) for each in all_of(source, "train")] == [
        ("k", "Find x0.", "0"),
        ("m", "Find x1.", "1"),
    ]


def parquet(file: Path, rows: list[dict]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), file, row_group_size=2)
    return file


FORMS = {
    "bytes": lambda folder, content: content,
    "struct": lambda folder, content: {"bytes": content, "path": None},
    "struct with a path": lambda folder, content: {"bytes": None, "path": "images/3.png"},
    "list": lambda folder, content: [{"bytes": content, "path": "x.png"}] * 2,
    "path": lambda folder, content: "images/3.png",
    "whole path": lambda folder, content: str(folder / "images" / "3.png"),
    "url": lambda folder, content: f"file://{folder / 'images' / '3.png'}",
    "data uri": lambda folder, content: f"data:image/png;base64,{base64.b64encode(content).decode()}",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_an_image_in_parquet(tmp_path, form):
    image(tmp_path, 3)
    made = [{"question": "Why?", "answer": "7", "images": FORMS[form](tmp_path, picture(3))}] * 5
    examples = all_of(Reader(parquet(tmp_path / "some.parquet", made)), "train")
    assert len(examples) == 5
    for example in examples:
        assert {read() for read in example.images} == {picture(3)}
        assert len(example.images) == (2 if form == "list" else 1)


def test_a_folder_has_a_file_for_each_split(tmp_path):
    for split, count in (("train", 4), ("validation", 2), ("test", 1)):
        lines(tmp_path / f"{split}.jsonl", rows(tmp_path, count))
    source = Reader(tmp_path)
    assert source.splits == ("train", "validation", "test")
    assert [len(all_of(source, split)) for split in source.splits] == [4, 2, 1]


def test_a_folder_with_one_file_of_any_name_is_the_training_split(tmp_path):
    lines(tmp_path / "charts.jsonl", rows(tmp_path, 2))
    assert Reader(tmp_path).splits == ("train",)
    lines(tmp_path / "more.jsonl", rows(tmp_path, 2))
    with pytest.raises(PrepareError, match=r"has not the expected files: one \.jsonl or"):
        Reader(tmp_path)


def test_answers_in_a_box_in_a_list_and_missing_ones(tmp_path):
    made = rows(tmp_path, 5)
    made[0]["label"], made[1]["label"], made[2]["label"], made[3]["label"] = "\\boxed{7}", ["7", 8], "\\boxed{7", None
    del made[4]["label"]
    assert [each.answer for each in all_of(Reader(lines(tmp_path / "a.jsonl", made)), "train")] == [
        "7", "7, 8", "", "", "",
    ]  # fmt: skip


@pytest.mark.parametrize("given", ["images/none.png", "", None, {"bytes": None, "path": None}, "data:x;base64,%%"])
def test_an_image_that_is_not_there_is_none(tmp_path, given):
    made = rows(tmp_path, 2)
    made[1]["image"] = given
    example = all_of(Reader(lines(tmp_path / "a.jsonl", made)), "train")[1]
    assert not example.images if given is None else True
    for read in example.images:
        with pytest.raises(FileNotFoundError):
            read()


def test_other_images_or_columns_are_another_source(tmp_path):
    file = lines(tmp_path / "a.jsonl", rows(tmp_path, 3, problem="Why?"))
    before, content = Reader(file).about, fingerprint(Reader(file).files)
    assert Reader(file).about == before
    assert Reader(file, {"question": "prompt"}).about != before
    (tmp_path / "images" / "1.png").write_bytes(picture(9, size=(64, 64)))
    assert fingerprint(Reader(file).files) == content
    assert Reader(file).about != before


REFUSED = {
    "no question": (
        {"answer": "1", "image": "a"},
        {},
        r"no column that looks like the question \(it has answer, image\)",
    ),
    "no such column": (
        {"q": "1", "answer": "1", "image": "a"},
        {"question": "x"},
        "no column x for the question; it has",
    ),
    "no such role": ({"q": "1"}, {"questions": "q"}, "--column questions=q: name one of question, answer, image, id"),
}


@pytest.mark.parametrize(("row", "named", "said"), REFUSED.values(), ids=REFUSED)
def test_columns_that_are_not_there(tmp_path, row, named, said):
    with pytest.raises(PrepareError, match=said):
        Reader(lines(tmp_path / "a.jsonl", [row]), named)


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "has no line"), ('{"question": 1}\n{\n', "line 2 is not JSON"), ("[1]\n", "line 1 is no object")],
)
def test_lines_that_are_no_rows(tmp_path, text, said):
    file = tmp_path / "a.jsonl"
    file.write_text(text)
    with pytest.raises(PrepareError, match=said):
        Reader(file, {"question": "question", "answer": "question", "image": "question"}).entries("train")
