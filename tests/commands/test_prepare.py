"""`kawhi prepare`, from what is typed to the files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
from PIL import Image

from kawhi.base.checkout import resolve_package_paths
from kawhi.base.errors import CellError
from kawhi.commands.cli import main
from kawhi.data.file_checks import check_file
from kawhi.data.prompt_length import PromptLength
from kawhi.data.prompts import compose
from kawhi.data.sources import chartqa_20k
from kawhi.runs import prepare as prepare_stage
from kawhi.runs.identity import cell_hash
from tests.cells import cell
from tests.data import layouts
from tests.data.test_sources import folder_of
from tests.runs.test_prepare import files as stage


def prepare(source, out, *more, name="geo3k"):
    return main(["prepare", name, "--from", str(source), "--out", str(out), "--model", layouts.TINY, *more])


def state(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("name", ["geo3k", "chartqa_20k", "virl39k"])
def test_twice_does_nothing_the_second_time(tmp_path, capsys, name):
    source, out = folder_of(name, tmp_path / "in"), tmp_path / "out"
    assert prepare(source, out, name=name) == 0
    first, printed = state(out), capsys.readouterr().out
    assert f"wrote {out / 'train.parquet'}" in printed
    assert "nothing to do" not in printed
    assert check_file(out / "train.parquet") > 0
    assert prepare(source, out, name=name) == 0
    assert f"nothing to do: {out} was prepared in the same way" in capsys.readouterr().out
    assert state(out) == first


def test_the_second_time_neither_the_network_nor_the_processor_is_needed(tmp_path, monkeypatch, capsys):
    source = layouts.geo3k(tmp_path / "in")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(source))
    assert prepare("hub", tmp_path / "out") == 0

    def never(*_, **__):
        raise AssertionError("asked again")

    monkeypatch.setattr("huggingface_hub.snapshot_download", never)
    monkeypatch.setattr(PromptLength, "of", never)
    assert prepare("hub", tmp_path / "out") == 0
    assert prepare("https://mirror.example", tmp_path / "out") == 0  # a mirror holds what the hub does
    assert capsys.readouterr().out.count("nothing to do") == 2


def test_what_is_dropped_is_printed_with_its_id(tmp_path, capsys):
    rows = [layouts.geo3k_row(number) for number in range(6)]
    rows[2]["answer"] = ""
    rows[4]["images"] = [{"bytes": layouts.picture(4)[:-4000], "path": None}]
    assert prepare(layouts.geo3k(tmp_path / "in", rows), tmp_path / "out") == 0
    printed = capsys.readouterr().out
    lines = {line.split("│")[3].strip(): line for line in printed.splitlines() if "train-" in line}
    assert "train-00002" in lines["no answer"]
    assert "train-00004" in lines["image cannot be decoded"]
    assert "train: 6 of 6 rows, 2 dropped" in printed


def test_the_prompt_s_length_is_the_model_s(tmp_path, capsys):
    source = layouts.geo3k(tmp_path / "in", [layouts.geo3k_row(0), layouts.geo3k_row(1, problem="<image>" + "x " * 99)])
    measure = PromptLength.of(resolve_package_paths(layouts.TINY))
    length = measure([{"role": "user", "content": compose("<image>Find x100.", 1)}], [(60, 40)])
    assert prepare(source, tmp_path / "out", "--max-prompt-length", str(length.total)) == 0
    assert "train-00001" in capsys.readouterr().out
    assert pq.read_metadata(tmp_path / "out" / "train.parquet").num_rows == 1
    assert prepare(source, tmp_path / "other", "--max-prompt-length", str(length.total - 1)) == 1
    assert "no row of validation is left (3 prompt too long)" in capsys.readouterr().err


@pytest.mark.parametrize("size", [(60, 40), (28, 1000), (400, 300)])
def test_a_length_is_what_the_processor_returns_for_what_verl_gives_it(family, size):
    from qwen_vl_utils import fetch_image

    measure = PromptLength.of(resolve_package_paths(f"pkg://kawhi.tiny/checkpoints/{family}"))
    processor, image = measure._processor, Image.new("RGB", size)
    content = [{"type": "image"}, {"type": "text", "text": "and"}, {"type": "image"}, {"type": "text", "text": "Why?"}]
    chat = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    seen = fetch_image({"image": image}, image_patch_size=processor.image_processor.patch_size)
    ids = processor(text=[chat], images=[seen, seen])["input_ids"][0]
    message = {"role": "user", "content": "<image>and<image>Why?"}
    assert measure([message], [size, size]).total == len(ids)
    longer = measure([{"role": "assistant", "content": "One two."}, message], [size, size])
    assert longer.total > len(ids)  # no message of a prompt hides another one


def test_what_verl_reads_is_what_was_prepared(tmp_path):
    from omegaconf import OmegaConf
    from verl.utils.dataset.rl_dataset import RLHFDataset

    assert prepare(layouts.geo3k(tmp_path / "in"), tmp_path / "out") == 0
    processor = PromptLength.of(resolve_package_paths(layouts.TINY))._processor
    config = OmegaConf.create(
        {
            "max_prompt_length": 1024,
            "filter_overlong_prompts": True,
            "filter_overlong_prompts_workers": 1,
            "cache_dir": str(tmp_path / "cache"),
        }
    )
    read = RLHFDataset(str(tmp_path / "out" / "train.parquet"), processor.tokenizer, config, processor)
    assert len(read) == 23
    content = read[5]["raw_prompt"][0]["content"]
    assert [part["type"] for part in content] == ["image", "text"]
    assert content[1]["text"] == compose("<image>Find x5.", 1).removeprefix("<image>")
    assert read[5]["index"] == 5


SLOW = """
import sys, time
from kawhi.data import build
build.SHARD_ROWS = 4
check = build.check
def slowly(*arguments):
    time.sleep(float(sys.argv[1]))
    return check(*arguments)
