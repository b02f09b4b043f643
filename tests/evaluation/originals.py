"""lmms-eval's own scoring of the same rows, with its judge's reply given."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from kawhi.evaluation.benchmark import Benchmark


def utils_of(task: str) -> Any:
    """``utils`` of one of lmms-eval's tasks, which wants a key when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "unused")
        utils = import_module(f"lmms_eval.tasks.{task}.utils")
        if hasattr(utils, "_get_pipeline"):
            utils._get_pipeline()
    return utils


def canned(content: str, seen: list[str] | None = None) -> Any:
    """What replaces ``evaluate`` of lmms-eval's judge server; ``seen`` collects the prompts."""
    from lmms_eval.llm_judge.protocol import Response

    def evaluate(request):
        if seen is not None:
            seen.append(request.messages[-1]["content"])
        return Response(content=content, model_used="canned")

    return evaluate


def ours(benchmark: Benchmark, doc: Any, response: str, *replies: str) -> float:
    """Our score of one response with these replies of the judge; ``ValueError`` where a reply is refused."""
    assert benchmark.questions is not None
    assert benchmark.verdict is not None
    facts = benchmark.facts(doc)
    outcome = benchmark.rule(facts, response)
    questions = benchmark.questions(facts, response, outcome, [])
    if not questions:
        return outcome.score
    parsed = [question.parse(reply) for question, reply in zip(questions, replies, strict=True)]
    return benchmark.verdict(facts, response, outcome, parsed).score
