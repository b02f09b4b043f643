"""Which cells a launch leaves out, before anything is submitted."""

from __future__ import annotations

import pytest

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.cluster import launcher
from kawhi.cluster.asked import Options
from kawhi.queue.site import SITE
from kawhi.runs.cell_folders import place_of
from tests.cells import cell

GATES = "+gate.scores={tiny-qwen2.5-vl: {kawhi_tiny: 90}, tiny-qwen3-vl: {kawhi_tiny: 40}}"
ROWS = [[f"model={model}", GATES] for model in ("tiny_qwen2_5_vl", "tiny_qwen3_vl")]


@pytest.fixture
def launch(tmp_path, monkeypatch):
    """A launch of one cell of each model, whose untrained models have these scores."""
    monkeypatch.setattr(launcher, "composed", lambda loader, sweep, words: cell(tmp_path, *words))

    def made(*scores: float | None, table: str = "complete", more: str = "gate.stop=true") -> launcher.Launch:
        rows = [[*row, more, "table=weights"] for row in ROWS]
        for row, score in zip(rows, scores, strict=True):
            for each in place_of(cell(tmp_path, *row, "study=baseline")).evaluations if score is not None else ():
                write_json(each.record, {"result": {"problems": 1000, "score": score}})
        options = Options(at_once=1, wait=False, attempts=1, site=SITE, table=table)
        return launcher.Launch(None, None, [cell(tmp_path, *row) for row in rows], rows, options)

    return made


def test_a_model_without_the_paper_s_score_does_not_hold_up_another(launch, capsys):
    found = launch(41.0, 41.0)
    assert found._look_at_gates()
    assert [wanted.place.run.path.name.partition("_")[0] for wanted in found.wanted] == ["tiny-qwen3-vl"]
    assert len(found.labels) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: the untrained model does not have the paper's score")
    assert ("tiny-qwen2.5-vl on" in said, "tiny-qwen3-vl on" in said) == (True, False)
    assert not found._tabled, "a table of all its cells it cannot become"


def test_a_table_of_what_there_is_is_made_without_them(launch):
    found = launch(41.0, 41.0, table="partial")
    assert found._look_at_gates()
    assert found._tabled


def test_where_no_model_has_it_nothing_is_submitted(launch):
    with pytest.raises(CellError, match="nothing is trained from it"):
        launch(41.0, 90.0)._look_at_gates()


@pytest.mark.parametrize(
    ("scores", "more"),
    [((90.0, 41.0), "gate.stop=true"), ((41.0, 90.0), "gate.stop=false"), ((None, None), "gate.stop=true")],
)
def test_nobody_is_left_out_who_passes_is_let_through_or_was_not_evaluated_yet(launch, scores, more):
    found = launch(*scores, more=more)
    assert not found._look_at_gates()
    assert len(found.wanted) == 2
    assert found._tabled
