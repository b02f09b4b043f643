"""From samples to a benchmark's numbers, beside lmms-eval's own aggregation of the same rows."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace

import pytest

from kawhi.evaluation.benchmark import Outcome, Scored, load
from kawhi.evaluation.benchmarks import hallusionbench, wemath
from kawhi.evaluation.benchmarks.mme import BENCHMARK as MME
from kawhi.evaluation.benchmarks.mme import COGNITION, PERCEPTION, subtask_scores
from tests.evaluation.examples import chartqa, chartqapro, charxiv_descriptive, mathverse, mme
from tests.evaluation.examples import hallusionbench as hallusion_examples
from tests.evaluation.examples.wemath import composite, row
from tests.evaluation.originals import asked_of_ours, module_of, utils_of


def scored(benchmark, docs, scores):
    return [Scored(benchmark.facts(doc), Outcome(float(score))) for doc, score in zip(docs, scores, strict=True)]


OTHERS = dict.fromkeys(("multi_choice", "fact_checking", "conversational", "hypothetical"), 100.0)


@pytest.mark.parametrize(
    ("name", "rows", "rights", "expected"),
    [
        ("chartqa", chartqa.ROWS, "01111", {"score": 80.0, "human": 200 / 3, "augmented": 100.0}),
        ("chartqa", chartqa.ROWS[:1], "1", {"score": 100.0, "human": 100.0}),
        ("chartqapro", chartqapro.ROWS, "011111", {"score": 500 / 6, "factoid": 50.0} | OTHERS),
        (
            "charxiv_reasoning",
            charxiv_descriptive.ROWS,
            "1000",
            {"score": 25.0, "text_in_chart": 50.0, "number_in_chart": 0.0, "number_in_general": 0.0},
        ),
        (
            "mathverse",
            [mathverse.DOMINANT, mathverse.VISION],
            "10",
            {"score": 50.0, "Text Dominant": 100.0, "Vision Only": 0.0},
        ),
    ],
)
def test_every_kind_of_sample_has_its_score(name, rows, rights, expected):
    benchmark = load(f"kawhi_{name}")
    assert benchmark.scores(scored(benchmark, rows, rights)) == pytest.approx(expected)


def _mme(responses):
    every = [MME.facts(doc) for doc in mme.ROWS]
    return [Scored(facts, MME.rule(facts, text)) for facts, text in zip(every, responses, strict=True)]


@pytest.mark.parametrize(
    ("responses", "perception", "cognition"),
    [
        (["Yes", "No", "Yes", "No", "Yes", "No"], 200, 200),
        (["Yes", "No", "Yes", "Yes", "no.", "yes"], 125, 0),
        (["No", "Yes", "maybe", "", "Yes", "Yes"], 0, 50),
    ],
)
def test_mme_s_points_are_the_original_s(responses, perception, cognition):
    original = utils_of("mme")
    assert list(PERCEPTION) == original.eval_type_dict["Perception"]
    assert list(COGNITION) == original.eval_type_dict["Cognition"]
    results = [original.mme_process_results(doc, [text]) for doc, text in zip(mme.ROWS, responses, strict=True)]
    found = MME.scores(_mme(responses))
    for name, points in (("perception", perception), ("cognition", cognition)):
        theirs = [each[f"mme_{name}_score"] for each in results if f"mme_{name}_score" in each]
        assert original.mme_aggregate_results(theirs) == found.pop(name) == points
    assert found == {"score": perception + cognition, "existence": perception, "code_reasoning": cognition}


def test_mme_refuses_an_image_with_one_question_and_an_unknown_subtask():
    with pytest.raises(ValueError, match=r"existence/0002\.png of existence has 1; evaluate both or neither"):
        subtask_scores(_mme(["Yes"] * 6)[:3])
    with pytest.raises(ValueError, match="no subtask taste"):
        MME.scores([Scored({**MME.facts(mme.ROWS[0]), "category": "taste"}, Outcome(1.0))] * 2)


def test_fourteen_right_subtasks_are_2800_points():
    facts = MME.facts(mme.ROWS[0])
    samples = [Scored({**facts, "category": each}, Outcome(1.0)) for each in (*PERCEPTION, *COGNITION) for _ in "12"]
    found = MME.scores(samples)
    assert (found["score"], found["perception"], found["cognition"]) == (2800, 2000, 800)
    assert list(subtask_scores(samples)) == [*PERCEPTION, *COGNITION]


def problems(pattern):
    """Rows of as many composite problems of We-Math as there are patterns, e.g. ``110``: two steps right, the whole
    wrong; and whether each is right."""
    docs, rights = [], []
    for number, digits in enumerate(pattern):
        docs += composite(f"{len(digits) - 1}steps_{number}")
        rights += map(int, digits)
    return docs, rights


def original_composites(pattern):
    """lmms-eval's scores of 525 composite problems."""
    import pandas as pd
    from lmms_eval.tasks.wemath import wemath_utils as original

    process = utils_of("wemath.reasoning").wemath_reasoning_process_results
    rows = zip(*problems(pattern), strict=True)
    data = pd.DataFrame([process(doc, [f"<answer>{'AB'[right]}</answer>"])["wemath_strict"] for doc, right in rows])
    data["joker"] = data["acc_score"] == 1.0
    merged = [original.process_steps_data(data[data["key"].str.contains(f"{n}steps")], n) for n in (2, 3)]
    found = original.compute_final_scores(original.calculate_metrics(*merged), total_count=525)
    return original.update_main_results_df(*found)


