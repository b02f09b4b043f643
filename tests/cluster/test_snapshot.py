"""The copy of the code that queued jobs run."""

from __future__ import annotations

import json
import subprocess

import pytest

from kawhi.base.checkout import code_state
from kawhi.base.errors import CellError
from kawhi.cluster.snapshot import take


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "checkout"
    (root / "kawhi").mkdir(parents=True)
    (root / "results").mkdir()
    (root / ".gitignore").write_text("secret\n")
    (root / "kawhi" / "code.py").write_text("one")
    (root / "secret").write_text("key")
    (root / "results" / "big").write_text("numbers")
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message=one"],
    ):
        subprocess.run(["git", *command], cwd=root, check=True)
    return root


def test_an_edit_after_the_submission_does_not_reach_the_copy(checkout, tmp_path):
    (checkout / "kawhi" / "new.py").write_text("not added yet")
    copy = take(checkout, tmp_path / "code")
    (checkout / "kawhi" / "code.py").write_text("two")
    assert (copy / "kawhi" / "code.py").read_text() == "one"
    assert (copy / "kawhi" / "new.py").read_text() == "not added yet"
    assert not (copy / "secret").exists()
    assert not (copy / "results").exists()
    assert take(checkout, tmp_path / "code") != copy


def test_runs_inside_the_checkout_are_not_copied(checkout):
    (checkout / "my_runs" / "a").mkdir(parents=True)
    (checkout / "my_runs" / "a" / "checkpoint").write_text("100 GB")
    copy = take(checkout, checkout / "my_runs" / ".slurm" / "code", without=[checkout / "my_runs"])
    assert sorted(path.name for path in copy.iterdir()) == [".code.json", ".gitignore", "kawhi"]


def test_the_same_code_is_copied_once(checkout, tmp_path):
    first = take(checkout, tmp_path / "code")
    assert take(checkout, tmp_path / "code") == first
    assert list((tmp_path / "code").iterdir()) == [first]


def test_the_copy_knows_its_commit(checkout, tmp_path):
    clean = code_state(checkout)
    assert clean["dirty"] is False
    assert code_state(take(checkout, tmp_path / "code")) == clean
    (checkout / "kawhi" / "code.py").write_text("two")
    copy = take(checkout, tmp_path / "code")
    assert json.loads((copy / ".code.json").read_text()) == {"commit": clean["commit"], "dirty": True}


def test_a_deleted_file_is_not_missed(checkout, tmp_path):
    (checkout / "kawhi" / "code.py").unlink()
    assert not (take(checkout, tmp_path / "code") / "kawhi" / "code.py").exists()


def test_a_folder_without_git_is_one_sentence(tmp_path):
    (tmp_path / "plain").mkdir()
    with pytest.raises(CellError, match="is no git checkout"):
        take(tmp_path / "plain", tmp_path / "code")
