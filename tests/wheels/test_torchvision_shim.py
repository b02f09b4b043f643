"""The shim declares what is missing, and only that."""

from __future__ import annotations

import subprocess
import sys

import torch

from kawhi.wheels import torchvision_shim


def test_declares_nothing_when_the_operators_exist(monkeypatch):
    import torchvision  # noqa: F401  (brings the operators, or has had the shim declare them)

    kept = list(torchvision_shim._DECLARED)
    assert hasattr(torch.ops.torchvision, "nms")
    assert torchvision_shim.declare_missing_operators() == []
    assert kept == torchvision_shim._DECLARED


def test_declares_a_missing_operator_once(monkeypatch):
    monkeypatch.setattr(torchvision_shim, "_SCHEMAS", ("nms", "operator_of_this_test"))
    assert not hasattr(torch.ops.torchvision, "operator_of_this_test")
    assert torchvision_shim.declare_missing_operators() == ["operator_of_this_test"]
    assert hasattr(torch.ops.torchvision, "operator_of_this_test")
    assert torchvision_shim.declare_missing_operators() == []


def finders() -> list:
    return [finder for finder in sys.meta_path if isinstance(finder, torchvision_shim._DeclareBeforeUse)]


def test_install_arms_once_and_only_before_torchvision(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [f for f in sys.meta_path if f not in finders()])
    monkeypatch.setitem(sys.modules, "torchvision", object())
    torchvision_shim.install()
    assert finders() == []
    monkeypatch.delitem(sys.modules, "torchvision")
    torchvision_shim.install()
    torchvision_shim.install()
    assert len(finders()) == 1


def test_the_finder_waits_for_its_module_and_then_leaves(monkeypatch):
    calls = []
    monkeypatch.setattr(torchvision_shim, "declare_missing_operators", lambda: calls.append(1))
    finder = torchvision_shim._DeclareBeforeUse()
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    assert finder.find_spec("torchvision") is None
    assert calls == []
    assert finder in sys.meta_path
    assert finder.find_spec("torchvision._meta_registrations") is None
    assert calls == [1]
    assert finder not in sys.meta_path


def test_installing_imports_nothing():
    code = (
        "import sys; from kawhi.wheels import torchvision_shim; torchvision_shim.install(); "
        "print([m for m in ('torch', 'torchvision') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert result.stdout.strip() == "[]"
