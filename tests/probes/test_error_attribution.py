"""Error attribution, with a real HTTP server in the judge's place and wrong answers of the tiny world."""

from __future__ import annotations

import io
import json
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from statsmodels.stats.proportion import proportion_confint

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.commands.cli import main
from kawhi.evaluation.judge import Judge, JudgeSettings
from kawhi.evaluation.prompts import prompts_of
from kawhi.evaluation.samples import Reply, Sample, write_images, write_samples
from kawhi.probes.error_attribution import CATEGORIES, attribute, parse, shares
from kawhi.probes.error_figure import figure_of
from kawhi.records.folder import read_folder
from kawhi.tiny.world import problems
from tests.analysis.synthetic import baseline_record
from tests.evaluation.stub_server import MODEL, StubServer
from tests.split import split

TASK = "kawhi_tiny"
EVALUATION = f"{TASK}-abcdef012345"
WRONG = {
    "I read the sides 1 and 1.": "VP",
    "Answer: \\boxed{1}": "AO",
    "The sum is 2 + 2 = 5.": "CE",
    "The area is 2 * (3 + 4).": "RAE",
    "": "Others",
}


def reply(text: str, images: list[bytes]) -> str:
    """What a judge says that finds a known response in the request."""
    response = text.rpartition("Response:")[2].partition("Reply with")[0].strip()
    name = WRONG[response]
    return json.dumps({"category": name, "reason": f"It is {CATEGORIES[name]}."})


def evaluated(run: Path, score_of_last: float | None = 0.0) -> Path:
    """An evaluation of a run, with one right answer and then those of ``WRONG``."""
    folder = run / "eval" / EVALUATION
    for each in (run, folder):
        each.mkdir(parents=True, exist_ok=True)
        (each / "config.yaml").touch()
    samples, images = [], {}
    for i, (problem, response) in enumerate(zip(islice(problems("heldout", 0), 6), ["right", *WRONG], strict=True)):
        buffer = io.BytesIO()
        problem.drawing.render(168).save(buffer, "PNG")
        images[str(i)] = buffer.getvalue()
        score = 1.0 if i == 0 else 0.0
        facts = {"id": str(i), "question": problem.question, "answer": problem.answer}
        samples.append(Sample(str(i), "", facts, problem.question, [str(i)], response, "stop", 9, score, score=score))
    samples[-1].score = score_of_last
    write_samples(folder / "samples.parquet", samples)
    write_images(folder / "images.parquet", images)
    return folder


def judge_at(stub: StubServer, attempts: int = 2) -> Judge:
    return Judge(JudgeSettings("stub", MODEL, stub.base_url, 4, attempts, timeout=2, patience=1, temperature=0, seed=0))


@pytest.mark.parametrize(
    "said",
    [
        "VP",
        "",
        '{"category": "VP"}',
        '{"category": "vp", "reason": "x"}',
        '{"category": "VP or CE", "reason": "x"}',
        '{"category": ["VP"], "reason": "x"}',
        '{"category": "VP", "reason": ""}',
        '{"category": "VP", "reason": 1}',
        '{"category": "VP", "reason": "x", "confidence": 1}',
        'It is {"category": "VP", "reason": "x"}',
        '[{"category": "VP", "reason": "x"}]',
    ],
)
def test_anything_else_is_no_verdict(said):
    with pytest.raises(ValueError, match=r"not|Expecting|empty"):
        parse(said)


@pytest.mark.parametrize("name", CATEGORIES)
def test_each_category_is_read(name):
    assert parse(json.dumps({"category": name, "reason": " A slip. "})) == {"category": name, "reason": "A slip."}


def test_the_rubric_defines_every_category_and_shows_the_whole_case():
    fields = {"question": "How long?", "answer": "7", "response": "It is 8."}
    system, text, _ = prompts_of("errors").render("category", fields)
    assert system is None
    assert all(f"\n{name}" in text for name in CATEGORIES)
    assert all(part in text for part in fields.values())


