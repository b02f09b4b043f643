"""A credit method of somebody's own is composed as one of ours, and its code is part of what a training is."""

from __future__ import annotations

import pytest

from kawhi.base.included import VARIABLE, include
from kawhi.credit.methods import METHODS
from kawhi.runs.composing import compose_cell
from kawhi.runs.identity import cell_hash, identity
from kawhi.runs.own_methods import make_known
from tests.cells import CONF

METHOD = """
import torch
from kawhi.credit.methods.base import register

@register("{name}")
class Method:
    needs = frozenset({{{needs}}})

    def weights(self, batch):
        return torch.full((len(batch.token_ids),), {weight})
"""


@pytest.fixture
def included(tmp_path, monkeypatch):
    """Writes a file, includes it alone, and forgets its methods in the end."""
    before = set(METHODS)

    def forget():
        for name in set(METHODS) - before:
            METHODS.pop(name)

    def write(file: str, name: str, weight: float = 0.5, needs: str = ""):
        forget()
        (tmp_path / file).write_text(METHOD.format(name=name, weight=weight, needs=needs))
        monkeypatch.setenv(VARIABLE, "")
        include([tmp_path / file])
        assert make_known() == [name]

    yield write
    forget()


def test_a_file_alone_is_a_file_of_the_configuration(included):
    included("plain.py", "own_plain")
    cell = compose_cell(CONF, ["credit=own_plain"])
    assert (cell.credit.name, cell.kawhi.method, dict(cell.kawhi.options)) == ("own_plain", "own_plain", {})
    assert cell.verl.actor_rollout_ref.rollout.agent.default_agent_loop == "kawhi_seeded"
    assert "regions" not in cell.kawhi
    included("looks.py", "own_looks", needs="'alignment'")
    cell = compose_cell(CONF, ["credit=own_looks"])
    assert cell.kawhi.alignment == compose_cell(CONF, ["credit=kawhi"]).kawhi.alignment
    assert cell.verl.actor_rollout_ref.rollout.agent.default_agent_loop == "kawhi"


def test_other_code_is_another_training(included):
    hashes = []
    for file, weight in (("a.py", 0.5), ("b.py", 0.5), ("c.py", 0.7)):
        included(file, "own_code", weight)
        hashes.append(cell_hash(compose_cell(CONF, ["credit=own_code"])))
    assert hashes[0] == hashes[1] != hashes[2]
    included("d.py", "own_code")
    beside = identity(compose_cell(CONF, ["credit=kawhi", "+kawhi.also.own_code={}"]))
    assert set(beside["credit"]["source"]) == {"own_code"}
    assert "source" not in identity(compose_cell(CONF, ["credit=kawhi"]))["credit"]
