"""Lets the torchvision wheel of PyPI, which is linked against CUDA, import beside a CPU-only torch.

Its compiled extension cannot be loaded there, which torchvision tolerates, except for two ``register_fake`` calls on
operators that then do not exist (torchvision 0.28.0).  Declaring the two schemas first is enough.  Where torch and
torchvision match, the operators exist and nothing is declared.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder

_SCHEMAS = ("nms", "qnms")
_DECLARED: list = []  # a torch Library forgets its schemas when it is collected


class _DeclareBeforeUse(MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if fullname == "torchvision._meta_registrations":
            sys.meta_path.remove(self)
            declare_missing_operators()
        return None


def declare_missing_operators() -> list[str]:
    """Declares the operators torchvision's extension did not bring; returns their names, normally none."""
    import torch

    declared = []
    for name in _SCHEMAS:
        if not hasattr(torch.ops.torchvision, name):
            library = torch.library.Library("torchvision", "FRAGMENT")
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _DECLARED.append(library)
            declared.append(name)
    return declared


def install() -> None:
    """Arms the shim; imports nothing."""
    if "torchvision" not in sys.modules and not any(isinstance(f, _DeclareBeforeUse) for f in sys.meta_path):
        sys.meta_path.insert(0, _DeclareBeforeUse())
