"""Scores made anew from what is stored: nobody is asked, and nothing else of a run changes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from omegaconf import OmegaConf

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.commands.cli import main
from kawhi.evaluation.benchmark import load
from kawhi.evaluation.judge import Judge
from kawhi.evaluation.judge_settings import JudgeSettings
from kawhi.evaluation.rules import rules_of
from kawhi.evaluation.samples import read_samples, write_samples
from kawhi.evaluation.scoring import score
from kawhi.runs import rescore as module
from kawhi.runs.record import record_evaluation, record_file
from kawhi.runs.rejudge import judge_config
from kawhi.runs.rescore import rescore
from tests.adding import copy
from tests.cells import CONF
from tests.evaluation.examples import examples
from tests.evaluation.judged import good_judge, write_folder
from tests.evaluation.made import TINY, make_run, of, sample
from tests.evaluation.stub_server import MODEL

MATHVERSE, OLD = "kawhi_mathverse", "abcabcabcabc"


@pytest.fixture
def run(tmp_path):
    """An untrained model's evaluations: a benchmark by rule and a judged one."""
    with good_judge(MATHVERSE) as stub:
        settings = judge_config(CONF, "endpoint", [f"base_url={stub.base_url}", f"model={MODEL}"])
        block = OmegaConf.to_container(settings, resolve=True)
        right = examples(TINY)[0].doc["reward_model"]["ground_truth"]
        answers = [sample(TINY, number, f"So \\boxed{{{right if number == 0 else 'no'}}}") for number in range(4)]
        undecided = write_folder(tmp_path / "made", MATHVERSE)
        run = make_run(
            tmp_path, judge=block, **{TINY: answers, MATHVERSE: [replace(each, score=0.0) for each in undecided]}
        )
        write_folder(of(run, MATHVERSE).path, MATHVERSE)
        for evaluation in run.evaluations:
            score(evaluation.path, load(evaluation.task), Judge(JudgeSettings.from_config(block)))
            record_evaluation(evaluation)
    return run


def by_other_rules(evaluation):
    """As if every response's score had been the opposite."""
    folder = evaluation.path
    samples = [
        replace(each, rule_score=1 - each.rule_score, score=1 - each.score)
        for each in read_samples(folder / "samples.parquet")
    ]
    write_samples(folder / "samples.parquet", samples)
    said = json.loads((folder / "score.json").read_text())
    right = said["n"] - said["correct"]
    write_json(folder / "score.json", said | {"score": 100 * right / said["n"], "correct": right, "rules": OLD})
    record_evaluation(evaluation)


def result(evaluation):
    return json.loads(evaluation.record.read_text())["result"]


def files(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name not in (".lock", f"{MATHVERSE}.jsonl")
    }


def test_scores_by_todays_rules_are_left_alone(run, capsys):
    before = files(run.run.path)
    assert main(["rescore", str(run.run.path)]) == 0
    assert capsys.readouterr().out.count("nothing to do: today's rules made the score of ") == 2
    assert files(run.run.path) == before


@pytest.mark.parametrize("task", [TINY, MATHVERSE])
def test_scores_by_other_rules_are_made_anew_without_anybody_being_asked(run, capsys, task):
    own = of(run, task)
    right, before = files(run.run.path), result(own)
    by_other_rules(own)
    old = result(own)["score"]
    assert main(["rescore", str(run.run.path)]) == 0
    assert f"{task}: {old:.2f} -> {before['score']:.2f}\n" in capsys.readouterr().out
    assert result(own) == before
    again = json.loads(own.record.read_text())
    assert again == json.loads(record_file(own.load_config(), again).read_text())
    now = files(run.run.path)
    assert {name for name in right if now[name] != right[name]} <= {f"eval/{own.path.name}/record.json"}


def test_an_interrupted_one_goes_on(run, monkeypatch):
    own = of(run, TINY)
    before = result(own)
    by_other_rules(own)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_json", stop)
        with pytest.raises(KeyboardInterrupt):
            rescore(own)
    old, new = rescore(own)
    assert old != new
    assert result(own) == before


def test_a_judge_who_must_be_asked_again_holds_up_nobody_else(run, capsys):
    judged = of(run, MATHVERSE)
    right = files(judged.path)
    for evaluation in run.evaluations:
        by_other_rules(evaluation)
    shutil.rmtree(judged.path / "judge")
    before = files(judged.path)
    assert main(["rescore", str(run.run.path)]) == 1
    said = capsys.readouterr()
    assert f"error: {judged.path}: kawhi_mathverse must be judged again, because" in said.err
    assert "kawhi rejudge" in said.err
    assert f"{TINY}: " in said.out
    now = files(judged.path)
    assert {name: its for name, its in now.items() if not name.startswith("judge/")} == before
    with good_judge(MATHVERSE) as stub:
        words = ["--judge", "endpoint", f"base_url={stub.base_url}", f"model={MODEL}"]
        assert main(["rejudge", str(run.run.path), *words]) == 0
        assert stub.requests
        assert main(["rejudge", str(run.run.path), *words]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert files(judged.path)["score.json"] == right["score.json"]


def test_an_unfinished_one_is_refused(run):
    own = of(run, TINY)
    own.record.unlink()
    with pytest.raises(CellError, match="is not finished: run its own command again"):
        rescore(own)


def kawhi(folder, *words, code=0, program=("-m", "kawhi")):
    command = [sys.executable, *program, *words]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KAWHI_")}
    environment["PYTHONPATH"] = str(folder)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.slow
def test_a_rule_that_changes_is_told_and_mended_without_a_model(run, tmp_path):
    changed = copy(tmp_path / "changed", "kawhi", "conf", "analysis")
    shutil.rmtree(changed / "kawhi" / "tiny" / "checkpoints")
    records, out = tmp_path / "records", tmp_path / "tables"
    (file,) = records.glob(f"*_{TINY}-*.json")
    tables = ["main", "--records", str(records), "--out", str(out)]
    program = (str(changed / "analysis/make_tables.py"),)
    check = ("records", "check", str(records))
    assert not kawhi(changed, *check).stderr
    kawhi(changed, *tables, program=program)
    assert "rules that have changed" not in (out / "main_table.md").read_text()

    rule = changed / "kawhi/evaluation/benchmarks/tiny.py"
    text = rule.read_text()
    rule.write_text(text.replace("float(is_correct(", "float(not is_correct("))
    today = kawhi(changed, "-c", f"from kawhi.evaluation.rules import rules_of; print(rules_of('{TINY}'))", program=())
    told = f"{file}: {TINY} was scored by rules that have changed since ({rules_of(TINY)} -> {today.stdout.strip()})"
    said = kawhi(changed, *check).stderr
    assert said == f"{told}: kawhi rescore results/runs/made/{run.run.path.name}\n"
    kawhi(changed, *tables, program=program)
    (note,) = [line for line in (out / "main_table.md").read_text().splitlines() if "rules that have changed" in line]
    assert "(Tiny)" in note
    assert "Made" not in note

    mended = kawhi(changed, "rescore", str(run.run.path))
    assert f"{TINY}: 25.00 -> 75.00\n" in mended.stdout
    assert f"{MATHVERSE}: " not in mended.stdout
    assert not kawhi(changed, *check).stderr
    kawhi(changed, *tables, program=program)
    assert "rules that have changed" not in (out / "main_table.md").read_text()
