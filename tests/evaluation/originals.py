"""lmms-eval's own prompts and scoring of the same rows, with its judge's reply given."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from kawhi.evaluation.benchmark import Benchmark, load
from kawhi.evaluation.prompts import prompts_of


def module_of(name: str) -> Any:
    """A module of lmms-eval's tasks, some of which want a key when they are imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "unused")
        module = import_module(f"lmms_eval.tasks.{name}")
        if hasattr(module, "_get_pipeline"):
            module._get_pipeline()
    return module


def utils_of(task: str) -> Any:
    return module_of(f"{task}.utils")


def _after(post_prompt: str) -> dict[str, str]:
    """The options of a task's YAML."""
    return {"pre_prompt": "", "post_prompt": post_prompt}


def _shot(kind: str) -> dict[str, Any]:
    return {"shot_type": kind, "shot": 0, "use_caption": False, "use_ocr": False}


SHORT = "\nAnswer the question with a short phrase."
VERSE = {"shot_type": "format-prompt", "query_type": "query_wo"}
PROMPTS: list[tuple[str, dict[str, str], str, str, tuple[Any, ...]]] = [
    ("chartqa", {}, "chartqa.utils", "chartqa_doc_to_text", (_after("\nAnswer the question with a single word."),)),
    ("chartqapro", {}, "chartqapro.utils", "chartqapro_doc_to_text", (_after(SHORT),)),
    ("mme", {}, "mme.utils", "mme_doc_to_text", (_after("\nAnswer the question using a single word or phrase."),)),
    ("hallusionbench", {}, "hallusion_bench.evaluate_hb", "hb_doc_to_text", (_after(""),)),
    ("mathverse", {}, "mathverse.utils", "mathverse_doc_to_text", (VERSE,)),
    ("mathvision", {}, "mathvision.utils", "mathvision_doc_to_text", ()),
    ("mathvista", {"prompt": "cot"}, "mathvista.utils", "mathvista_doc_to_text", (_shot("step-by-step"),)),
    ("mathvista", {"prompt": "solution"}, "mathvista.utils", "mathvista_doc_to_text", (_shot("solution"),)),
    ("mathvista", {"prompt": "format"}, "mathvista.utils", "mathvista_doc_to_text", (_shot("format-prompt"),)),
    ("wemath", {"instruction": "none"}, "wemath.reasoning.utils", "wemath_doc_to_text_cot", ()),
]
"""Ours, our options; their module, its function, what that is given beside the row."""


def _score(task: str, function: str, *keys: str) -> Callable[[Any, str], float]:
    """lmms-eval's score of a response without a judge."""

    def score(doc: Any, response: str) -> float:
        found = getattr(utils_of(task), function)(doc, [response])
        for key in keys:
            found = found[key]
        return float(found)

    return score


RULES = {
    "chartqa": _score("chartqa", "chartqa_process_results", "relaxed_overall"),
    "chartqapro": _score("chartqapro", "chartqapro_process_results", "relaxed_overall"),
    "mme": _score("mme", "mme_process_results", "mme_perception_score", "score"),
    "wemath": _score("wemath.reasoning", "wemath_reasoning_process_results", "acc_score"),
}


def judged_score(monkeypatch: pytest.MonkeyPatch, name: str, doc: Any, response: str, reply: str) -> tuple[float, list]:
    """lmms-eval's score where its judge replies so, and what it asked its judge (MathVista: nothing is recorded)."""
    from lmms_eval.llm_judge.protocol import Response

    utils, asked = utils_of(name), []

    def evaluate(request):
        asked.append(request.messages[-1]["content"])
        return Response(content=reply, model_used="canned")

    if name == "mathvista":
        monkeypatch.setattr(utils.mathvista_evaluator, "get_chat_response", lambda *_, **__: reply)
        return float(utils.mathvista_process_results(doc, [response])["llm_as_judge_eval"]["true_false"]), asked
    if name == "mathverse":
        monkeypatch.setattr(utils.mathverse_evaluator.server, "evaluate", evaluate)
        return float(utils.mathverse_process_results(doc, [response])["gpt_eval_score"]), asked
    monkeypatch.setattr(utils._get_pipeline().verifier._server, "evaluate", evaluate)
    return float(utils.mathvision_gpt_eval_process_results(doc, [response])["llm_as_judge_eval"]), asked


def ours(benchmark: Benchmark, doc: Any, response: str, *replies: str) -> float:
    """Our score of one response with these replies of the judge; ``ValueError`` where a reply is refused."""
    facts = benchmark.facts(doc)
    outcome = benchmark.rule(facts, response)
    questions = benchmark.questions(facts, response, outcome, []) if benchmark.questions else []
    if not questions:
        return outcome.score
    assert benchmark.verdict is not None
    parsed = [question.parse(reply) for question, reply in zip(questions, replies, strict=True)]
    return benchmark.verdict(facts, response, outcome, parsed).score


def asked_of_ours(name: str, doc: Any, response: str) -> str:
    """The text of the only question that our judge is asked."""
    benchmark = load(f"kawhi_{name}")
    facts = benchmark.facts(doc)
    assert benchmark.questions is not None
    (question,) = benchmark.questions(facts, response, benchmark.rule(facts, response), [])
    system, user, _ = prompts_of(benchmark.name).render(question.name, question.fields)
    assert system is None
    return user
