"""Stage prepare: the files of a cell, made once, checked always."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from PIL import Image

from kawhi.base.errors import CellError
from kawhi.base.rundir import RunDirectory
from kawhi.data import schema
from kawhi.data.file_checks import check_file
from kawhi.runs import prepare as module
from kawhi.runs.prepare import prepare
from kawhi.tiny import drawn_files
from kawhi.tiny.drawn_files import tiny_file
from tests.cells import cell


def small(folder, *overrides: str):
    """A cell with a handful of problems."""
    return cell(folder, "data.train_problems=6", "data.validation_problems=3", *overrides)


def files(folder, asked) -> dict[str, str]:
    run_directory = RunDirectory(folder / "run")
    prepare(asked, run_directory)
    return json.loads((run_directory.path / "data.json").read_text())


@pytest.fixture
def example():
    image = Image.new("RGB", (28, 28), "red")
    return schema.row(source="own", split="train", index=0, image=image, question="Q?", answer="7", task="t")


def test_every_split_has_its_file(tmp_path):
    found = files(tmp_path, small(tmp_path))
    assert {name: check_file(path) for name, path in found.items()} == {"train": 6, "validation": 3}
    assert len(set(found.values())) == 2, "a benchmark's problems are drawn when it is evaluated"


def test_files_are_made_once_and_shared(tmp_path, monkeypatch):
    first = files(tmp_path / "a", small(tmp_path))

    def again(*_):
        raise AssertionError("drawn twice")

    monkeypatch.setattr("kawhi.tiny.dataset.write_split", again)
    assert files(tmp_path / "b", small(tmp_path, "credit=uniform", "seeds.data=5")) == first


def test_what_the_file_holds_is_in_its_name(tmp_path):
    asked = small(tmp_path)
    names = {
        tiny_file(asked, "train", 6, 0),
        tiny_file(asked, "train", 6, 1),
        tiny_file(asked, "train", 5, 0),
        tiny_file(asked, "heldout", 6, 0),
        tiny_file(small(tmp_path, "model=tiny_qwen3_vl"), "train", 6, 0),
    }
    assert len({path.read_bytes() for path in names}) == len(names) == 5


def test_another_generator_makes_another_file(tmp_path, monkeypatch):
    """A changed world must not be trained on old drawings."""
    asked = small(tmp_path)
    first = tiny_file(asked, "train", 2, 0)
    monkeypatch.setattr(drawn_files, "generator_fingerprint", lambda world: "changed")
    assert tiny_file(asked, "train", 2, 0) != first
    assert first.exists()


def test_files_of_one_s_own(tmp_path, example):
    own = {name: tmp_path / f"{name}.parquet" for name in ("train", "validation")}
    for number, path in enumerate(own.values(), start=1):
        schema.write(path, [example] * number)
    found = files(tmp_path, small(tmp_path, *(f"data.{name}_file={path}" for name, path in own.items())))
    assert found["train"] == str(own["train"])
    assert found["validation"] == str(own["validation"])


def test_a_row_without_its_image_is_named(tmp_path, example):
    path = tmp_path / "own.parquet"
    schema.write(path, [example, example | {"images": []}])
    with pytest.raises(CellError) as error:
        files(tmp_path, small(tmp_path, f"data.train_file={path}"))
    assert str(error.value) == (
        f"{path}: 1 of 2 rows cannot be trained on: row 1: 1 <image> marker(s) but 0 image(s); mend or drop them"
    )
    assert not (tmp_path / "run" / "data.json").exists()


def test_as_a_stage_it_ends_with_one_sentence_and_code_1(tmp_path, example):
    path = tmp_path / "own.parquet"
    schema.write(path, [example | {"images": []}])
    run_directory = RunDirectory(tmp_path / "run")
    run_directory.save_config(small(tmp_path, f"data.train_file={path}"))
    command = [sys.executable, "-m", module.__name__, str(run_directory.path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    expected = f"{path}: 1 of 1 rows cannot be trained on: row 0: 1 <image> marker(s) but 0 image(s)"
    expected = f"CellError: {expected}; mend or drop them\n"
    assert done.stderr == expected


def test_a_prompt_longer_than_the_limit_is_refused_with_its_row(tmp_path):
    """verl would lose its responses a minute into training.  A large image alone is resized by the processor."""
    path = tmp_path / "own.parquet"
    questions = [("Q?", (1400, 1400)), ("7 " * 100, (168, 168))]
    rows = [
        schema.row(source="own", split="train", index=i, image=Image.new("RGB", size), question=q, answer="7", task="t")
        for i, (q, size) in enumerate(questions)
    ]
    schema.write(path, rows)
    with pytest.raises(CellError, match=r"1 of 2 rows cannot .*: row 1: \d+ tokens, 36 of .*; the limit is 96; mend"):
        files(tmp_path, small(tmp_path, *asked_files(path)))
    assert files(tmp_path, small(tmp_path, *asked_files(path), "verl.data.max_prompt_length=3000"))


def test_checks_that_take_long_say_how_far_they_are(tmp_path, example, monkeypatch, capsys):
    path = tmp_path / "own.parquet"
    schema.write(path, [example] * 70)
    monkeypatch.setattr(module, "_TOLD_EVERY", 0)
    files(tmp_path, small(tmp_path, *asked_files(path)))
    printed = capsys.readouterr().out
    assert "64 of 70 rows checked" in printed
    assert f"{path}: 70 rows" in printed
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert (status["stage"], status["rows"]) == ("prepare", 70)
    monkeypatch.undo()
    files(tmp_path, small(tmp_path, *asked_files(path)))
    assert "rows checked" not in capsys.readouterr().out


def asked_files(path) -> list[str]:
    return [f"data.{name}_file={path}" for name in ("train", "validation")]
