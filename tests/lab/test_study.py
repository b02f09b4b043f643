"""Rows of a study become cells of conf/run.yaml; mistakes are sentences."""

from __future__ import annotations

import pytest

from kawhi.base.errors import CellError
from kawhi.base.included import include
from kawhi.lab.study import chosen, compose, read_study, row_of
from kawhi.runs.identity import identity
from kawhi.runs.own_methods import make_known
from tests.cells import CONF
from tests.lab.made import SHIPPED

FILES = sorted((CONF / "lab").glob("*.yaml"))
ON_SHIPPED = [f"model={SHIPPED['qwen2_5_vl']}"]


def composed(text: str, *overrides: str):
    study = chosen(None, (text,), overrides=[*ON_SHIPPED, *overrides])
    return compose(study, row_of(text), "qwen2_5_vl")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_row_of_a_study_composes_and_no_two_are_one(file):
    study = chosen(file, (), overrides=ON_SHIPPED)
    cells = [compose(study, row, family) for row in study.rows for family in study.models]
    found = [repr(sorted(identity(cell).items())) for cell in cells[::2]]
    assert len(set(found)) == len(study.rows)
    assert all(cell.data.name == "reading" and cell.steps == 12 for cell in cells)
    labels = {row.label for row in study.rows}
    assert {label for pair in study.pairs for label in pair} <= labels
    assert {"uniform", "oracle", "anti_oracle"} <= {row.credit for row in study.rows}


def test_what_a_row_sets_is_set_and_the_rest_is_the_file_s():
    cell = composed("kawhi:temperature=0.02,regions.strategy=all,alignment.heads=null")
    plain = composed("kawhi")
    assert (cell.kawhi.options.temperature, cell.kawhi.regions.strategy, cell.kawhi.alignment.heads) == (
        0.02,
        "all",
        None,
    )
    assert cell.kawhi.options.smoothing == plain.kawhi.options.smoothing
    assert list(plain.kawhi.alignment.heads) == list(plain.model.critical_heads)


def test_what_a_bench_is_judged_by_is_always_there():
    study = chosen(None, ("kawhi,kawhi:temperature=0.02,smoothing=0", "oracle"))
    assert [row.label for row in study.rows] == [
        "uniform",
        "anti-oracle",
        "kawhi",
        "kawhi:temperature=0.02,smoothing=0",
        "oracle",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "there is no method nothing"),
        ("kawhi:tau=1", "tau"),
        ("kawhi:temperature", "is not OPTION=VALUE"),
        ("kawhi:credit.name=x", "is not OPTION=VALUE"),
        ("kawhi:temperature=-1", "temperature"),
        ("kawhi:regions.strategy=best", "strategy=best"),
    ],
)
def test_a_mistake_in_a_row_is_a_sentence(text, said):
    with pytest.raises(CellError, match=said):
        composed(text)


def test_a_mistake_in_a_study_is_a_sentence(tmp_path):
    with pytest.raises(CellError, match="there is no study"):
        read_study(tmp_path / "none.yaml")
    file = tmp_path / "study.yaml"
    file.write_text("rows: [{label: a, credit: uniform, colour: red}]\n")
    with pytest.raises(CellError, match="sets colour"):
        read_study(file)
    file.write_text("rows: []\nevaluation: {problems: 1}\n")
    with pytest.raises(CellError, match="is no study"):
        read_study(file)
    study = chosen(None, ())
    with pytest.raises(CellError, match="no family other"):
        compose(study, study.rows[0], "other")


def test_a_method_of_one_s_own_is_a_row_by_its_name(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(
        "from dataclasses import dataclass\n"
        "import torch\n"
        "from kawhi.credit.methods.base import register\n"
        "@register('own_for_a_test')\n"
        "@dataclass(frozen=True)\n"
        "class Own:\n"
        "    share: float\n"
        "    needs = frozenset({'alignment', 'nucleus_entropy', 'perturbed_log_probs'})\n"
        "    def weights(self, batch):\n"
        "        return torch.full((len(batch.token_ids),), self.share)\n"
    )
    include([file])
    assert make_known() == ["own_for_a_test"]
    cell = composed("own_for_a_test:share=0.5")
    assert (cell.credit.name, cell.kawhi.method, dict(cell.kawhi.options)) == ("own_for_a_test",) * 2 + (
        {"share": 0.5},
    )
    assert {"nucleus_p", "perturbed_share", "seed"} <= set(cell.kawhi.signals)
    with pytest.raises(CellError, match="own_for_a_test"):
        composed("own_for_a_test")


@pytest.mark.parametrize(("text", "said"), [("1 / 0", "ZeroDivisionError"), ("x = 1", "registers no credit method")])
def test_a_file_that_cannot_be_included_says_why(tmp_path, text, said):
    file = tmp_path / "own.py"
    with pytest.raises(CellError, match="there is no file"):
        include([file])
    file.write_text(text)
    include([file])
    with pytest.raises(CellError, match=said):
        make_known()
