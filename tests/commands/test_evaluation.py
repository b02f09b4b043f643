"""``kawhi samples``, ``kawhi judge-agreement`` and ``kawhi rejudge``: exit codes and what is printed."""

from __future__ import annotations

import re
from contextlib import nullcontext

import pytest
from omegaconf import OmegaConf

from kawhi.commands.cli import main
from kawhi.runs import rejudge as module
from tests.evaluation.made import JUDGE, MADE, OTHER_JUDGE, TINY, decided, judging, known, make_run, responses


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    known(monkeypatch)


def words(text):
    return " ".join(text.split())


def test_samples_writes_one_page_into_the_run(tmp_path, capsys):
    run = make_run(tmp_path)
    assert main(["samples", str(run.path)]) == 0
    page = run.path / "samples.html"
    assert re.fullmatch(rf"wrote {page} \(11 samples, 0\.0\d MiB\)\n", capsys.readouterr().out)
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_samples_of_one_benchmark_into_another_file(tmp_path, capsys):
    run = make_run(tmp_path)
    out = tmp_path / "new" / "page.html"
    assert main(["samples", str(run.path), "--out", str(out), "--benchmark", MADE, "--limit", "3"]) == 0
    assert "(3 samples" in capsys.readouterr().out
    assert TINY not in out.read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["samples", "nowhere"], "nowhere is not a run directory"),
        (
            ["samples", "RUN", "--benchmark", "kawhi_nope"],
            "has no samples of kawhi_nope; it has kawhi_made, kawhi_tiny",
        ),
        (["samples", "RUN", "--limit", "0"], "--limit takes a whole number of at least 1"),
        (["samples", "RUN", "--out", "RUN/config.yaml/page.html"], "Not a directory"),
        (["judge-agreement", "RUN", "nowhere"], "nowhere is not a run directory"),
        (["judge-agreement", "RUN", "RUN", "--show", "-1"], "--show takes a whole number of at least 0"),
        (["rejudge", "nowhere", "--judge", "x"], "nowhere is not a run directory"),
        (["rejudge", "RUN", "--judge", "nobody"], "there is no judge nobody"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_1(tmp_path, capsys, arguments, sentence):
    run = make_run(tmp_path)
    assert main([each.replace("RUN", str(run.path)) for each in arguments]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert sentence in printed.err


@pytest.fixture
def two_runs(tmp_path):
    samples = responses()
    verdicts = {"0": "1", "1": "0", "2": "0", "3": "0.5", "4": "0", "5": "1"}
    other = [decided(each, verdicts[each.id], "judge-b") if each.replies else each for each in samples[MADE]]
    return make_run(tmp_path), make_run(tmp_path, judge=OTHER_JUDGE, **{TINY: samples[TINY], MADE: other})


def test_agreement_prints_kappa_the_table_and_the_disagreements(two_runs, capsys):
    assert main(["judge-agreement", *(str(run.path) for run in two_runs)]) == 0
    printed = capsys.readouterr().out
    assert MADE in printed
    assert TINY not in printed
    # By chance: (2 x 2 + 3 x 3 + 1 x 1) / 36, where both say right twice, wrong three times and partly once.
    assert "judge A, judge B │ 6 │ 66.7 % │ 0.455 │" in words(printed)
    assert "│ A: right │ 1 │ 1 │ 0 │" in words(printed)
    assert "not counted: 1 decided by the rule alone" in printed
    assert "1 A: right, B: wrong, rule: 0, expected:" in words(printed)
    assert "5 A: wrong, B: right, rule: 0, expected:" in words(printed)
    assert "response: It is \\boxed{0} judge A: 0 judge B: 1" in words(printed)


def test_agreement_shows_as_many_disagreements_as_asked(two_runs, capsys):
    paths = [str(run.path) for run in two_runs]
    assert main(["judge-agreement", *paths, "--show", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("A: right, B: wrong") == 1
    assert "A: wrong, B: right" not in printed
    assert "1 more disagreements; --show 2 shows all" in printed


def test_an_undefined_kappa_is_a_dash(tmp_path, capsys):
    samples = {MADE: [decided(each, "1") for each in responses()[MADE]]}
    runs = [make_run(tmp_path, judge=judge, **samples) for judge in (JUDGE, OTHER_JUDGE)]
    assert main(["judge-agreement", *(str(run.path) for run in runs)]) == 0
    assert "judge A, judge B │ 7 │ 100.0 % │ – │ – │" in words(capsys.readouterr().out)


def test_nothing_to_compare_is_exit_code_1(tmp_path, capsys):
    rules = {TINY: responses()[TINY]}
    runs = [make_run(tmp_path, judge=judge, **rules) for judge in (JUDGE, OTHER_JUDGE)]
    assert main(["judge-agreement", *(str(run.path) for run in runs)]) == 1
    assert capsys.readouterr().err == "error: no sample of kawhi_tiny has the verdict of a judge in both runs\n"


@pytest.fixture
def judge(tmp_path, monkeypatch):
    """A judge ``strict`` in a configuration folder of the test's own, who finds everything wrong."""
    folder = tmp_path / "conf" / "judge"
    folder.mkdir(parents=True)
    (folder.parent / "run.yaml").touch()
    (folder / "strict.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(JUDGE | {"model": "judge-c"})))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "preflight", lambda block: None)
    monkeypatch.setattr(module, "judging", lambda settings, log: nullcontext(f"{settings.model}-{settings.seed}"))
    monkeypatch.setattr(module, "score_samples", judging(lambda sample: "0"))


def test_rejudge_prints_before_and_after(tmp_path, judge, capsys):
    run = make_run(tmp_path)
    arguments = ["rejudge", str(run.path), "--judge", "strict", "seed=3"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "kawhi_made: 35.71 -> 0.00\n" in printed
    assert "kawhi_tiny: 25.00 -> 25.00\n" in printed
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("nothing to do: this judge's verdicts on these responses are in ")
    assert main(["rejudge", str(run.path), "--judge", "strict", "seed=four=4"]) == 1


def test_an_interrupted_rejudge_says_that_it_goes_on(tmp_path, judge, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "score_samples", stop)
    assert main(["rejudge", str(make_run(tmp_path).path), "--judge", "strict"]) == 130
    assert capsys.readouterr().err.strip() == "stopped; the same command goes on from here"