def test_we_math_s_composite_scores_are_the_original_s():
    two, three = (["".join(digits) for digits in product("01", repeat=n)] for n in (3, 4))
    pattern = (two * 20 + three * 30)[:525]
    pattern += ["111"] * (525 - len(pattern))
    found, expected = wemath.scores(scored(wemath.BENCHMARK, *problems(pattern))), original_composites(pattern)
    for kind in ("strict", "loose"):
        title = kind.title()
        assert f"{found[kind]:.2f}%" == expected[f"Score ({title})"]
        assert expected[f"CompleteMastery ({title})"].startswith(f"{found[f'CM_{kind}']:.2f}%")
        assert expected[f"RoteMemorization ({title})"].startswith(f"{found[f'RM_{kind}']:.2f}%")
    assert expected["InsufficientKnowledge (Strict)"].startswith(f"{found['IK']:.2f}%")
    assert expected["InadequateGeneralization (Strict)"].startswith(f"{found['IG']:.2f}%")
    assert found["strict"] < found["loose"]


def test_no_composite_problem_right_is_a_score_where_the_original_divides_by_zero():
    pattern = ["110"] * 360 + ["1000"] * 165
    with pytest.raises(ZeroDivisionError):
        original_composites(pattern)
    found = wemath.scores(scored(wemath.BENCHMARK, *problems(pattern)))
    assert found["strict"] == found["loose"] == pytest.approx(100 * 360 / 2 / 525)
    assert found["two_step"] == found["three_step"] == 0.0
    assert not {"RM_strict", "RM_loose"} & set(found)


def test_we_math_s_score_is_the_accuracy_of_all_rows():
    found = wemath.scores(scored(wemath.BENCHMARK, *problems(["110", "0001"])))
    assert found["score"] == found["accuracy"] == pytest.approx(100 * 3 / 7)
    assert (found["one_step"], found["two_step"], found["three_step"]) == (pytest.approx(40), 0, 100)


def test_a_problem_with_a_missing_row_is_left_out():
    samples = scored(wemath.BENCHMARK, *problems(["111", "110"]))
    assert wemath.composite_scores(samples)["strict"] == pytest.approx(75)
    assert wemath.composite_scores(samples[:5])["strict"] == pytest.approx(100)
    assert wemath.composite_scores(samples[:2]) == {}


def test_we_math_s_options_are_read():
    choices = {"A": "200.96", "B": "3215.36", "C": "6280", "D": "32", "E": "No correct answer"}
    assert wemath.facts(row("2steps_7", "1"))["choices"] == choices
    bare = wemath.facts(row("2steps_7", "1", option="A. ;B. ;C. ;D. "))
    assert wemath.rule(bare, "B").score == 1.0


HB = hallusionbench.BENCHMARK
HB_ROWS = hallusion_examples.ROWS
RESPONSES = ["Yes", "No", "No", "It is", "Yes", "No"]


@pytest.fixture
def judge(monkeypatch):
    """lmms-eval's judge: answers with the next reply; an exception is raised, and again for the same request."""
    utils = utils_of("hallusion_bench")
    state = SimpleNamespace(replies=[], asked=[])

    def post(url, *, headers, json, timeout):
        prompt = json["messages"][0]["content"]
        if prompt not in state.asked:
            state.asked.append(prompt)
        reply = state.replies[state.asked.index(prompt)]
        if isinstance(reply, Exception):
            raise reply
        body = {"choices": [{"message": {"content": reply}}]}
        return SimpleNamespace(raise_for_status=lambda: None, json=lambda: body)

    monkeypatch.setattr(utils.requests, "post", post)
    monkeypatch.setattr(utils.time, "sleep", lambda seconds: None)
    return state


def _their_hallusions(folder, responses=RESPONSES):
    original = module_of("hallusion_bench.evaluate_hb")
    arguments = SimpleNamespace(output_path=str(folder))
    found = {}
    for name in ("aAcc", "qAcc", "fAcc"):
        rows = [original.hb_process_results(doc, [text])[name] for doc, text in zip(HB_ROWS, responses, strict=True)]
        found[name] = getattr(original, f"hb_aggregation_result_{name}")(rows, arguments)
    return found


