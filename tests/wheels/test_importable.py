"""What cannot be imported is told in one sentence, whatever a library does."""

from __future__ import annotations

import pytest

from kawhi.wheels import importable


@pytest.fixture
def torch(tmp_path, monkeypatch):
    """Puts a package of that name, which does what it is given, before the real one."""

    def write(code: str) -> None:
        (tmp_path / "torch.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)

    return write


def test_here_all_of_them_can_be_imported():
    assert importable.trouble() == ""


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            "raise ImportError('libcudnn.so.9: cannot open\\nshared object file')",
            "torch cannot be imported: ImportError: libcudnn.so.9: cannot open shared object file",
        ),
        ("import no_such_package", "torch cannot be imported: ModuleNotFoundError: No module named 'no_such_package'"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGILL)",
            "importing torch, torchvision, vllm ended with SIGILL",
        ),
        ("import time; time.sleep(60)", "torch, torchvision, vllm could not be imported within 3 s"),
    ],
    ids=["library", "package", "killed", "stuck"],
)
def test_a_failure_is_one_sentence(torch, monkeypatch, code, sentence):
    torch(code)
    monkeypatch.setattr(importable, "SECONDS", 3 if "sleep" in code else 300)
    assert importable.trouble() == sentence
