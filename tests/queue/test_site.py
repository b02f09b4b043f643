"""slurm/site.env."""

from __future__ import annotations

import os

import pytest

from kawhi.base.errors import CellError
from kawhi.commands.cli import main
from kawhi.queue.site import read_site, use_folders, use_site


def test_exports_are_read_as_bash_reads_them(tmp_path, monkeypatch):
    monkeypatch.setenv("KAWHI_TEST_BASE", "/scratch")
    file = tmp_path / "site.env"
    file.write_text("export SBATCH_PARTITION=gpu\nKAWHI_RUNS=$KAWHI_TEST_BASE/my\\ runs\necho loud\n")
    assert read_site(file) == {"SBATCH_PARTITION": "gpu", "KAWHI_RUNS": "/scratch/my runs"}


def test_without_the_file_nothing_is_set(tmp_path):
    assert read_site(tmp_path / "site.env") == {}


@pytest.mark.parametrize("text", ["exit 3\n", "module load cuda\n", "if\n"])
def test_a_file_that_bash_cannot_read_is_one_sentence(tmp_path, text):
    (tmp_path / "site.env").write_text(text)
    with pytest.raises(CellError, match=r"bash cannot read .*site.env"):
        read_site(tmp_path / "site.env")


def test_what_the_shell_sets_of_ours_wins_and_a_path_may_be_added_to(tmp_path, monkeypatch):
    file = tmp_path / "site.env"
    file.write_text("export KAWHI_SCALE=h200x8 SBATCH_PARTITION=gpu SBATCH_QOS=normal PATH=/opt/bin:$PATH\n")
    before = {"PATH": "/usr/bin:/bin", "KAWHI_SCALE": "cpu", "SBATCH_PARTITION": "mine", "SBATCH_QOS": "x"}
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SBATCH_QOS")
    assert use_site(file).keys() == before.keys()
    after = {"PATH": "/opt/bin:/usr/bin:/bin", "SBATCH_QOS": "normal"}
    assert {name: os.environ[name] for name in before} == before | after


def test_looking_uses_the_folders_of_the_site_but_for_what_the_shell_says(tmp_path, monkeypatch):
    file = tmp_path / "site.env"
    words = ("KAWHI_RUNS=/shared/runs", "KAWHI_RECORDS=/shared/records", "SBATCH_PARTITION=gpu", "KAWHI_SCALE=cpu")
    file.write_text(f"export {' '.join(words)}\n")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("KAWHI_", "SBATCH_"))}
    monkeypatch.setattr(os, "environ", clean | {"KAWHI_RECORDS": "/mine"})
    use_folders(file)
    assert {k: v for k, v in os.environ.items() if k.startswith(("KAWHI_", "SBATCH_"))} == {
        "KAWHI_RUNS": "/shared/runs",
        "KAWHI_RECORDS": "/mine",
    }


def test_status_looks_where_the_site_says(tmp_path, monkeypatch, capsys):
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / "site.env").write_text("export KAWHI_RUNS=elsewhere\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAWHI_RUNS", "unset below, so that the test restores it")
    monkeypatch.delenv("KAWHI_RUNS")
    assert main(["status", "sweep"]) == 1
    assert capsys.readouterr().err == "no runs in elsewhere/sweep\n"