def _our_hallusions(replies, responses=RESPONSES):
    samples = []
    for doc, text, reply in zip(HB_ROWS, responses, replies, strict=True):
        facts = HB.facts(doc)
        rule = HB.rule(facts, text)
        (question,) = HB.questions(facts, text, rule, [])
        samples.append(Scored(facts, HB.verdict(facts, text, rule, [question.parse(reply)])))
    return HB.scores(samples)


@pytest.mark.parametrize(
    ("replies", "found"),
    [
        (["correct"] * 6, dict.fromkeys(("aAcc", "qAcc", "fAcc"), 100.0)),
        (["incorrect"] * 6, dict.fromkeys(("aAcc", "qAcc", "fAcc"), 0.0)),
        (
            ["correct", "correct", "incorrect", "correct", "correct", "unclear"],
            {"aAcc": 66.6667, "qAcc": 33.3333, "fAcc": 50.0},
        ),
    ],
)
def test_hallusionbench_s_three_accuracies_are_the_original_s(judge, replies, found, tmp_path):
    judge.replies = replies
    assert _their_hallusions(tmp_path) == found
    assert _our_hallusions(replies) == pytest.approx({"score": found["aAcc"], **found}, abs=1e-4)


def test_a_dead_judge_repeats_the_last_verdict_in_lmms_eval_and_is_an_error_here(judge, tmp_path):
    judge.replies = ["correct", *[ConnectionError("down")] * 5]
    assert _their_hallusions(tmp_path) == {"aAcc": 66.6667, "qAcc": 66.6667, "fAcc": 50.0}  # all four VD rows are right
    with pytest.raises(ValueError, match="is not one of"):
        _our_hallusions(["correct", *[""] * 5])


def test_another_model_gets_the_first_models_verdicts_in_lmms_eval(judge, tmp_path):
    judge.replies = ["correct"] * 6 + ["incorrect"] * 6
    assert _their_hallusions(tmp_path)["aAcc"] == 100.0
    assert _their_hallusions(tmp_path, ["I cannot see it"] * 6)["aAcc"] == 100.0
    assert len(judge.asked) == 6
    assert _our_hallusions(["incorrect"] * 6, ["I cannot see it"] * 6)["aAcc"] == 0.0


def test_a_reply_with_a_word_in_it_is_a_verdict_in_lmms_eval_and_an_error_here(judge, tmp_path):
    judge.replies = ["I cannot say whether it is correct"] * 6
    assert _their_hallusions(tmp_path)["aAcc"] == 100.0
    with pytest.raises(ValueError, match="is not one of"):
        _our_hallusions(judge.replies)


def test_hallusionbench_s_judge_is_asked_the_authors_question_with_one_more_sentence(judge, tmp_path):
    judge.replies = ["correct"] * 6
    _their_hallusions(tmp_path)
    added = "Reply with that one word, without quotes and with nothing else."
    for doc, response, theirs in zip(HB_ROWS, RESPONSES, judge.asked, strict=True):
        assert asked_of_ours("hallusionbench", doc, response).replace(added, "").split() == theirs.split()


@pytest.mark.parametrize(
    ("response", "score"),
    [
        ("<think>They are equal.</think> \\boxed{Yes}", 1.0),
        ("\\boxed{no} No: \\boxed{yes}", 1.0),
        ("\\boxed{yes}, as said: \\boxed{}", 1.0),  # an empty box says nothing
        ("\\boxed{yes, they are}", 0.0),
        ("\\boxed{\\text{yes}}", 0.0),
        ("Yes.", 0.0),
        ("", 0.0),
    ],
)
def test_boxed_hallusions_are_exactly_a_yes_or_a_no_and_need_no_judge(response, score):
    (run,) = HB.runs({"answer": "boxed"})
    facts = {**HB.facts(HB_ROWS[0]), **run.facts}
    outcome = HB.rule(facts, response)
    assert outcome.score == score
    assert HB.questions(facts, response, outcome, []) == []


def test_boxed_hallusions_are_asked_for_a_box_and_others_as_their_authors_ask():
    (boxed,), (judged,) = HB.runs({"answer": "boxed"}), HB.runs({})
    question = HB_ROWS[0]["question"]
    assert HB.prompt(HB_ROWS[0], judged.options) == question
    asked = HB.prompt({**HB_ROWS[0], "question": f"{question} Look twice."}, boxed.options)
    assert asked.startswith(f"{question} The answer is yes or no.\n\n")
    assert "\\boxed{}" in asked
    assert "Look twice" not in asked
    assert judged.facts == {}
    with pytest.raises(ValueError, match="answer 'loud' is not one of judged, boxed"):
        HB.runs({"answer": "loud"})
