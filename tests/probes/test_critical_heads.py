"""Vision-critical heads: counting, the figure, and the real runs through lmms-eval in the tiny world."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from kawhi.base.errors import CellError
from kawhi.commands.cli import main
from kawhi.evaluation.benchmark import Scored
from kawhi.evaluation.benchmarks.mme import BENCHMARK, subtask_scores
from kawhi.probes.critical_heads import (
    GUESSING,
    SUBTASKS,
    HeadResult,
    check_questions,
    configuration_line,
    drop_interval,
    is_critical,
    pair_points,
    summary,
)
from kawhi.probes.head_ablation import check_data, open_folder, read
from kawhi.probes.head_figure import figure_of
from kawhi.records.folder import read_folder
from kawhi.tiny.mme_split import write_mme
from kawhi.tiny.warm_start import CHECKPOINTS
from tests.cells import until

HEADS = 4


def result(head: int | None, points: float, images: int = 4) -> HeadResult:
    """Every image of every subtask has these points."""
    pairs = {name: {f"{name}/{i}": points for i in range(images)} for name in SUBTASKS}
    return HeadResult(head, {name: points for name in SUBTASKS}, pairs, unreadable=0)


def found(*points: float, threshold: float = 100):
    whole, *rest = (result(None if i == 0 else i - 1, each) for i, each in enumerate(points))
    return summary(whole, rest, threshold)


@pytest.mark.parametrize(("scores", "points"), [((1, 1), 200), ((1, 0), 50), ((0, 1), 50), ((0, 0), 0)])
def test_a_pair_is_worth_its_accuracy_and_as_much_again_when_both_are_right(scores, points):
    assert pair_points([("count", "count/1.png", score) for score in scores]) == {"count": {"count/1.png": points}}


def test_the_pairs_average_to_the_benchmark_s_own_subtask_scores():
    scores = {("OCR", "a"): (1, 1), ("OCR", "b"): (0, 1), ("scene", "a"): (0, 0)}
    samples = [
        Scored({"category": category, "image": image}, BENCHMARK.rule({"answer": "yes"}, "yes" if right else "no"))
        for (category, image), pair in scores.items()
        for right in pair
    ]
    pairs = pair_points((s.facts["category"], s.facts["image"], s.outcome.score) for s in samples)
    assert {name: sum(each.values()) / len(each) for name, each in pairs.items()} == subtask_scores(samples)


@pytest.mark.parametrize("count", [1, 3])
def test_an_image_without_exactly_two_questions_is_refused(count):
    with pytest.raises(ValueError, match=rf"a.png has {count} question"):
        pair_points([("count", "a.png", 1.0)] * count)


def questions(**more: str) -> list[tuple[str, str, str]]:
    return [(name, f"{name}/1", answer) for name in (*SUBTASKS, *more) for answer in ("Yes", "No")]


def test_questions_of_all_subtasks_in_pairs_are_mme_s():
    check_questions(questions())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (questions()[:-2], "absent here: code_reasoning"),
        (questions(colour=""), "unknown or absent here: colour"),
        (questions()[:-1], "code_reasoning/1 has 1 question"),
        ([*questions(), ("count", "count/2", "maybe"), ("count", "count/2", "No")], "neither Yes nor No"),
    ],
)
def test_other_questions_are_not(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_questions(wrong)


@pytest.mark.parametrize(
    ("drop", "threshold", "critical"),
    [(100.1, 100, True), (100.0, 100, False), (50.1, 100, False), (50.1, 50, True), (-200, 50, False)],
)
def test_a_head_is_critical_when_the_drop_exceeds_the_threshold(drop, threshold, critical):
    assert is_critical(drop, threshold) is critical


def test_the_list_is_what_the_model_s_configuration_takes():
    # 14 subtasks fall by 10, 0, 5 and 7.5 points each
    points = (150, 140, 150, 145, 142.5)
    assert [row["drop"] for row in found(*points)["heads"]] == [140, 0, 70, 105]
    assert configuration_line(found(*points), "x") == "critical_heads: [0, 3]   # measured: x"
    assert configuration_line(found(*points, threshold=50), "x") == "critical_heads: [0, 2, 3]   # measured: x"
    assert configuration_line(found(*points, threshold=500), "x") == "critical_heads: null   # measured: x"


def test_a_coin_gets_what_is_called_guessing():
    outcomes = [(a, b) for a in (0, 1) for b in (0, 1)]
    points = [pair_points([("count", "a", a), ("count", "a", b)])["count"]["a"] for a, b in outcomes]
    assert sum(points) / 4 * 14 == GUESSING


def test_the_interval_covers_the_drop_and_is_a_point_where_images_agree():
    assert drop_interval(result(None, 150), result(0, 140)) == pytest.approx((140, 140))
    whole = result(None, 200)
    mixed = {name: {image: 200.0 * (i % 2) for i, image in enumerate(images)} for name, images in whole.pairs.items()}
    without = HeadResult(0, {name: 100.0 for name in SUBTASKS}, mixed, 0)
    low, high = drop_interval(whole, without)
    assert 900 < low < 1400 - 100 < 1400 + 100 < high < 1900


def test_the_figure_shows_bars_threshold_and_baseline():
    figure = figure_of(found(150, 140, 150, 145, threshold=100), "some-model")
    bars, heat, _ = figure.axes
    assert [bar.get_height() for bar in bars.patches] == [140, 0, 70]
    assert figure.get_suptitle() == "some-model: MME without each head, b = 2100.0 of 2800 points"
    (legend,) = figure.legends
    assert legend.get_texts()[0].get_text() == "vision-critical: drop above 100 (dashed)"
    assert 100 in [line.get_ydata()[0] for line in bars.lines]
    (image,) = heat.get_images()
    assert image.get_array().tolist() == [[-10, 0, -5]] * 14
    assert [text.get_text() for text in heat.get_yticklabels()][:2] == ["existence  150", "count  150"]


def test_a_folder_of_other_settings_is_refused(tmp_path):
    open_folder(tmp_path, {"weights": "a", "batch_size": 4})
    open_folder(tmp_path, {"weights": "a", "batch_size": 4})
    with pytest.raises(CellError, match="under another batch_size, weights"):
        open_folder(tmp_path, {"weights": "b", "batch_size": 8})


def test_unpaired_data_are_refused_before_a_model_is_loaded(tmp_path, capsys):
    whole = tmp_path / "mme.parquet"
    write_mme(whole, 168, pairs_per_subtask=1)
    assert check_data([whole]) == 28
    table = pq.read_table(whole)
    pq.write_table(table.slice(0, 27), tmp_path / "unpaired.parquet")
    arguments = [str(CHECKPOINTS / "qwen2_5_vl"), "--out", str(tmp_path / "out")]
    assert main(["heads", *arguments, "--data", str(tmp_path / "unpaired.parquet")]) == 1
    said = capsys.readouterr().err
    assert "has 1 question(s)" in said
    assert "Loading" not in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["/nowhere", "--data", "tiny"], "no checkpoint that transformers can open"),
        ([str(CHECKPOINTS / "qwen2_5_vl"), "--data", "nowhere.parquet"], "there is no file nowhere.parquet"),
        ([str(CHECKPOINTS / "qwen2_5_vl"), "--data", "tiny", "--only", "whole,4"], "heads from 0 to 3"),
        ([str(CHECKPOINTS / "qwen2_5_vl"), "--data", "tiny", "--threshold", "-1"], "--threshold at 0"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, capsys, arguments, sentence):
    assert main(["heads", *arguments, "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert sentence in said


def test_a_file_that_is_not_mme_s_is_refused(tmp_path):
    pq.write_table(pa.table({"question": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(CellError, match="columns question_id, answer, category"):
        check_data([tmp_path / "other.parquet"])


def command(out: Path, *more: str) -> list[str]:
    checkpoint = str(CHECKPOINTS / "qwen2_5_vl_yes_no")
    arguments = ["heads", checkpoint, "--data", "tiny", "--tiny-pairs", "2", "--device", "cpu", "--out", str(out)]
    return [sys.executable, "-m", "kawhi", *arguments, *more]


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}  # now, not when imported: with this test's folder of records


@pytest.mark.slow
def test_a_run_killed_in_the_middle_ends_as_one_that_was_not(tmp_path, records):
    subprocess.run(command(tmp_path / "whole"), env=environment(), check=True)

    out = tmp_path / "killed"
    process = subprocess.Popen(command(out), env=environment())
    until(lambda: len(list(out.glob("heads/[0-9w]*.json"))) >= 2, alive=process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, _, missing = read(out, HEADS)
    assert 0 < len(missing) < 4
    times = {file: file.stat().st_mtime_ns for file in out.glob("heads/[0-9w]*.json")}

    subprocess.run(command(out), env=environment(), check=True)
    assert all(file.stat().st_mtime_ns == time for file, time in times.items())  # only the missing ones were run
    for file in ("heads.json", *(f"heads/{name}.json" for name in ("whole", "00", "01", "02", "03"))):
        assert json.loads((out / file).read_text()) == json.loads((tmp_path / "whole" / file).read_text())

    made = json.loads((out / "heads.json").read_text())
    assert made["baseline"]["total"] > 0
    assert len({row["total"] for row in made["heads"]} | {made["baseline"]["total"]}) > 1  # masking does something
    assert Image.open(out / "heads.png").width > 800
    assert (out / "heads.pdf").read_bytes().startswith(b"%PDF")

    found = read_folder(records)
    ((file, record),) = found.records.items()
    assert not found.refused
    assert file.name.startswith("qwen2_5_vl_yes_no_heads-")
    assert record.provenance == "tiny"
    assert record.command.startswith("kawhi heads ")
    assert str(tmp_path) not in record.command
    assert record.heads == {key: value for key, value in made.items() if key != "model"}

    assert main([*command(out)[3:], "--threshold", "5000"]) == 0  # another threshold needs no further run
    assert json.loads((out / "heads.json").read_text())["critical_heads"] == []
    assert all(file.stat().st_mtime_ns == time for file, time in times.items())

    refused = subprocess.run(command(out, "--batch-size", "7"), env=environment(), capture_output=True, text=True)
    assert refused.returncode == 1
    assert "another batch_size" in refused.stderr
