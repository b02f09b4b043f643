"""The library as its users import it: every name, without the trainer."""

from __future__ import annotations

import re
from pathlib import Path

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


def test_the_readme_s_example_runs(monkeypatch):
    root = Path(__file__).parents[1]
    monkeypatch.chdir(root)
    (example,) = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {}
    exec(example, names)
    assert len(names["weights"]) == len(names["tokens"])
    assert len(set(names["weights"].tolist())) == 4
    assert 0.1 <= float(names["weights"].min()) < float(names["weights"].max()) <= 1.0
