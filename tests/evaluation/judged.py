"""Judged benchmarks as the tests of the judge need them: a toy, every real one that has examples, and their samples."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kawhi.evaluation import prompts, scoring
from kawhi.evaluation.benchmark import Benchmark, JudgeQuestion, Outcome, load, mean_score, one_run
from kawhi.evaluation.judge import Judge, JudgeSettings, rule_outcome
from kawhi.evaluation.parsing import exactly, json_object, whole_number
from kawhi.evaluation.prompts import prompts_of
from kawhi.evaluation.rules import rules_of
from kawhi.evaluation.samples import Sample, write_images, write_samples
from tests.evaluation.examples import Example, examples, tasks
from tests.evaluation.stub_server import MODEL, StubServer

TOY, TOY_RULES = "kawhi_toy", "0123456789ab"
TOY_PROMPTS = """
verdict:
  max_tokens: 8
  system: Reply with 0 or 1.
  user: "Question: {{ question }}\\nRight answer: {{ answer }}\\nResponse: {{ response }}"
style:
  max_tokens: 32
  user: "How well does this read? {{ response }}"
"""


def _toy_questions(
    facts: Mapping[str, Any], response: str, outcome: Outcome, images: Sequence[bytes]
) -> list[JudgeQuestion]:
    if not response:
        return []
    fields = {"question": facts["question"], "answer": facts["answer"], "response": response}
    style = json_object({"score": whole_number(0, 4)})
    return [
        JudgeQuestion("verdict", fields, exactly("0", "1"), images),
        JudgeQuestion("style", {"response": response}, style),
    ]


toy = Benchmark(
    TOY,
    data={},
    facts=lambda doc: {"id": str(doc["id"]), "question": f"What is {doc['id']}?", "answer": str(doc["id"])},
    images=lambda doc: [Image.new("RGB", (4, 4), doc["colour"])],
    prompt=lambda doc, options: f"What is {doc['id']}?",
    rule=lambda facts, response: Outcome(float(response == facts["answer"]), response),
    runs=one_run(5),
    scores=mean_score,
    questions=_toy_questions,
    verdict=lambda facts, response, rule, parsed: Outcome(
        float(parsed[0]), response, {"style": parsed[1]["score"] / 4}
    ),
    full_images=True,
)
TOY_EXAMPLES = [
    Example({"id": 1, "colour": "red"}, "1", 1.0, 1.0, ["1", '{"score": 4}']),
    Example({"id": 2, "colour": "blue"}, "two", 0.0, 1.0, [" 1\n", '```json\n{"score": 3}\n```']),
    Example({"id": 3, "colour": "red"}, "4", 0.0, 0.0, ["0", '{"score": 0}']),
    Example({"id": 4, "colour": "green"}, "", 0.0, 0.0),
    Example({"id": 5, "colour": "white"}, "five, I think", 0.0, 1.0, ["1", '{"score": 1}']),
]


def judged() -> list[str]:
    """The toy, and every task with examples that a judge decides."""
    return [TOY, *(task for task in tasks() if load(task).judged)]


def parts_of(task: str) -> tuple[Benchmark, list[Example]]:
    return (toy, TOY_EXAMPLES) if task == TOY else (load(task), examples(task))


@pytest.fixture
def toy_prompts(tmp_path, monkeypatch):
    """Lets ``prompts_of`` find the toy's file beside those of the package; its rules never change."""
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / f"{TOY}.yaml").write_text(TOY_PROMPTS)
    for file in prompts._FOLDER.glob("*.yaml"):
        (folder / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(prompts, "_FOLDER", folder)
    monkeypatch.setattr(scoring, "rules_of", lambda task: TOY_RULES if task == TOY else rules_of(task))
    return folder


@cache
def _samples(task: str) -> tuple[list[Sample], dict[str, bytes]]:
    """A benchmark's examples as samples before judging, and their images; made once, a rule may be slow."""
    benchmark, rows = parts_of(task)
    images, samples = {}, []
    for i, example in enumerate(rows):
        keys = []
        for j, image in enumerate(benchmark.images(example.doc)):
            buffer = io.BytesIO()
            image.save(buffer, "PNG")
            keys.append(f"{i}-{j}")
            images[keys[-1]] = buffer.getvalue()
        facts = dict(benchmark.facts(example.doc))
        rule = benchmark.rule(facts, example.response)
        samples.append(
            Sample(
                id=f"{i}/{facts['id']}",  # a row may have several responses among the examples
                run="",
                facts=facts,
                prompt="",
                images=keys,
                response=example.response,
                finish_reason="stop",
                tokens=3,
                rule_score=rule.score,
                rule_extraction=rule.extraction,
                rule_parts=dict(rule.parts),
            )
        )
    return samples, images


def write_folder(folder: Path, task: str) -> list[Sample]:
    """``samples.parquet`` and ``images.parquet`` of a benchmark's examples, as they are before judging."""
    samples, images = _samples(task)
    write_samples(folder / "samples.parquet", samples)
    write_images(folder / "images.parquet", images)
    return deepcopy(samples)  # what a test does to its own is not done to those of the others


Asked = tuple[str, tuple[bytes, ...]]
"""All texts of a request, and its images."""


def right_replies(task: str) -> dict[Asked, str]:
    """What a good judge says to every different question about the examples."""
    benchmark, rows = parts_of(task)
    samples, images = _samples(task)
    prompt_file = prompts_of(task)
    known: dict[Asked, str] = {}
    assert benchmark.questions is not None
    for example, sample in zip(rows, samples, strict=True):
        shown = [images[key] for key in sample.images]
        questions = benchmark.questions(sample.facts, sample.response, rule_outcome(sample), shown)
        for question, reply in zip(questions, example.replies, strict=True):
            system, user, _ = prompt_file.render(question.name, question.fields)
            asked = (user if system is None else f"{system}\n\n{user}", tuple(question.images))
            assert known.setdefault(asked, reply) == reply, f"{task}: one question has two right replies: {asked[0]}"
    return known


def good_judge(task: str, **more: Any) -> StubServer:
    """A server that gives the examples' replies."""
    known = right_replies(task)
    return StubServer(lambda text, images: known[text, tuple(images)], **more)


def judge_of(stub: StubServer, **more: Any) -> Judge:
    """A judge that loses patience soon."""
    settings: dict[str, Any] = dict(
        concurrency=8, attempts=2, timeout=60, patience=0.2, temperature=0.0, seed=0, model=MODEL, name="stub"
    )
    return Judge(JudgeSettings(base_url=stub.base_url, **(settings | more)))