build.check = slowly
from kawhi.commands.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
def test_killed_midway_it_goes_on_where_it_was(tmp_path):
    source, out = layouts.geo3k(tmp_path / "in"), tmp_path / "out"
    typed = ["prepare", "geo3k", "--from", str(source), "--out", str(out), "--model", layouts.TINY]
    process = subprocess.Popen([sys.executable, "-c", SLOW, "0.2", *typed], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while len(list(out.glob(".geo3k-*/train-*.parquet"))) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = sorted(out.glob(".geo3k-*/train-*.parquet"))
    assert 2 <= len(done) < 6
    assert not list(out.glob("*.parquet"))
    again = subprocess.run([sys.executable, "-c", SLOW, "0", *typed], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    lines = [line for line in again.stdout.splitlines() if line.startswith("train:")]
    assert lines[0] == f"train: {4 * len(done)} of 23 rows, 0 dropped"
    assert len(lines) == 1 + 6 - len(done)  # what was there, and the shards that were missing
    assert sorted(path.name for path in out.iterdir()) == [
        ".geo3k.lock",
        "geo3k.report.json",
        "test.parquet",
        "train.parquet",
        "validation.parquet",
    ]
    indices = [row["index"] for row in pq.read_table(out / "train.parquet")["extra_info"].to_pylist()]
    assert indices == list(range(23))


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (28, "commit {ids} as kawhi/data/ids/chartqa_20k.txt"),
        (29, "this copy of ChartQA is not complete: it has 28 different training questions, not 29"),
    ],
)
def test_a_drawn_sample_s_ids_are_written_and_the_user_is_told(tmp_path, capsys, monkeypatch, size, told):
    monkeypatch.setattr(chartqa_20k, "SIZE", size)
    source, out = folder_of("chartqa_20k", tmp_path / "in"), tmp_path / "out"
    assert prepare(source, out, name="chartqa_20k") == 0
    assert told.format(ids=out / "chartqa_20k.ids.txt") in capsys.readouterr().out
    ids = (out / "chartqa_20k.ids.txt").read_text().split()
    rows = pq.read_table(out / "train.parquet")["extra_info"].to_pylist()
    assert sorted(row["id"] for row in rows) == sorted(ids)


