"""The benchmark: what is asked, what is not measured, and how samples become the table's numbers."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor

import datasets
import pytest
from PIL import Image

from kawhi.base.errors import CellError
from kawhi.evaluation.benchmark import Outcome, Scored
from kawhi.evaluation.benchmarks.chartmimic import (
    BENCHMARK,
    LOW,
    facts,
    program,
    questions,
    rule,
    runs,
    scores,
    verdict,
)
from kawhi.evaluation.chartmimic import sandbox
from kawhi.evaluation.prompts import prompts_of
from tests.evaluation.examples.chartmimic import LINES, OTHER_TITLE, block, doc

BREAKS = "import matplotlib.pyplot as plt\nplt.no_such_function()\n"
CUSTOMIZED = """\
# ===================
# Part 1: Importing Libraries
# ===================
import matplotlib.pyplot as plt
# ===================
# Part 2: Data Preparation
# ===================
values = [3, 1, 2]
# ===================
# Part 3: Plot Configuration and Rendering
# ===================
plt.plot(values, color="red")
plt.savefig("x.pdf")
"""


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (block("a = 1\n"), "a = 1\n"),
        ("```python\na\n```\n```python\nb\n```", "a\n"),
        ("```python a```", "a\n"),
        ("```python\na = 1\n", None),
        ("```\na\n```", None),
        ("a = 1", None),
        ("", None),
    ],
)
def test_the_program_is_the_first_complete_python_block(response, code):
    assert program(facts(doc()), response) == code
    assert BENCHMARK.quick_rule(facts(doc()), response) == float(code is not None)


def test_a_same_figure_has_all_parts():
    assert rule(facts(doc()), block(LINES)).parts == pytest.approx(
        dict.fromkeys((*LOW, "low", "executed", "measured"), 1.0)
    )


def test_a_program_that_breaks_is_measured_and_says_why():
    outcome = rule(facts(doc()), block(BREAKS))
    assert outcome.score == outcome.parts["executed"] == outcome.parts["low"] == 0
    assert outcome.parts["measured"] == 1
    assert "failed: AttributeError: module 'matplotlib.pyplot' has no attribute" in outcome.extraction
    assert questions(facts(doc()), block(BREAKS), outcome, [b"picture"]) == []


def test_a_graph_s_layout_is_only_its_number_of_axes():
    moved = LINES.replace("plt.subplots(1, 2, ", "plt.subplots(2, 1, ")
    assert rule(facts(doc(name="line_1")), block(moved)).parts["layout"] == 0
    assert rule(facts(doc(name="graph_1")), block(moved)).parts["layout"] == 1


def test_a_broken_reference_is_not_the_response_s_fault():
    outcome = rule(facts(doc(BREAKS)), block(LINES))
    assert (outcome.score, outcome.parts["measured"], outcome.parts["executed"]) == (0, 0, 0)
    assert questions(facts(doc(BREAKS)), block(LINES), outcome, [b"picture"]) == []


def test_a_broken_sandbox_is_not_a_zero(monkeypatch):
    monkeypatch.setattr(sandbox, "_python", lambda: "/no/such/python")
    outcome = rule(facts(doc()), block("a_new_program = 1"))
    assert outcome.parts["measured"] == 0
    with pytest.raises(CellError, match=r"1 of 1 samples have no score, the first is direct_600/line_1"):
        scores([Scored(facts(doc()), outcome)])


def test_rules_can_be_asked_from_several_threads():
    codes = [LINES.replace('"Left"', f'"{i}"') for i in range(3)]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda code: rule(facts(doc()), block(code)).parts["text"], codes))
    assert found == pytest.approx([2 / 3] * 3)


def test_the_judge_sees_the_reference_and_what_was_drawn():
    response = block(OTHER_TITLE)
    (question,) = questions(facts(doc()), response, rule(facts(doc()), response), [b"picture"])
    assert question.images[0] == b"picture"
    with Image.open(io.BytesIO(question.images[1])) as drawn:
        assert (drawn.format, drawn.size) == ("PNG", (600, 300))
    _, user, _ = prompts_of("kawhi_chartmimic").render(question.name, question.fields)
    assert user.startswith("You are an excellent judge at evaluating visualization chart plots.")


@pytest.mark.parametrize(
    "reply", ['{"score": 50}', '{"comments": "", "score": 101}', '{"comments": null, "score": 5}', "Score: 50"]
)
def test_only_one_form_of_reply_is_a_score(reply):
    response = block(LINES)
    (question,) = questions(facts(doc()), response, rule(facts(doc()), response), [b"picture"])
    with pytest.raises(ValueError):  # noqa: PT011  any reason will do
        question.parse(reply)


def test_the_verdict_is_the_mean_of_low_and_high():
    outcome = verdict({}, "", Outcome(0.6, "code", {"low": 0.6, "executed": 1.0}), [{"score": 80}])
    assert outcome.score == pytest.approx(0.7)
    assert outcome.parts == pytest.approx({"low": 0.6, "high": 0.8, "executed": 1.0})


def test_a_customized_problem_starts_with_the_reference_s_data():
    row = doc(CUSTOMIZED, "line_3", "customized_600")
    found = facts(row)
    assert json.loads(json.dumps(found)) == found
    code = program(found, block("plt.plot(values)"))
    assert code.endswith("np.random.seed(0)\nvalues = [3, 1, 2]\nplt.plot(values)\n")
    response, imports = block('plt.plot(values, color="red")'), "import matplotlib.pyplot as plt\nvalues = [3, 1, 2]\n"
    found["before"] = imports  # without the packages that not every machine has
    outcome = rule(found, response)
    assert outcome.score == pytest.approx(0.75)  # there is no text in either, which is 0 by the authors' formula
    (question,) = questions(found, response, outcome, [b"the figure whose style is asked for"])
    assert question.images[0] == question.images[1] == sandbox.draw(CUSTOMIZED).figure.png


def test_a_customized_problem_without_marked_data_is_refused():
    with pytest.raises(ValueError, match="the data of customized_600/line_1 are not marked"):
        facts(doc(task="customized_600"))


def sample(number, **parts):
    return Scored({"id": f"direct_600/line_{number}"}, Outcome(parts.pop("score"), parts=parts))


def test_scores_are_means_over_all_that_could_be_measured():
    half = dict.fromkeys(LOW, 0.5)
    ran = sample(1, score=0.6, **half, low=0.5, high=0.7, executed=1.0, measured=1.0)
    failed = sample(2, score=0.0, **dict.fromkeys(LOW, 0.0), low=0.0, executed=0.0, measured=1.0)
    lost = sample(3, score=0.0, **dict.fromkeys(LOW, 0.0), low=0.0, executed=0.0, measured=0.0)
    assert scores([ran, failed] * 50 + [lost]) == pytest.approx(
        {"score": 30, **dict.fromkeys(LOW, 25), "low": 25, "high": 35, "execution_rate": 50, "unmeasured": 1}
    )
    with pytest.raises(CellError, match="2 of 102 samples have no score, the first is direct_600/line_3"):
        scores([ran, failed] * 50 + [lost] * 2)


def test_without_a_judge_there_is_no_high_level_score():
    assert "high" not in scores([sample(1, score=0.5, low=0.5, executed=1.0, measured=1.0)])


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        ({}, [("", 600, "direct_600")]),
        ({"split": "test"}, [("", 1800, "direct_1800")]),
        ({"task": "customized"}, [("", 600, "customized_600")]),
        ({"task": "both", "split": "test"}, [("direct", 1800, "direct_1800"), ("customized", 1800, "customized_1800")]),
    ],
)
def test_passes(options, passes):
    found = [(run.name, run.problems, run.task["dataset_kwargs"]["filters"][0][2]) for run in runs(options)]
    assert found == passes


@pytest.mark.parametrize("options", [{"split": "train"}, {"task": "edit"}, {"subset": "direct"}])
def test_other_options_are_refused(options):
    with pytest.raises(ValueError, match=r"it can be|unknown option subset"):
        runs(options)


def test_the_filter_picks_the_task_s_rows(tmp_path):
    rows = [doc(name=f"line_{i}", task=task) for i, task in enumerate(("direct_600", "direct_1800", "direct_600"))]
    table = {name: [row[name] for row in rows] for name in rows[0]}
    datasets.Dataset.from_dict(table).to_parquet(tmp_path / "test.parquet")
    (run,) = runs({})
    found = datasets.load_dataset(
        "parquet",
        data_files={"test": str(tmp_path / "test.parquet")},
        cache_dir=str(tmp_path),
        **run.task["dataset_kwargs"],
    )["test"]
    assert [facts(row)["id"] for row in found] == ["direct_600/line_0", "direct_600/line_2"]
    assert BENCHMARK.images(found[0])[0].size == (60, 30)
