"""``kawhi rejudge`` and ``kawhi judge-agreement`` with the real judge against a stub server."""

from __future__ import annotations

import json

import pytest

from kawhi.base.rundir import RunDirectory
from kawhi.commands.cli import main
from kawhi.evaluation import prompts
from kawhi.evaluation.responses_again import ORIGIN
from kawhi.evaluation.results import samples_of
from tests.evaluation.made import MADE, known, make_run, of
from tests.evaluation.stub_server import MODEL, StubServer


@pytest.fixture(autouse=True)
def _known(monkeypatch, tmp_path):
    known(monkeypatch)
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / f"{MADE}.yaml").write_text('verdict:\n  max_tokens: 4\n  user: "{{ question }} {{ answer }}"\n')
    monkeypatch.setattr(prompts, "_FOLDER", folder)


def command(place, stub, **settings):
    given = {"base_url": stub.base_url, "model": MODEL, "attempts": 2, "patience": 5.0, **settings}
    return ["rejudge", str(place.run.path), "--judge", "endpoint", *(f"{key}={value}" for key, value in given.items())]


def made_by_rejudge(folder):
    return RunDirectory(next(folder.glob(f"runs/*/*/eval/*/{ORIGIN}")).parent)


def test_a_run_is_judged_again_and_compared(tmp_path, capsys):
    place = make_run(tmp_path)
    with StubServer(lambda text, images: "0.5") as stub:
        assert main(command(place, stub)) == 0
    # The rule decides the empty response; every question is asked once, however many samples share it.
    assert len(stub.requests) == 2
    assert "kawhi_made: 35.71 -> 42.86\n" in capsys.readouterr().out
    target = made_by_rejudge(tmp_path)
    assert [each.verdict for each in samples_of(target)] == [*["partly"] * 6, "wrong"]
    assert json.loads(target.record.read_text())["result"]["judge"]["model"] == MODEL
    assert main(["judge-agreement", str(of(place, MADE).path), str(target.path)]) == 0
    assert "judge A, judge B │ 6 │ 16.7 %" in " ".join(capsys.readouterr().out.split())
    assert main(["samples", str(target.path)]) == 0


@pytest.mark.parametrize("fault", ["always_500", "garbage_with_1", "empty", "wrong_shape"])
def test_a_judge_that_fails_leaves_no_record_and_the_same_command_goes_on(tmp_path, capsys, fault):
    place = make_run(tmp_path)
    with StubServer(lambda text, images: "1", fault) as stub:
        assert main(command(place, stub)) == 1
        assert capsys.readouterr().err.startswith("error: ")
        target = made_by_rejudge(tmp_path)
        assert not target.record.exists()
        stub.behaviour = "ok"
        assert main(command(place, stub)) == 0
    assert "kawhi_made: 35.71 -> 85.71\n" in capsys.readouterr().out
    assert target.record.exists()
