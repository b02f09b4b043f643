"""The defaults are those of training, whether or not the package has ``conf/`` beside it."""

from __future__ import annotations

import pytest

from kawhi.credit.alignment import AlignmentOptions
from kawhi.explain.settings import CRITICAL_HEADS, Settings
from tests.cells import cell, options


@pytest.mark.parametrize("model", [name for name in options("model") if name.startswith("tiny")])
def test_defaults_are_those_of_conf(tmp_path, model):
    composed = cell(tmp_path, f"model={model}", "credit=kawhi")
    own = Settings(alignment=AlignmentOptions(heads=CRITICAL_HEADS[composed.model.path]))
    conf = Settings.of_cell(composed)
    assert list(own.alignment.heads) == list(conf.alignment.heads)
    assert vars(own) | {"alignment": None, "regions": None} == vars(conf) | {"alignment": None, "regions": None}
    # epsilon is in no configuration: it only keeps a division by zero away.
    assert {name: value for name, value in own.regions.items() if name != "epsilon"} == conf.regions
    for name in ("metric", "rope", "query_position", "statistic", "layer"):
        assert getattr(own.alignment, name) == getattr(conf.alignment, name)


@pytest.mark.parametrize("credit", options("credit"))
def test_every_credit_method_of_conf_can_be_read(tmp_path, credit):
    composed = cell(tmp_path, f"credit={credit}")
    settings = Settings.of_cell(composed)
    assert (settings.alignment is None) == ("alignment" not in composed.kawhi)
    assert settings.alignment is None or settings.strategy == composed.kawhi.regions.strategy
    assert all(settings.words().values())
