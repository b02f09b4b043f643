"""``kawhi samples``, ``kawhi judge-agreement`` and ``kawhi rejudge``: exit codes and what is printed."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from kawhi.commands.cli import main
from kawhi.runs import rejudge as module
from tests.evaluation.made import JUDGE, MADE, OTHER_JUDGE, TINY, decided, judging, known, make_run, of, responses


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    known(monkeypatch)


def words(text):
    return " ".join(text.split())


def test_samples_writes_one_page_into_the_run_or_into_an_evaluation(tmp_path, capsys):
    run = make_run(tmp_path)
    for folder, samples in ((run.run.path, 11), (of(run, MADE).path, 7)):
        assert main(["samples", str(folder)]) == 0
        page = folder / "samples.html"
        assert re.fullmatch(rf"wrote {page} \({samples} samples, 0\.0\d MiB\)\n", capsys.readouterr().out)
        assert page.read_text().startswith("<!DOCTYPE html>")


def test_samples_of_one_benchmark_into_another_file(tmp_path, capsys):
    run = make_run(tmp_path)
    out = tmp_path / "new" / "page.html"
    assert main(["samples", str(run.run.path), "--out", str(out), "--benchmark", MADE, "--limit", "3"]) == 0
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
    assert main([each.replace("RUN", str(run.run.path)) for each in arguments]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert sentence in printed.err


@pytest.fixture
def two_evaluations(tmp_path):
    """Of one model, whose responses two judges have judged."""
    samples = responses()
    verdicts = {"0": "1", "1": "0", "2": "0", "3": "0.5", "4": "0", "5": "1"}
    other = [decided(each, verdicts[each.id], "judge-b") if each.replies else each for each in samples[MADE]]
    places = make_run(tmp_path), make_run(tmp_path, judge=OTHER_JUDGE, **{TINY: samples[TINY], MADE: other})
    return [str(of(place, MADE).path) for place in places]


def test_agreement_prints_kappa_the_table_and_the_disagreements(two_evaluations, capsys):
    assert main(["judge-agreement", *two_evaluations]) == 0
    printed = capsys.readouterr().out
    assert MADE in printed
    # By chance: (2 x 2 + 3 x 3 + 1 x 1) / 36, where both say right twice, wrong three times and partly once.
    assert "judge A, judge B │ 6 │ 66.7 % │ 0.455 │" in words(printed)
    assert "│ A: right │ 1 │ 1 │ 0 │" in words(printed)
    assert "not counted: 1 decided by the rule alone" in printed
    assert "1 A: right, B: wrong, rule: 0, expected:" in words(printed)
    assert "5 A: wrong, B: right, rule: 0, expected:" in words(printed)
    assert "response: It is \\boxed{0} judge A: 0 judge B: 1" in words(printed)


def test_agreement_shows_as_many_disagreements_as_asked(two_evaluations, capsys):
    assert main(["judge-agreement", *two_evaluations, "--show", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("A: right, B: wrong") == 1
    assert "A: wrong, B: right" not in printed
    assert "1 more disagreements; --show 2 shows all" in printed


def test_agreement_of_two_run_directories_is_of_every_benchmark_that_judges_decided(tmp_path, capsys):
    runs = [make_run(tmp_path / name) for name in ("a", "b")]
    assert main(["judge-agreement", *(str(run.run.path) for run in runs)]) == 0
    printed = capsys.readouterr().out
    assert MADE in printed
    assert TINY not in printed
    assert "judge A, judge B │ 6 │ 100.0 % │ 1.000 │ – │" in words(printed)


def test_a_run_directory_that_was_judged_twice_does_not_say_which_judge(two_evaluations, capsys):
    run = str(Path(two_evaluations[0]).parents[1])
    assert main(["judge-agreement", run, two_evaluations[1]]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: kawhi_made was evaluated in several ways: name the folder of one of them, ")
    assert all(each in said for each in two_evaluations)


def test_an_undefined_kappa_is_a_dash(tmp_path, capsys):
    samples = {MADE: [decided(each, "1") for each in responses()[MADE]]}
    runs = [make_run(tmp_path, judge=judge, **samples) for judge in (JUDGE, OTHER_JUDGE)]
    assert main(["judge-agreement", *(str(of(run, MADE).path) for run in runs)]) == 0
    assert "judge A, judge B │ 7 │ 100.0 % │ – │ – │" in words(capsys.readouterr().out)


def test_nothing_to_compare_is_exit_code_1(tmp_path, capsys):
    run = str(make_run(tmp_path, **{TINY: responses()[TINY]}).run.path)
    assert main(["judge-agreement", run, run]) == 1
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
    arguments = ["rejudge", str(run.run.path), "--judge", "strict", "seed=3"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    (target,) = {*run.run.evaluations()} - {*run.evaluations}
    assert "kawhi_made: 35.71 -> 0.00\n" in printed
    assert f"wrote {target.path}\n" in printed
    assert TINY not in printed  # its rule decides it
    for words in (arguments, ["rejudge", str(of(run, MADE).path), *arguments[2:]]):
        assert main(words) == 0
        said = capsys.readouterr().out
        assert said == f"nothing to do: this judge's verdicts on these responses are in {target.path}\n"
    assert main(["rejudge", str(run.run.path), "--judge", "strict", "seed=four=4"]) == 1


def test_an_interrupted_rejudge_says_that_it_goes_on(tmp_path, judge, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "score_samples", stop)
    assert main(["rejudge", str(make_run(tmp_path).run.path), "--judge", "strict"]) == 130
    assert capsys.readouterr().err.strip() == "stopped; the same command goes on from here"
