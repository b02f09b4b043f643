"""What a record says, version 3.  Unknown fields, wrong types and numbers that are not finite are refused.

A training has a record, and each of its evaluations; :mod:`kawhi.records.join` puts them together again.  A record's
``config`` is everything its numbers depend on (:mod:`kawhi.runs.identity`), and ``cell.hash`` is that block's hash, so
a record proves which configuration it is of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

VERSION = 3
PROVENANCES = ("measured", "tiny")
MAXIMUM = {"kawhi_mme": 2800.0}
"""The highest score of benchmarks that are not in percent."""
ROUNDING = 0.0051
"""Percent; a score may have been written with two decimals."""

Share = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0)]
Curve = list[float | None]
"""One number per training step; ``null`` where a step did not log it."""


class Part(BaseModel):
    """Strict: nothing unknown, nothing converted, nothing infinite."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Cell(Part):
    experiment: str
    name: str
    hash: str


class Model(Part):
    name: str
    family: str
    weights: str


class Credit(Part):
    name: str
    label: str


class Seeds(Part):
    """``sampling`` is that of an evaluation, where one was joined; the others are of the training."""

    data: int
    rollout: int
    regions: int
    sampling: int | None = None


class Judge(Part):
    name: str
    model: str
    temperature: float
    seed: int
    prompts: str
    identity: str
    questions: Count
    asked_again: Count
    refused: Count = 0


class Verdicts(Part):
    """The score of every item, in the order of the data set.

    Attributes:
        dataset: 16 hexadecimal digits of the hash of all questions, answers and images: two records with equal ones
            may be compared item by item.
        values: ``(n,)`` scores; as a string of 0 and 1 where there is nothing between.
        problems: ``(n,)`` which problem an item belongs to, counted from 0; ``null`` where each item is one of its own.
        clusters: ``(n,)`` which items belong together, of one picture or one problem, counted from 0; ``null`` in
            records that do not know.
    """

    dataset: str
    values: str | tuple[Share, ...]
    problems: tuple[Count, ...] | None = None
    clusters: tuple[Count, ...] | None = None

    @model_validator(mode="after")
    def _digits(self) -> Verdicts:
        if isinstance(self.values, str) and set(self.values) - {"0", "1"}:
            raise ValueError("a string of verdicts has only 0 and 1")
        for name in ("problems", "clusters"):
            if (labels := getattr(self, name)) is not None and len(labels) != len(self.values):
                raise ValueError(f"{len(self.values)} verdicts have {len(labels)} {name}")
        return self

    def scores(self) -> NDArray[np.float64]:
        """``(n,)`` in [0, 1]."""
        if isinstance(self.values, str):
            return np.frombuffer(self.values.encode(), np.uint8).astype(np.float64) - 48
        return np.asarray(self.values, np.float64)


class Benchmark(Part):
    """One benchmark's result.

    Attributes:
        score: in percent (MME: points).
        interval: its 95 % interval by clusters of items.
        effective: as how many independent items it is sure; ``null`` where the score is no mean over items.
    """

    title: str
    metric: Literal["accuracy", "score"]
    n: Annotated[int, Field(gt=0)]
    problems: Count | None = None
    effective: Annotated[float, Field(gt=0)] | None = None
    correct: Count | None
    score: Annotated[float, Field(ge=0)]
    interval: tuple[float, float] | None = None
    scores: dict[str, float] = {}
    rule_score: float | None = None
    rule_scores: dict[str, float] = {}
    rules: str | None = None
    truncated: Count = 0
    empty: Count = 0
    judge: Judge | None = None
    judge_errors: Count = 0
    judge_rule_agreement: Share | None = None
    generation: dict[str, Any] = {}
    verdicts: Verdicts | None = None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Benchmark:
        for fine, sentence in self._checks():
            if not fine:
                raise ValueError(sentence)
        return self

    def _checks(self) -> Iterator[tuple[bool, str]]:
        """What must hold, and the sentence where it does not."""
        if self.metric == "accuracy":
            yield self.correct is not None, "an accuracy needs the number of correct answers"
            correct = self.correct or 0
            near = correct <= self.n and abs(self.score - 100 * correct / self.n) <= ROUNDING
            yield near, f"the score {self.score} is not {correct} of {self.n}"
        failed = f"the judge failed on {self.judge_errors} samples, so the score is of the others only"
        yield not self.judge_errors, failed
        cut = f"{self.truncated} truncated and {self.empty} empty responses of {self.n}"
        yield max(self.truncated, self.empty) <= self.n, cut
        low, high = self.interval or (self.score, self.score)
        outside = f"the score {self.score} is outside its own interval {[low, high]}"
        yield low - 1e-9 <= self.score <= high + 1e-9, outside
        if self.verdicts is not None:
            scores = self.verdicts.scores()
            yield len(scores) == self.n, f"{len(scores)} verdicts of {self.n} samples"
            right = int((scores == 1).sum())
            yield self.correct in (None, right), f"{right} verdicts are right and the record says {self.correct}"


