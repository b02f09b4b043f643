"""``kawhi tokens``, from what is typed to the rows, the figures and the page."""

from __future__ import annotations

import json
import os

import pandas as pd
import pytest

from kawhi.commands.cli import main
from kawhi.records.folder import read_folder
from kawhi.tiny.dataset import write_split
from kawhi.tiny.warm_start import CHECKPOINTS
from tests.evaluation.made import make_run, of
from tests.probes.test_questions import sampled

QUICK = ["--problems", "5", "--group", "2", "--max-new-tokens", "40"]


@pytest.fixture(autouse=True)
def own_records(tmp_path, monkeypatch):
    monkeypatch.setenv("KAWHI_RECORDS", str(tmp_path / "records"))


def ran(out, *arguments: str) -> int:
    return main(["tokens", *arguments, *QUICK, "--out", str(out)])


def test_both_families_from_one_command(tmp_path, capsys):
    models = ["tiny_reading_qwen2_5_vl", "tiny_reading_qwen3_vl"]
    assert ran(tmp_path, "--model", *models, "--data", "reading_plain", "--methods", "uniform,kawhi,tor,oracle") == 0
    printed = capsys.readouterr().out
    text = (tmp_path / "tokens.md").read_text()
    for model in models:
        assert f"{model}: 5 of 5 questions" in printed
        rows = pd.read_parquet(tmp_path / model / "tokens.parquet")
        assert rows["prompt"].unique().tolist() == [0, 1, 2, 3, 4]
        assert [name for name in rows if name.startswith("weight ")] == [
            "weight uniform",
            "weight kawhi",
            "weight tor",
            "weight oracle",
        ]
        found = json.loads((tmp_path / model / "tokens.json").read_text())
        assert (found["tiny"], found["group"], found["tokens"]) == (True, 2, len(rows))
        assert found["settings"]["methods"]["tor"]["options"]["reasoning_share"] == 0.3
        assert found["made"]["versions"]["torch"]
        assert f"({model}/agreement.png)" in text
    assert "Not the paper's model" in text
    assert (tmp_path / "push_pull.png").is_file()
    records = read_folder(tmp_path / "records")
    assert not records.refused
    assert sorted(record.model.name for record in records.records.values()) == models


def test_what_was_measured_is_not_measured_again(tmp_path, capsys):
    arguments = ["--model", str(CHECKPOINTS / "qwen2_5_vl"), "--data", "tiny", "--methods", "uniform,ft_rl"]
    assert ran(tmp_path, *arguments) == 0
    first = pd.read_parquet(tmp_path / "qwen2_5_vl" / "tokens.parquet")
    parts = sorted(tmp_path.rglob("parts/*/*.parquet"))
    assert len(parts) == 2
    written = os.stat(parts[0]).st_mtime_ns
    parts[1].unlink()  # as if it was stopped before the second part
    assert ran(tmp_path, *arguments) == 0
    assert os.stat(parts[0]).st_mtime_ns == written
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "qwen2_5_vl" / "tokens.parquet"), first)
    assert main(["tokens", *arguments, *QUICK, "--seed", "1", "--out", str(tmp_path)]) == 0
    assert len({file.parent for file in tmp_path.rglob("parts/*/*.parquet")}) == 2


def test_a_data_file_is_asked_as_training_asks_it(tmp_path, capsys):
    file = tmp_path / "problems.parquet"
    write_split(file, "heldout", 5, 168, 0)
    assert ran(tmp_path / "out", "--model", "tiny_qwen3_vl", "--data", str(file)) == 0
    said = capsys.readouterr().out
    assert "left out oracle: nobody knows what has to be read here" in said
    assert "left out papo: it adds to the loss and weighs all tokens alike" in said
    found = json.loads((tmp_path / "out" / "tiny_qwen3_vl" / "tokens.json").read_text())
    assert {"kawhi", "vppo", "tor", "ft_rl", "step_grpo"} <= found["settings"]["methods"].keys()
    assert found["right"] is not None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "tiny_qwen2_5_vl"], "say --data or --samples"),
        (["--data", "tiny"], "say --model: whose tokens"),
        (["--model", "tiny_qwen2_5_vl", "--data", "geo3k"], "validation.parquet; run `kawhi prepare geo3k` first"),
        (["--model", "tiny_qwen2_5_vl", "--data", "kawhi_tiny"], "the rows of kawhi_tiny are drawn: name the world"),
        (["--model", "no/model", "--data", "tiny"], "there is no model folder no/model"),
        (["--model", "tiny_qwen2_5_vl", "--data", "tiny", "--methods", "nothing"], "there is no method nothing"),
        (
            ["--model", "tiny_qwen2_5_vl", "--data", "tiny", "--methods", "oracle"],
            "oracle needs to know what has to be",
        ),
        (["--model", "tiny_qwen2_5_vl", "tiny_qwen2_5_vl", "--data", "tiny"], "a model is named twice"),
        (["--samples", "nowhere"], "nowhere is not a run directory"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, capsys, monkeypatch, arguments, sentence):
    monkeypatch.setattr("kawhi.base.checkout.RESULTS", tmp_path)
    assert ran(tmp_path, *arguments) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.startswith("error: ")


def test_an_evaluation_s_responses_are_read(tmp_path):
    evaluation = of(make_run(tmp_path, kawhi_tiny=sampled()), "kawhi_tiny")
    assert ran(tmp_path / "out", "--samples", str(evaluation.path), "--methods", "uniform,vppo") == 0
    (file,) = (tmp_path / "out").glob("*/tokens.json")
    found = json.loads(file.read_text())
    assert (found["responses"], found["group"], found["right"]) == (2, 1, 0.5)
    rows = pd.read_parquet(file.with_name("tokens.parquet"))
    first = rows[rows["prompt"] == 0]
    assert "".join(first["token"]).startswith(sampled()[0].response)