def test_every_wrong_answer_is_shown_with_its_image_and_sorted(tmp_path):
    folder = evaluated(tmp_path)
    with StubServer(reply) as stub:
        found = attribute(folder, TASK, judge_at(stub))
        assert len(stub.requests) == 5  # the right answer is not asked about
        kinds = [[part["type"] for part in body["messages"][-1]["content"]] for body in stub.requests]
    assert kinds == [["image_url", "text"]] * 5
    assert found["counts"] == dict.fromkeys(CATEGORIES, 1)
    assert (found["samples"], found["wrong"], found["largest_image_side"]) == (6, 5, 168)
    out = folder / "errors" / "stub"
    assert json.loads((out / "errors.json").read_text()) == found
    rows = pq.read_table(out / "errors.parquet").to_pylist()
    assert {row["response"]: row["category"] for row in rows} == WRONG
    assert rows[0]["reason"] == "It is visual perception error."
    assert not any(row["error"] for row in rows)


def test_a_reply_that_is_no_category_is_an_error_and_only_that_one_is_asked_again(tmp_path):
    folder = evaluated(tmp_path)
    out = folder / "errors" / "stub"
    with StubServer(lambda text, images: reply(text, images).replace("CE", "a slip")) as stub:
        with pytest.raises(CellError, match="1 of 5 wrong answers have no category, the first is 3"):
            attribute(folder, TASK, judge_at(stub))
        assert not (out / "errors.json").exists()
        rows = pq.read_table(out / "errors.parquet").to_pylist()
        assert [row["category"] for row in rows] == ["VP", "AO", "", "RAE", "Others"]
        assert "'a slip' is not one of" in rows[2]["error"]

        stub.reply = reply
        before = len(stub.requests)
        assert attribute(folder, TASK, judge_at(stub))["counts"]["CE"] == 1
        assert len(stub.requests) == before + 1

    with StubServer(behaviour="down") as stub:  # everything is known: no server is needed
        assert attribute(folder, TASK, judge_at(stub))["wrong"] == 5


def test_a_judge_that_is_down_leaves_no_result_not_even_an_older_one(tmp_path):
    folder = evaluated(tmp_path)
    out = folder / "errors" / "stub"
    with StubServer(reply) as stub:
        attribute(folder, TASK, judge_at(stub))
    for file in out.glob("judge/*"):
        file.unlink()
    (out / "errors.png").touch()
    with StubServer(behaviour="down") as stub, pytest.raises(CellError):
        attribute(folder, TASK, judge_at(stub))
    assert not [file.name for file in out.glob("errors.*")]


def test_answers_without_a_verdict_are_refused(tmp_path):
    folder = evaluated(tmp_path, score_of_last=None)
    with StubServer(reply) as stub, pytest.raises(CellError, match="1 of 6 answers to kawhi_tiny have no verdict"):
        attribute(folder, TASK, judge_at(stub))


def test_a_run_without_wrong_answers_is_refused(tmp_path):
    folder = evaluated(tmp_path)
    reply_ = Reply("q", "0" * 16, "0" * 12, "1", "", 1)
    right = Sample("a", "", {"question": "", "answer": ""}, "", [], "", "stop", 1, 1.0, score=1.0, replies=[reply_])
    write_samples(folder / "samples.parquet", [right])
    with StubServer(reply) as stub, pytest.raises(CellError, match="none of the 1 answers"):
        attribute(folder, TASK, judge_at(stub))


def test_intervals_hold_for_all_five_shares_at_once():
    found = shares(["VP"] * 49 + ["CE"] * 51)
    assert found["counts"] == {"VP": 49, "AO": 0, "CE": 51, "RAE": 0, "Others": 0}
    vp, none = found["shares"]["VP"], found["shares"]["AO"]
    for own, count in ((vp, 49), (none, 0)):  # at 99 %: 1 - 0.05 / 5
        low_and_high = proportion_confint(count, 100, alpha=0.01, method="wilson")
        assert (own["share"], own["low"], own["high"]) == pytest.approx((count / 100, *low_and_high), abs=1e-5)


