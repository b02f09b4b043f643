"""The kawhi command: exit codes and what it prints."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kawhi import __version__
from kawhi.base.rundir import RunDirectory
from kawhi.commands.cli import main
from kawhi.doctor import machine as doctor
from kawhi.tiny.worlds import WORLDS
from tests.cells import status_file

NAME = "tiny-qwen2.5-vl_grpo_kawhi_inverse_tiny_s1-0-0123456789ab"


@pytest.fixture
def runs(tmp_path):
    with ExitStack() as running:
        for experiment, stage in (("first", "prepare"), ("second", "evaluate")):
            folder = status_file(tmp_path / experiment / NAME, stage)
            (folder / "config.yaml").touch()
            running.enter_context(RunDirectory(folder).locked())
        (tmp_path / "first" / "no run at all").mkdir()
        yield tmp_path


def test_status_lists_the_runs_of_all_experiments(runs, capsys):
    assert main(["status", "--runs", str(runs)]) == 0
    printed = capsys.readouterr().out
    assert printed.count(NAME) == 2  # in full, although a pipe is 80 columns wide to rich
    assert "prepare" in printed
    assert "evaluate" in printed
    assert "no run at all" not in printed
    assert main(["status", "second", "--runs", str(runs)]) == 0
    printed = capsys.readouterr().out
    assert "evaluate" in printed
    assert "prepare" not in printed


def test_status_without_runs_is_one_sentence(tmp_path, capsys):
    assert main(["status", "none", "--runs", str(tmp_path)]) == 1
    assert capsys.readouterr() == ("", f"no runs in {tmp_path / 'none'}\n")
    (status_file(tmp_path / "some" / "cell-0123456789ab", "prepare") / "config.yaml").touch()
    assert main(["status", "none", "--runs", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"no runs in {tmp_path / 'none'}; there are some\n"


def test_status_in_a_new_checkout_says_what_to_type(tmp_path, capsys):
    assert main(["status", "--runs", str(tmp_path)]) == 0
    said = f"no runs in {tmp_path} yet: `make demo` makes the first five, `kawhi-run` one\n"
    assert capsys.readouterr() == (said, "")


@pytest.mark.parametrize("code", [0, 1])
def test_doctor_s_verdict_is_the_exit_code(tmp_path, monkeypatch, code):
    asked = []
    monkeypatch.setattr(doctor, "report", lambda folder, scale: asked.append((folder, scale)) or code)
    assert main(["doctor", "--folder", str(tmp_path)]) == code
    assert main(["doctor", "scale=h200x8"]) == main(["doctor", "--scale", "h200x8"]) == code
    assert asked == [(tmp_path, None), (Path(), "h200x8"), (Path(), "h200x8")]


def test_the_doctor_is_asked_for_a_scale_alone(capsys):
    with pytest.raises(SystemExit):
        main(["doctor", "model=qwen2_5_vl_7b"])
    assert "model=qwen2_5_vl_7b says nothing to the doctor, which asks for scale=NAME alone" in capsys.readouterr().err


def test_sheet_draws_a_picture(tmp_path, capsys):
    out = tmp_path / "new folder" / "sheet.png"
    assert main(["sheet", str(out)]) == 0
    assert capsys.readouterr().out == f"wrote {out}\n"
    picture = np.asarray(Image.open(out))
    assert picture.shape[0] > 500
    assert picture.shape[1] > 1000
    assert picture.std() > 10


def test_sheet_draws_each_world(tmp_path):
    for world in WORLDS:
        assert main(["sheet", str(tmp_path / f"{world}.png"), "--world", world]) == 0
    assert len({(tmp_path / f"{world}.png").read_bytes() for world in WORLDS}) == len(WORLDS)


def test_sheet_of_no_world_is_one_sentence(tmp_path, capsys):
    assert main(["sheet", str(tmp_path / "sheet.png"), "--world", "flat"]) == 1
    assert capsys.readouterr().err == (
        "error: there is no world flat; choose one of tiny, reading_plain, reading_long\n"
    )


def test_sheet_with_an_unknown_file_type_is_one_sentence(tmp_path, capsys):
    assert main(["sheet", str(tmp_path / "sheet.nope")]) == 1
    assert capsys.readouterr().err.startswith("error: unknown file extension: .nope")


@pytest.mark.parametrize("arguments", [[], ["no such command"]])
def test_a_mistyped_command_is_told(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "Usage: kawhi" in capsys.readouterr().err


def test_the_version_is_the_package_s(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"kawhi {__version__}\n"


def test_a_shell_completes_commands():
    asked = {"_KAWHI_COMPLETE": "bash_complete", "COMP_WORDS": "kawhi re", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "kawhi"], env=os.environ | asked, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["plain,records", "plain,rehearse", "plain,rejudge", "plain,rescore"]


def test_a_package_that_is_missing_is_told(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["prepare", "geo3k"]) == 1
    remedy = "type `make setup`, or pip install -e '.[train,evaluation,analysis]' in the checkout"
    assert capsys.readouterr().err == f"error: kawhi prepare needs pyarrow: {remedy}\n"


HEAVY = {
    "--help": "torch PIL matplotlib jinja2 rich hydra",
    "samples --help": "torch sklearn pyarrow hydra jinja2",
    "status --runs RUNS": "torch verl hydra numpy ray transformers submitit",
}


@pytest.mark.parametrize(("words", "heavy"), HEAVY.items(), ids=HEAVY)
def test_what_is_typed_often_starts_without_heavy_imports(runs, words, heavy):
    """Torch alone takes seconds."""
    code = "import sys; from kawhi.commands.cli import main; code = main(sys.argv[2:]); "
    code += "sys.exit(code or ' '.join(set(sys.argv[1].split()) & set(sys.modules)) or 0)"
    typed = [str(runs) if word == "RUNS" else word for word in words.split()]
    done = subprocess.run([sys.executable, "-c", code, heavy, *typed], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
