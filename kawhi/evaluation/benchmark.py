"""What a benchmark is: pure functions from a data set's row and a response to a score.

A row (``doc``) is touched once, by ``facts``, ``images`` and ``prompt``.  Everything later (the rule, the judge's
questions, the verdict, the score of the whole) needs only the facts, which are kept beside the response, so a run can
be judged again without its data set and without a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from PIL import Image

Facts = Mapping[str, Any]
"""JSON-able.  ``id`` (unique text within one task run), ``question`` and ``answer`` (text) are always there; the rest
is what the benchmark's own rule, judge and scores need."""


@dataclass(frozen=True)
class Outcome:
    """What a rule or a judge says about one response.

    Attributes:
        score: in [0, 1].
        extraction: the answer that was found in the response; empty when there is none.
        parts: further scores in [0, 1] by name, e.g. ChartMimic's text, layout, type and colour.
    """

    score: float
    extraction: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class JudgeQuestion:
    """One request to the judge.

    Attributes:
        name: which entry of the benchmark's prompt file is asked.
        fields: what the entry's template is filled with.
        parse: turns the judge's reply into its meaning; ``ValueError`` when it is not exactly one that was allowed.
        images: encoded images that are shown before the text, in order.
    """

    name: str
    fields: Mapping[str, Any]
    parse: Callable[[str], Any]
    images: Sequence[bytes] = ()


@dataclass(frozen=True)
class Scored:
    """One sample as ``Benchmark.scores`` sees it."""

    facts: Facts
    outcome: Outcome


@dataclass(frozen=True)
class TaskRun:
    """One pass of a benchmark through lmms-eval.

    Attributes:
        problems: how many samples it must have.
        name: tells the passes of one benchmark apart; empty for the only one.
        task: keys that replace those of the task's YAML, e.g. ``{"test_split": "testmini"}``.
        options: reaches ``prompt`` (through lmms-eval's ``lmms_eval_specific_kwargs``).
    """

    problems: int
    name: str = ""
    task: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Benchmark:
    """A benchmark.  ``kawhi/evaluation/tasks/<name>/<name>.yaml`` says where its data are.

    Attributes:
        name: of its task, ``kawhi_*``.
        facts: row -> facts.
        images: row -> the images of the prompt, in order, RGB.
        prompt: (row, options) -> the text of the prompt.
        rule: (facts, response) -> outcome by exact rules; never raises, whatever the response.
        runs: options of ``conf/benchmarks`` -> passes through lmms-eval; ``ValueError`` for an unknown option or value.
        scores: samples of all passes -> numbers by name.  ``score``, the number of the table, in percent (MME: points),
            is always there.
        judged: whether a judge decides; then also:
        questions: (facts, response, rule's outcome, the prompt's images, encoded) -> what to ask; an empty list where
            the rule's outcome stands (e.g. nothing was answered).
        verdict: (facts, response, rule's outcome, parsed replies in the order of the questions) -> outcome.
        quick_rule: what lmms-eval itself is to report per sample, in [0, 1]; ``None`` for the rule's score.
        full_images: keep the prompt's images as they are, not as thumbnails, because the judge is shown them.
        require: raises ``CellError`` where this machine cannot score the benchmark; called before the training.
        generation: keys of the task's ``generation_kwargs`` that the benchmark fixes (e.g. more new tokens).
    """

    name: str
    facts: Callable[[Mapping[str, Any]], Facts]
    images: Callable[[Mapping[str, Any]], list[Image.Image]]
    prompt: Callable[[Mapping[str, Any], Mapping[str, Any]], str]
    rule: Callable[[Facts, str], Outcome]
    runs: Callable[[Mapping[str, Any]], list[TaskRun]]
    scores: Callable[[Sequence[Scored]], dict[str, float]]
    judged: bool = False
    questions: Callable[[Facts, str, Outcome, Sequence[bytes]], list[JudgeQuestion]] | None = None
    verdict: Callable[[Facts, str, Outcome, Sequence[Any]], Outcome] | None = None
    quick_rule: Callable[[Facts, str], float] | None = None
    full_images: bool = False
    require: Callable[[], None] | None = None
    generation: Mapping[str, Any] = field(default_factory=dict)


def load(task: str) -> Benchmark:
    """The benchmark of a task: ``BENCHMARK`` in ``kawhi/evaluation/benchmarks/<task without kawhi_>.py``.

    Raises:
        ModuleNotFoundError: there is none.
    """
    return import_module(f"kawhi.evaluation.benchmarks.{task.removeprefix('kawhi_')}").BENCHMARK


def is_judged(task: str) -> bool:
    """Whether a judge decides a task; a task that does not exist is refused elsewhere."""
    return exists(task) and load(task).judged


def exists(task: str) -> bool:
    """Whether there is such a benchmark."""
    return find_spec(f"kawhi.evaluation.benchmarks.{task.removeprefix('kawhi_')}") is not None


def lmms_functions(benchmark: Benchmark) -> tuple[Callable, Callable, Callable, Callable]:
    """``doc_to_visual, doc_to_text, doc_to_target, process_results`` as the task's YAML names them.

    What lmms-eval reports is the rule's mean (``rule``): no judge runs inside lmms-eval, which retries and swallows.
    """

    def doc_to_visual(doc):
        return benchmark.images(doc)

    def doc_to_text(doc, lmms_eval_specific_kwargs=None):
        return benchmark.prompt(doc, lmms_eval_specific_kwargs or {})

    def doc_to_target(doc):
        return str(benchmark.facts(doc)["answer"])

    def process_results(doc, results):
        facts = benchmark.facts(doc)
        if benchmark.quick_rule is not None:
            return {"rule": benchmark.quick_rule(facts, results[0])}
        return {"rule": benchmark.rule(facts, results[0]).score}

    return doc_to_visual, doc_to_text, doc_to_target, process_results


def one_run(problems: int) -> Callable[[Mapping[str, Any]], list[TaskRun]]:
    """``runs`` of a benchmark without options."""

    def runs(options: Mapping[str, Any]) -> list[TaskRun]:
        refuse_unknown(options, ())
        return [TaskRun(problems)]

    return runs


def refuse_unknown(options: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raises:
    ValueError: an option that the benchmark does not have.
    """
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(f"unknown option {', '.join(unknown)}; known are {', '.join(known) or 'none'}")


def mean_score(samples: Sequence[Scored]) -> dict[str, float]:
    """``scores`` of most benchmarks: the mean, in percent."""
    return {"score": 100 * sum(sample.outcome.score for sample in samples) / len(samples)}