class Paragraph(Part):
    text: str
    weight: float
    alpha: float | None


class Example(Part):
    """One response of the last training step, for figure 6."""

    step: int
    index: int | None
    reward: float
    advantage: float
    paragraphs: list[Paragraph]


class Training(Part):
    """Curves with one number per step, and what the recorded responses of all steps look like.

    Attributes:
        held_out: share of right answers to held-out problems, at the steps after which they were asked.
        checkpoint: the step whose weights are scored, where that was not simply the last.
        weight_histogram: responses' tokens by weight, in equal bins of [0, 1] and the last for weights above 1.
        paragraph_counts: number of paragraphs -> responses.
    """

    reward: Curve = []
    response_length: Curve = []
    weight_mean: Curve = []
    weight_zero_share: Curve = []
    entropy: Curve = []
    grad_norm: Curve = []
    held_out: Curve = []
    checkpoint: Count | None = None
    weight_histogram: list[Count] | None = None
    paragraph_counts: dict[str, Count] | None = None
    examples: list[Example] = []


class Accepted(Part):
    """What the health checks found up to a step, and why somebody trusts the training all the same."""

    step: Count
    why: str
    findings: list[str]


class Health(Part):
    """What the health checks saw; ``weights_changed`` is missing where the weights were not kept."""

    correlation_min: float | None = None
    kl_max: float | None = None
    grad_norm_max: float | None = None
    weights_changed: bool | None = None
    accepted: list[Accepted] = []


class Git(Part):
    """``others``: commits of earlier launches that worked on the same run."""

    commit: str | None = None
    dirty: bool | None = None
    others: list[str] = []


class Run(Part):
    """When, where and how fast; two runs of a cell differ here alone.

    Attributes:
        started, ended: UTC, ISO 8601.
        seconds: by stage, of the launch that finished it.
        gpu_hours: of all stages together; ``null`` where there is no GPU.
        peak_memory_gib: the most that all processes of a stage held at once.
        peak_device_memory_gib: as torch reserved it on one device.
        attention: by which transformers ran the model, as it calls it; vLLM chooses its own.
        launches: of stages; more than there are stages where something was stopped and went on.
        step_seconds: of every step, the first included, which pays for start-up.
        step_processor_seconds: of all processes together, by step; ``null`` where it was not seen, as in the first.
        step_timing_s: verl's and our timers by step, of a timing cell.
        timing_s: verl's and our timers, mean seconds per step without the first.
    """

    started: str | None = None
    ended: str | None = None
    seconds: dict[str, float] = {}
    duration_s: float | None = None
    gpu_hours: float | None = None
    peak_memory_gib: float | None = None
    peak_device_memory_gib: float | None = None
    hardware: str = ""
    attention: str | None = None
    versions: dict[str, str] = {}
    git: Git = Git()
    launches: int | None = None
    step_seconds: Curve = []
    step_processor_seconds: Curve = []
    step_timing_s: dict[str, Curve] = {}
    timing_s: dict[str, float] = {}
    kawhi_share: Share | None = None