def test_an_unknown_category_is_not_counted():
    with pytest.raises(ValueError, match="unknown categories: PV"):
        shares(["PV"])


def drawn(task: str):
    counted = shares(["VP"] * 6 + ["AO", "CE", "CE"])
    return {"benchmark": task, "samples": 20, "judge": {"name": "j", "model": "m"}, **counted}


@pytest.mark.parametrize(("task", "paper"), [("kawhi_mathverse", ["paper: 48.9 % (MathVerse)"]), (TASK, [])])
def test_the_chart_shows_shares_counts_intervals_and_the_paper_s_share_of_its_own_benchmark(task, paper):
    (axes,) = figure_of(drawn(task)).axes
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([200 / 3, 100 / 9, 200 / 9, 0, 0], abs=1e-3)
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["66.7 %  (6)", "11.1 %  (1)", "22.2 %  (2)", "0.0 %  (0)", "0.0 %  (0)", *paper]
    assert axes.get_title(loc="left") == f"{task}: 9 wrong answers of 20, judge j"
    (intervals,) = axes.collections
    assert len(intervals.get_segments()) == 5


@pytest.fixture
def stub_configuration(tmp_path, monkeypatch):
    """A checkout's ``conf`` with one judge, in the current folder."""
    (tmp_path / "conf" / "judge").mkdir(parents=True)
    (tmp_path / "conf" / "run.yaml").touch()
    monkeypatch.chdir(tmp_path)

    def configure(base_url: str | None) -> None:
        block = dict(
            name="${judge.model}", model=MODEL, base_url=base_url, concurrency=4, attempts=2, timeout=2, patience=1
        )
        block |= dict(temperature=0, seed=0, api_key_env=None)
        (tmp_path / "conf" / "judge" / "stub.yaml").write_text(json.dumps(block))

    return configure


def test_the_command_writes_counts_pictures_and_a_record(tmp_path, stub_configuration, capsys, records):
    folder = evaluated(tmp_path / "run")
    evaluation = split(baseline_record(800))[0]
    write_json(folder / "record.json", evaluation)
    with StubServer(reply) as stub:
        stub_configuration(None)
        assert main(["errors", str(tmp_path / "run"), "--judge", "stub", "--base-url", stub.base_url]) == 0
    said = capsys.readouterr().out
    assert "VP          1   20.0 %" in said
    for name in ("errors.json", "errors.parquet", "errors.png", "errors.pdf"):
        assert (folder / "errors" / MODEL / name).stat().st_size > 0
    (record,) = read_folder(records).records.values()
    assert record.errors["counts"]["VP"] == 1
    of = {"of": evaluation["config"]["of"]["hash"], "evaluation": evaluation["cell"]["hash"]}
    assert of.items() <= record.config["errors"].items()
    assert record.model.model_dump() == evaluation["model"]


def test_the_command_takes_an_evaluation_s_folder_and_makes_no_record_of_one_that_has_none(
    tmp_path, stub_configuration, capsys, records
):
    folder = evaluated(tmp_path / "run")
    with StubServer(reply) as stub:
        stub_configuration(stub.base_url)
        assert main(["errors", str(folder), "--judge", "stub"]) == 0
    assert (folder / "errors" / MODEL / "errors.json").exists()
    assert not records.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "--judge", "nobody"], "there is no judge nobody; conf/judge has stub"),
        (["run", "--judge", "stub", "--benchmark", "kawhi_mme"], "run has no samples of kawhi_mme; it has kawhi_tiny"),
        (["nowhere", "--judge", "stub"], "nowhere is not a run directory (it has no config.yaml)"),
        (["run", "--judge", "none"], "there is no judge none; conf/judge has stub"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, stub_configuration, capsys, arguments, sentence):
    evaluated(tmp_path / "run")
    stub_configuration("http://127.0.0.1:1/v1")
    assert main(["errors", *arguments]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert sentence in said
