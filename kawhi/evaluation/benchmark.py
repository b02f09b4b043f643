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

from kawhi.base.errors import CellError
from kawhi.base.included import OPTION, benchmark_file, run
from kawhi.pictures.rgb import picture
from kawhi.rewards.answers import judge
from kawhi.rewards.limits import MAX_CHARACTERS
from kawhi.rewards.response import chosen, stated, value, visible

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
        facts: join those of every sample, for what the rule and the verdict have to know of the options.
    """

    problems: int
    name: str = ""
    task: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Benchmark:
    """A benchmark.

    Attributes:
        name: of its task, ``kawhi_*``.
        data: where its rows are, in the keys of lmms-eval's tasks: ``dataset_path``, ``test_split``, ...; empty where
            they are drawn: the tiny world's held-out problems, as many and of the seed that the options say.
        facts: row -> facts.
        images: row -> the pictures of the prompt, in order.
        prompt: (row, options) -> the text of the prompt.
        rule: (facts, response) -> outcome by exact rules; never raises, whatever the response.
        runs: options of ``conf/benchmarks`` -> passes through lmms-eval; ``ValueError`` for an unknown option or value.
        scores: samples of all passes -> numbers by name.  ``score``, the number of the table, in percent (MME: points),
            is always there.
        process_docs: the data set as it was published -> as the functions above want it.
        questions: where a judge decides, (facts, response, rule's outcome, the prompt's images, encoded) -> what to
            ask; an empty list where the rule's outcome stands (e.g. nothing was answered).
        verdict: (facts, response, rule's outcome, parsed replies in the order of the questions) -> outcome.
        quick_rule: what lmms-eval itself is to report per sample, in [0, 1]; ``None`` for the rule's score.
        full_images: keep the prompt's images as they are, not as thumbnails, because the judge is shown them.
        require: raises ``CellError`` where this machine cannot score the benchmark; called before the training.
        cluster: facts -> what the sample has in common with others that are right or wrong together, such as the
            problem of which it is a version; empty where older facts do not say.  ``None`` where that is the pictures
            it shows.
        generation: keys of the task's ``generation_kwargs`` that the benchmark fixes (e.g. more new tokens).
    """

    name: str
    data: Mapping[str, Any]
    facts: Callable[[Mapping[str, Any]], Facts]
    images: Callable[[Mapping[str, Any]], list[Image.Image]]
    prompt: Callable[[Mapping[str, Any], Mapping[str, Any]], str]
    rule: Callable[[Facts, str], Outcome]
    runs: Callable[[Mapping[str, Any]], list[TaskRun]]
    scores: Callable[[Sequence[Scored]], dict[str, float]]
    process_docs: Callable[[Any], Any] | None = None
    questions: Callable[[Facts, str, Outcome, Sequence[bytes]], list[JudgeQuestion]] | None = None
    verdict: Callable[[Facts, str, Outcome, Sequence[Any]], Outcome] | None = None
    quick_rule: Callable[[Facts, str], float] | None = None
    full_images: bool = False
    require: Callable[[], None] | None = None
    cluster: Callable[[Facts], str] | None = None
    generation: Mapping[str, Any] = field(default_factory=dict)

    @property
    def judged(self) -> bool:
        """Whether a judge decides."""
        return self.questions is not None


def cluster_of(benchmark: Benchmark, facts: Facts, images: Sequence[str]) -> str:
    """The name of a sample's cluster; empty where nobody can say.

    Args:
        images: keys of the pictures that it shows.
    """
    if benchmark.cluster is not None:
        return benchmark.cluster(facts)
    return "/".join(images) or str(facts["id"])


def load(task: str) -> Benchmark:
    """The benchmark of a task: ``BENCHMARK`` in ``kawhi/evaluation/benchmarks/<task without kawhi_>.py``.

    One of somebody's own is in a file of that name that was included.

    Raises:
        CellError: there is none.
    """
    name = task.removeprefix("kawhi_")
    if (own := benchmark_file(name)) is not None:
        return run(own).BENCHMARK
    if not exists(task):
        raise CellError(f"there is no benchmark {name}: {OPTION} names the file or the folder that has it")
    return import_module(f"kawhi.evaluation.benchmarks.{name}").BENCHMARK


def is_judged(task: str) -> bool:
    """Whether a judge decides a task; a task that does not exist is refused elsewhere."""
    return exists(task) and load(task).judged


def exists(task: str) -> bool:
    """Whether there is such a benchmark."""
    name = task.removeprefix("kawhi_")
    return benchmark_file(name) is not None or find_spec(f"kawhi.evaluation.benchmarks.{name}") is not None


def compare(response: str, truth: str, choices: Mapping[str, str]) -> Outcome:
    """``rule`` of a benchmark of mathematics: the choice that was taken, else the value, as rewards compare them.

    Args:
        truth: ground truth, a letter where there are choices.
        choices: texts by letter; empty for a free-form question.
    """
    if choices and truth in choices:
        letter = chosen(response, choices)
        if letter:
            return Outcome(float(letter == truth), letter)
        answer = stated(response)
    else:
        answer = value(response)
    if not answer or len(answer) > MAX_CHARACTERS:  # a whole paragraph is no answer
        return Outcome(0.0)
    return Outcome(float(judge(answer, truth, choices) == "right"), answer)


def one_image(column: str) -> Callable[[Mapping[str, Any]], list[Image.Image]]:
    """``images`` of a benchmark whose rows have one, decoded or as encoded bytes."""
    return lambda doc: [picture(doc[column])]


def one_question(
    name: str, parse: Callable[[str], Any], fields: Callable[[Facts, str], Mapping[str, Any]]
) -> Callable[[Facts, str, Outcome, Sequence[bytes]], list[JudgeQuestion]]:
    """``questions`` of a benchmark whose judge is asked once about every response that says something.

    Args:
        fields: (facts, what counts of the response) -> what the template is filled with.
    """

    def questions(facts: Facts, response: str, outcome: Outcome, images: Sequence[bytes]) -> list[JudgeQuestion]:
        said = visible(response)
        return [JudgeQuestion(name, fields(facts, said), parse)] if said else []

    return questions


def right_if(word: str) -> Callable[[Facts, str, Outcome, Sequence[Any]], Outcome]:
    """``verdict`` of a judge who replies with one word."""
    return lambda facts, response, outcome, replies: Outcome(float(replies[0] == word), outcome.extraction)


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


def means_by(
    key: str, order: Sequence[str] = (), name: Callable[[str], str] = str
) -> Callable[[Sequence[Scored]], dict[str, float]]:
    """``scores`` of a benchmark with kinds of samples: the mean, and that of each kind that there is.

    Args:
        key: the fact that is the kind.
        order: of the kinds; sorted where it is not given.
        name: kind -> its score's name.
    """

    def scores(samples: Sequence[Scored]) -> dict[str, float]:
        kinds: dict[str, list[Scored]] = {}
        for sample in samples:
            kinds.setdefault(sample.facts[key], []).append(sample)
        there = [kind for kind in order or sorted(kinds) if kind in kinds]
        return mean_score(samples) | {name(kind): mean_score(kinds[kind])["score"] for kind in there}

    return scores


def numbered(dataset: Any) -> Any:
    """``process_docs`` of a data set that names none of its rows: with a column ``row``, their numbers.

    A ``datasets.Dataset`` that has the column is returned as it is.
    """
    if "row" in dataset.column_names:
        return dataset
    return dataset.add_column("row", list(range(len(dataset))))