class Grounding(Part):
    """What a model does with fixed responses beside one kind of image, against the true image.

    Attributes:
        reading_responses: those of which it is known which paragraph reads the image.
        reading_top: how often such a paragraph has the highest alpha of its response.
        reading_chance: how often it would, were each paragraph as likely.
    """

    image: Literal["true_image", "blank", "wrong_image", "background_only"]
    responses: Annotated[int, Field(gt=0)]
    paragraphs: Annotated[int, Field(gt=0)]
    alpha: Annotated[float, Field(ge=-1 - 1e-6, le=1 + 1e-6)]
    order: Annotated[float, Field(ge=-1 - 1e-6, le=1 + 1e-6)]
    same_top: Annotated[float, Field(ge=-1e-6, le=1 + 1e-6)]
    weight_shift: Annotated[float, Field(ge=-1e-6)]
    log_prob: Annotated[float, Field(le=1e-6)]
    reading_responses: Count = 0
    reading_top: Share | None = None
    reading_chance: Share | None = None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Grounding:
        if (self.reading_top is None, self.reading_chance is None) != (not self.reading_responses,) * 2:
            raise ValueError(f"reading_top and reading_chance of {self.reading_responses} responses")
        if self.responses > self.paragraphs:
            raise ValueError(f"{self.responses} responses with {self.paragraphs} paragraphs")
        if self.image == "true_image" and (self.weight_shift > 1e-6 or self.same_top < 1 - 1e-6):
            raise ValueError("a true image that differs from itself in weight_shift or same_top")
        return self


class Record(Part):
    """What the records of all studies share."""

    schema_version: Literal[3] = Field(alias="schema")
    cell: Cell
    provenance: Literal["measured", "tiny"]
    model: Model
    command: str | None = None
    datasets: dict[str, str] = {}
    config: dict[str, Any]
    run: Run


class TrainingRecord(Record):
    study: Literal["training"]
    algorithm: str
    credit: Credit
    data: str
    seeds: Seeds
    steps: Annotated[int, Field(gt=0)]
    training: Training
    health: Health
    benchmarks: dict[str, Benchmark] = {}
    """By task, once its evaluations have joined it; a file has none."""


class TimingRecord(Record):
    study: Literal["timing"]
    algorithm: str
    credit: Credit
    data: str
    seeds: Seeds
    steps: Annotated[int, Field(gt=0)]
    training: Training
    health: Health


class EvaluationRecord(Record):
    """A model on one benchmark; ``config.of`` says which model: the hash of its training, or of the untrained one."""

    study: Literal["evaluation"]
    task: str
    sampling: int
    result: Benchmark


class BaselineRecord(Record):
    """Evaluations of an untrained model together; no file has one."""

    study: Literal["baseline"]
    benchmarks: dict[str, Benchmark]


class GroundingRecord(Record):
    study: Literal["grounding"]
    credit: Credit
    data: str
    seeds: Seeds
    grounding: Grounding


class HeadsRecord(Record):
    """``heads``: :func:`kawhi.probes.critical_heads.summary`."""

    study: Literal["heads"]
    heads: dict[str, Any]


class ErrorsRecord(Record):
    """``errors``: :func:`kawhi.probes.error_attribution.attribute`."""

    study: Literal["errors"]
    errors: dict[str, Any]


class TokensRecord(Record):
    """``tokens``: :func:`kawhi.probes.token_summary.summary` with what was asked."""

    study: Literal["tokens"]
    tokens: dict[str, Any]


STUDIES: dict[str, type[Record]] = {
    "training": TrainingRecord,
    "timing": TimingRecord,
    "evaluation": EvaluationRecord,
    "grounding": GroundingRecord,
    "heads": HeadsRecord,
    "errors": ErrorsRecord,
    "tokens": TokensRecord,
}
