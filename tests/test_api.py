"""The library as its users import it: every name, without the trainer."""

from __future__ import annotations

import subprocess
import sys

import pytest

import kawhi


@pytest.mark.parametrize("name", kawhi.__all__)
def test_every_name_is_there_and_documented(name):
    assert getattr(kawhi, name).__doc__


def test_the_names_are_those_that_can_be_imported():
    assert sorted(kawhi._HOME) == kawhi.__all__
    assert set(kawhi.__all__) <= set(dir(kawhi))
    with pytest.raises(AttributeError, match="no attribute 'sgfu'"):
        kawhi.sgfu  # noqa: B018


def test_no_trainer_is_imported():
    program = """
import sys, kawhi
for name in kawhi.__all__:
    getattr(kawhi, name)
found = {"verl", "ray", "hydra", "omegaconf", "vllm", "lmms_eval", "transformers"} & set(sys.modules)
assert not found, found
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
