"""slurm/site.env."""

from __future__ import annotations

import pytest

from kawhi.cluster.site import read_site
from kawhi.runs.identity import CellError


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
