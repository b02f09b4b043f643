"""``kawhi explain``: two files, or one sentence."""

from __future__ import annotations

import pytest
from PIL import Image

from kawhi.commands.cli import main

QUESTION = "What is the value of A?"


def test_an_image(tmp_path, image_file, capsys):
    (tmp_path / "answer.txt").write_text("The bar is 3 high.\n\nAnswer: \\boxed{3}\n")
    out = tmp_path / "new" / "folder"
    response = ["--response", str(tmp_path / "answer.txt")]
    assert main(["explain", str(image_file), QUESTION, *response, "--heads", "0,3", "--out", str(out)]) == 0
    page, picture = out / "chart_explain.html", out / "chart_explain.png"
    printed = capsys.readouterr()
    assert printed.out == f"wrote {page}\nwrote {picture}\n"
    assert printed.err.splitlines() == [
        "explain: opening pkg://kawhi.tiny/checkpoints/qwen2_5_vl",
        "explain: finding the regions",
        "explain: reading answer 1 of 1 beside four images",
        "explain: drawing",
    ]
    text = page.read_text(encoding="utf-8")
    for expected in (
        QUESTION,
        "The bar is 3 high.",
        "heads 0,3",
        "pkg://kawhi.tiny/checkpoints/qwen2_5_vl",
        "--response",
    ):
        assert expected in text
    assert Image.open(picture).width == 2000


def test_the_image_itself_is_never_overwritten(tmp_path, image_file):
    before = image_file.read_bytes()
    assert main(["explain", str(image_file), QUESTION, "--out", str(tmp_path), "--max-new-tokens", "8"]) == 0
    assert image_file.read_bytes() == before


def test_another_model_strategy_and_wrong_image(tmp_path, image_file, drawing):
    drawing.rotate(90).resize((50, 80)).save(tmp_path / "other.jpg")
    more = ["--strategy", "random", "--skip-ratio", "0.5", "--wrong-image", str(tmp_path / "other.jpg")]
    more += ["--model", "pkg://kawhi.tiny/checkpoints/qwen3_vl", "--respond", "1", "--respond", "2"]
    assert main(["explain", str(image_file), QUESTION, *more, "--out", str(tmp_path)]) == 0
    text = (tmp_path / "chart_explain.html").read_text(encoding="utf-8")
    for expected in ("strategy random, skip_ratio 0.5", "heads 0,3", "other.jpg, resized", "sampled with seed 2"):
        assert expected in text


def test_another_statistic_of_another_layer(tmp_path, image_file):
    more = ["--statistic", "max_attention", "--layer", "-2", "--heads", "all", "--max-new-tokens", "24"]
    assert main(["explain", str(image_file), QUESTION, *more, "--out", str(tmp_path)]) == 0
    text = (tmp_path / "chart_explain.html").read_text(encoding="utf-8")
    for expected in ("statistic max_attention, layer -2", "heads all", "attention, mean over heads"):
        assert expected in text
    assert "<span>0.0000</span><span>attention" in text  # no share is below 0


def test_a_run(tmp_path, training_run, capsys):
    assert main(["explain", str(training_run.path), "--step", "2", "--prompt", "2", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "tiny-run-0123_step2_prompt2_explain.html").exists()
    assert (tmp_path / "tiny-run-0123_step2_prompt2_explain.png").exists()
    assert "explain: opening the model" in capsys.readouterr().err
    assert main(["explain", str(training_run.path), "--step", "4", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "error: step 4 was not recorded; there are the steps 1-2, 5\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{dir}/none.png", QUESTION], "there is no file or folder {dir}/none.png"),
        (["{dir}/chart.png"], 'an image needs a question: kawhi explain {dir}/chart.png "What is ...?"'),
        (["{dir}/chart.png", " "], 'an image needs a question: kawhi explain {dir}/chart.png "What is ...?"'),
        (["{dir}/text.png", QUESTION], "{dir}/text.png is not an image that can be read"),
        (["{dir}/cut.png", QUESTION], "{dir}/cut.png is not an image that can be read"),
        (["{dir}/chart.png", QUESTION, "--response", "{dir}/none"], "there is no response file {dir}/none"),
        (["{dir}/chart.png", QUESTION, "--response", "{dir}/empty"], "the response file {dir}/empty is empty"),
        (
            ["{dir}/chart.png", QUESTION, "--response", "{dir}/cut.png"],
            "the response file {dir}/cut.png is not UTF-8 text",
        ),
        (["{dir}/chart.png", QUESTION, "--wrong-image", "{dir}/none"], "there is no image {dir}/none"),
        (["{dir}/chart.png", QUESTION, "--model", "{dir}"], "{dir} is not a model folder: it has no config.json"),
        (["{dir}/chart.png", QUESTION, "--heads", "one"], "--heads takes all, or numbers with commas between them"),
        (["{dir}/chart.png", QUESTION, "--heads", "9"], "has the heads 0 to 3, not [9]"),
        (["{dir}/chart.png", QUESTION, "--strategy", "best"], "unknown region selection 'best'; choose one of sguf"),
        (["{dir}/chart.png", QUESTION, "--skip-ratio", "7"], "skip_ratio must lie in [0, 1], got 7.0"),
        (["{dir}/chart.png", QUESTION, "--step", "1"], "--step is for a training run and the target is a file"),
        (["{dir}/chart.png", QUESTION, "--response-number", "1"], "--response-number is for a training run"),
        (["{dir}", QUESTION], "question is for an image and the target is a folder"),
        (
            ["{dir}/chart.png", QUESTION, "--statistic", "median"],
            "unknown statistic 'median'; choose one of mean_cosine",
        ),
        (["{dir}/chart.png", QUESTION, "--layer", "first"], "layer must be last, a number from 0"),
        (["{dir}/chart.png", QUESTION, "--layer", "7"], "layer=7: the model has 4 decoder layers, 0 to 3"),
        (["{dir}", "--layer", "1"], "--layer is for an image and the target is a folder"),
        (["{dir}", "--heads", "1"], "--heads is for an image and the target is a folder"),
        (["{dir}"], "{dir} is not a run directory: it has no config.yaml"),
        (["{dir}/chart.png", QUESTION, "--response", "x", "--respond", "1"], "choose one of them"),
        (["{dir}/thin.png", QUESTION], "aspect ratio"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, image_file, capsys, arguments, said):
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "cut.png").write_bytes(image_file.read_bytes()[:300])
    (tmp_path / "empty").write_text(" \n")
    Image.new("RGB", (6000, 20)).save(tmp_path / "thin.png")
    filled = [argument.replace("{dir}", str(tmp_path)) for argument in arguments]
    assert main(["explain", *filled, "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    *before, last = printed.err.splitlines()
    assert last.startswith("error: ")
    assert all(line.startswith("explain: ") for line in before)
    assert said.replace("{dir}", str(tmp_path)) in printed.err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(tmp_path, image_file, capsys):
    (tmp_path / "taken").touch()
    assert main(["explain", str(image_file), QUESTION, "--max-new-tokens", "4", "--out", str(tmp_path / "taken")]) == 1
    assert "taken cannot be written" in capsys.readouterr().err


def test_help_shows_both_ways(capsys):
    assert main(["explain", "--help"]) == 0
    printed = capsys.readouterr().out
    for expected in ("--step", "--response", "chart.png", "from 1"):
        assert expected in printed
