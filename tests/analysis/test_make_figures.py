"""The command line of figures: files, captions, and records that cannot be used."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import make_figures
from analysis.figures import FIGURES
from tests.analysis.figure_records import trained
from tests.analysis.synthetic import Folder, changed

ROOT = Path(make_figures.__file__).parents[1]


@pytest.mark.slow
def test_equal_records_give_equal_bytes(folder: Folder, tmp_path: Path) -> None:
    folder.add(trained("kawhi"), trained("uniform"), trained("VisionZip, 50 %"))
    for out in ("a", "b"):
        command = [sys.executable, "analysis/make_figures.py", "--records", folder.records, "--out", tmp_path / out]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    files = sorted(file.name for file in (tmp_path / "a").iterdir())
    drawn = [name for name in FIGURES if name != "figure_3" and not name.startswith("tokens_")]  # of other records
    assert files == sorted(["captions.json"] + [f"{name}.{end}" for name in drawn for end in ("pdf", "png")])
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


def test_captions_name_the_records_and_the_command(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.add(trained("kawhi"), trained("uniform"))
    out, arguments = folder.out, folder.places
    assert make_figures.main(["figure_6", "figure_3", *arguments]) == 0
    assert make_figures.main(["training_curves", *arguments]) == 0
    captions = json.loads((out / "captions.json").read_text())
    assert set(captions) == {"figure_6", "training_curves"}
    assert captions["training_curves"]["records"] == ["../records/000.json", "../records/001.json"]
    assert captions["figure_6"]["command"] == "python analysis/make_figures.py figure_6"
    printed = capsys.readouterr()
    assert "figure_6.pdf and .png, from 1 record\n" in printed.out
    assert "skipped figure_3: it needs a record of the study heads" in printed.err
    for file in folder.records.glob("000*"):
        file.unlink()
    assert make_figures.main(["figure_6", *arguments]) == 0
    assert set(json.loads((out / "captions.json").read_text())) == {"training_curves"}
    assert not list(out.glob("figure_6*"))


def test_refused_records_are_named_and_the_others_drawn(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.add(trained("kawhi"), changed(trained("uniform"), "steps", value=7), {"study": "sorcery", "schema": 3})
    assert make_figures.main(["training_curves", *folder.places]) == 1
    printed = capsys.readouterr().err
    assert "001.json: " in printed
    assert "002.json: its study is 'sorcery'" in printed
    assert json.loads((folder.out / "captions.json").read_text())["training_curves"]["records"] == [
        "../records/000.json"
    ]


def test_an_unknown_figure_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        make_figures.main(["figure_99"])
    assert "no figure figure_99" in capsys.readouterr().err