MISTAKES = {
    "unknown name": (["prepare", "geo4k"], "there is no data set 'geo4k'"),
    "no folder": (["prepare", "geo3k", "--from", "none"], "there is no file or folder none"),
    "empty folder": (["prepare", "geo3k", "--from", "."], "has not the expected files: data/train-*.parquet"),
    "no model": (["prepare", "geo3k", "--from", "in", "--model", "./none"], "there is no model folder none"),
    "no processor": (["prepare", "geo3k", "--from", "in", "--model", "in"], "in has no processor of a Qwen-VL model"),
    "no network": (["prepare", "geo3k", "--from", "http://127.0.0.1:9"], "cannot be had from http://127.0.0.1:9"),
    "no network for the model": (["prepare", "geo3k", "--from", "in", "--model", "kawhi/none"], "cannot be had from"),
    "a limit of nothing": (["prepare", "geo3k", "--limit", "0"], "whole numbers of at least 1"),
    "no room": (["prepare", "geo3k", "--from", "in", "--out", "a file", "--model", layouts.TINY], "a file"),
}


@pytest.mark.parametrize(("typed", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence_and_code_1(tmp_path, monkeypatch, capsys, typed, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    layouts.geo3k(tmp_path / "in")
    (tmp_path / "a file").touch()
    assert main(typed) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert said in error


def test_another_preparation_is_refused(tmp_path, capsys):
    source, out = layouts.geo3k(tmp_path / "in"), tmp_path / "out"
    assert prepare(source, out) == 0
    before = state(out)
    assert prepare(source, out, "--limit", "3") == 1
    assert "limit None instead of 3; name another folder with --out" in capsys.readouterr().err
    assert state(out) == before


def test_the_default_folder_says_what_is_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layouts.geo3k(tmp_path / "in")
    typed = ["prepare", "geo3k", "--from", "in", "--model", layouts.TINY]
    assert main(typed) == 0
    assert main([*typed, "--limit", "2"]) == 0
    assert (tmp_path / "results/data/geo3k/train.parquet").is_file()
    assert (tmp_path / "results/data/geo3k-first-2/train.parquet").is_file()


def test_a_cell_trains_on_what_was_prepared(tmp_path):
    asked = cell(tmp_path, "data=geo3k")
    asked.benchmarks[0].problems = 2
    with pytest.raises(CellError, match=r"train.parquet does not exist; run `kawhi prepare geo3k` first"):
        cell_hash(asked)
    with pytest.raises(CellError, match=r"train.parquet does not exist; run `kawhi prepare geo3k` first"):
        stage(tmp_path, asked)
    source, out = layouts.geo3k(tmp_path / "in"), tmp_path / "data" / "geo3k"
    assert prepare(source, out) == 0
    found = stage(tmp_path, asked)
    assert found["train"] == str(out / "train.parquet")
    assert len(cell_hash(asked)) == 12


def test_a_cell_with_another_model_or_limit_checks_the_rows_again(tmp_path, monkeypatch):
    asked = cell(tmp_path, "data=geo3k", "model=tiny_qwen3_vl")
    asked.benchmarks[0].problems = 2
    assert prepare(layouts.geo3k(tmp_path / "in"), tmp_path / "data" / "geo3k") == 0
    stage(tmp_path, asked)
    with monkeypatch.context() as patch:  # and one with newer rules checks every row again
        patch.setattr(prepare_stage, "RULES", 10**6)
        patch.setattr(prepare_stage, "check_file", lambda path, *_, mend="", **__: pytest.fail(mend))
        with pytest.raises(pytest.fail.Exception, match="run `kawhi prepare geo3k --model"):
            stage(tmp_path, asked)
    asked.verl.data.max_prompt_length = 60
    with pytest.raises(
        CellError,
        match=r"23 of 23 rows cannot .*: row 0 \(id train-00000\): \d+ tokens.* and 18 more.*kawhi prepare geo3k",
    ):
        stage(tmp_path, asked)
