"""What a card says, before it is Markdown or HTML; what a record does not say is an en dash."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from analysis.table import CAUTION, EMPTY
from kawhi.records.contradictions import dotted
from kawhi.records.schema import (
    BaselineRecord,
    Benchmark,
    Curve,
    ErrorsRecord,
    Example,
    GroundingRecord,
    HeadsRecord,
    Record,
    TokensRecord,
    Training,
)

BLOCKS = {"grounding": "Grounding", "heads": "Heads", "errors": "Errors", "health": "Health checks"}
SHORT_LIST = 24
"""Numbers of a list that a line shows; longer ones are in the record alone."""


@dataclass(frozen=True)
class Section:
    """Names and what they are."""

    title: str
    pairs: list[tuple[str, str]]


@dataclass(frozen=True)
class Card:
    """A record in words.

    Attributes:
        lead: what it is, in a sentence.
        result: of a study without benchmarks, in a few words.
        benchmarks: a head and a line for each benchmark.
        reward: of each step, for a drawing.
        histogram: counts of weights, for a drawing.
        config: YAML.
    """

    lead: str
    caution: str
    command: str
    model: str
    algorithm: str
    method: str
    data: str
    steps: str
    seeds: str
    result: str
    results: dict[str, Benchmark]
    benchmarks: list[tuple[str, ...]]
    sections: list[Section]
    reward: Curve
    histogram: list[int]
    examples: list[Example]
    config: str


def card(record: Record) -> Card:
    """The card of any study's record."""
    training: Training = getattr(record, "training", None) or Training()
    results: dict[str, Benchmark] = getattr(record, "benchmarks", {})
    steps = getattr(record, "steps", None)
    result = _result(record)
    method = _method(record)
    scores = "; ".join(f"{own.title} {_score(own)}" for own in results.values()) or result
    found = Card(
        lead=_lead(record, method, steps, scores),
        caution=CAUTION[record.provenance],
        command=record.command or "",
        model=record.model.name,
        algorithm=text(getattr(record, "algorithm", None)),
        method=method,
        data=text(getattr(record, "data", None)),
        steps=text(steps),
        seeds=_seeds(record),
        result=result,
        results=results,
        benchmarks=[_benchmark(task, own) for task, own in results.items()],
        sections=[],
        reward=training.reward,
        histogram=training.weight_histogram or [],
        examples=training.examples,
        config=yaml.safe_dump(record.config, sort_keys=True, allow_unicode=True, width=100),
    )
    found.sections.extend(_sections(record, found))
    return found


def _method(record: Record) -> str:
    if isinstance(record, BaselineRecord):
        return "untrained"
    return record.credit.label if hasattr(record, "credit") else EMPTY


def _seeds(record: Record) -> str:
    seeds = getattr(record, "seeds", None)
    return ", ".join(f"{name} {text(value)}" for name, value in seeds.model_dump().items()) if seeds else EMPTY


def _lead(record: Any, method: str, steps: int | None, scores: str) -> str:
    what = {"baseline": "Evaluation of the untrained model", "training": "Training", "timing": "Timing"}
    words = [what.get(record.study, f"Study {record.study}"), record.model.name]
    words += [method] if method not in (EMPTY, "untrained") else []
    words += [f"{steps} steps"] if steps else []
    return f"{', '.join(words)} ({record.provenance}){'' if scores == EMPTY else f': {scores}'}"


def _result(record: Record) -> str:
    if isinstance(record, GroundingRecord):
        return f"{record.grounding.image}: alpha {record.grounding.alpha:.4f}"
    if isinstance(record, HeadsRecord):
        return f"critical heads {text(record.heads.get('critical_heads'))}"
    if isinstance(record, ErrorsRecord):
        return f"errors of {text(record.errors.get('benchmark'))}"
    if isinstance(record, TokensRecord):
        return f"{record.tokens['tokens']} tokens of {record.tokens['responses']} responses to {record.tokens['data']}"
    seconds = record.run.timing_s.get("timing_s/step")
    return EMPTY if seconds is None else f"{seconds:.2f} s per step"


def _sections(record: Any, own: Card) -> list[Section]:
    cell = [
        ("Experiment", record.cell.experiment),
        ("Cell", record.cell.name),
        ("Hash", record.cell.hash),
        ("Study", record.study),
        ("Provenance", record.provenance + (f": {own.caution}" if own.caution else "")),
        ("Model", f"{record.model.name} (family {record.model.family})"),
        ("Weights", record.model.weights),
        ("Algorithm", own.algorithm),
        ("Credit", f"{record.credit.name} ({record.credit.label})" if hasattr(record, "credit") else EMPTY),
        ("Data", own.data),
        ("Steps", own.steps),
        ("Seeds", own.seeds),
    ]
    details = [(f"Details: {each.title}", _details(each)) for each in own.results.values()]
    found = [
        ("Cell", cell),
        ("Data sets: revision or fingerprint", [*record.datasets.items()] or [("Data sets", EMPTY)]),
        *(each for each in details if each[1]),
        *([("Training", _training(record.training))] if hasattr(record, "training") else []),
        *((title, _block(getattr(record, name))) for name, title in BLOCKS.items() if hasattr(record, name)),
        ("Run", _run(record)),
        ("Versions", [*record.run.versions.items()] or [("Versions", EMPTY)]),
    ]
    return [Section(*each) for each in found]


def _block(block: Any) -> list[tuple[str, str]]:
    """All that a study says of itself."""
    content = block if isinstance(block, dict) else {k: v for k, v in block.model_dump().items() if v != []}
    return [(key, text(value)) for key, value in dotted(content).items()]


def _training(training: Training) -> list[tuple[str, str]]:
    curves = {
        "Reward": training.reward,
        "Response length": training.response_length,
        "Mean weight": training.weight_mean,
        "Share of weight 0": training.weight_zero_share,
        "Entropy": training.entropy,
        "Gradient norm": training.grad_norm,
    }
    counts = training.paragraph_counts
    paragraphs = "; ".join(f"{number}: {count}" for number, count in counts.items()) if counts else EMPTY
    return [
        *((name, curve_text(curve, best=name == "Reward")) for name, curve in curves.items()),
        ("Tokens by weight, equal bins of [0, 1], then above 1", text(training.weight_histogram)),
        ("Responses by number of paragraphs", paragraphs),
    ]


def curve_text(curve: Curve, best: bool = False) -> str:
    """First and last step that logged it, and where the highest was."""
    steps = [(step, value) for step, value in enumerate(curve, 1) if value is not None]
    if not steps:
        return EMPTY
    (first, start), (last, end) = steps[0], steps[-1]
    words = f"{start:.4g} (step {first}) to {end:.4g} (step {last})"
    top = max(steps, key=lambda each: each[1])
    return f"{words}, best {top[1]:.4g} (step {top[0]})" if best else words


def _run(record: Record) -> list[tuple[str, str]]:
    run = record.run
    dirty = {True: " with changes that are not committed", False: "", None: ", whether with changes is not known"}
    git = EMPTY if run.git.commit is None else run.git.commit + dirty[run.git.dirty]
    return [
        ("Hardware", run.hardware or EMPTY),
        ("Duration", EMPTY if run.duration_s is None else f"{run.duration_s:.1f} s"),
        ("Seconds by stage", _joined(f"{stage} {seconds:.1f}" for stage, seconds in run.seconds.items())),
        ("GPU hours", text(run.gpu_hours)),
        ("Peak memory", _gib(run.peak_memory_gib)),
        ("Peak memory of a device", _gib(run.peak_device_memory_gib)),
        ("Launches of stages", text(run.launches)),
        ("Started, ended", f"{run.started or EMPTY}, {run.ended or EMPTY}"),
        ("Git commit", git),
        ("Commits of earlier launches", _joined(run.git.others)),
        ("Seconds of a step", curve_text(run.step_seconds, best=False)),
        (
            "Seconds of a step by part",
            _joined(f"{k.removeprefix('timing_s/')} {v:.3f}" for k, v in run.timing_s.items()),
        ),
        ("KAWHI's share of a step", EMPTY if run.kawhi_share is None else f"{100 * run.kawhi_share:.2f} %"),
    ]


BENCHMARK_HEAD = ("Benchmark", "Score", "95 % interval", "n", "Truncated", "Empty", "Judge", "Rules alone")


def _benchmark(task: str, own: Benchmark) -> tuple[str, ...]:
    bounds = EMPTY if own.interval is None else f"[{own.interval[0]:.2f}, {own.interval[1]:.2f}]"
    judge = EMPTY if own.judge is None else f"{own.judge.model}, {own.judge.questions} questions"
    rules = EMPTY if own.rule_score is None else f"{own.rule_score:.2f}"
    n = f"{own.n} of {own.problems} problems" if own.problems and own.problems != own.n else str(own.n)
    return f"{own.title} ({task})", _score(own), bounds, n, str(own.truncated), str(own.empty), judge, rules


def _details(own: Benchmark) -> list[tuple[str, str]]:
    """Parts of the score, and the judge."""
    pairs = [(name, text(value)) for name, value in own.scores.items()] if len(own.scores) > 1 else []
    if own.judge:
        judged = {**own.judge.model_dump(), "agreement with the rules": own.judge_rule_agreement}
        pairs += [(f"judge: {name}", text(value)) for name, value in judged.items()]
    return pairs


def _score(own: Benchmark) -> str:
    return f"{own.score:.2f} %" if own.metric == "accuracy" else f"{own.score:.2f}"


def score_text(own: Benchmark) -> str:
    """A benchmark's result on one line."""
    bounds = "" if own.interval is None else f" [{own.interval[0]:.2f}, {own.interval[1]:.2f}]"
    return f"{own.title} {_score(own)}{bounds}, n = {own.n}"


def _gib(value: float | None) -> str:
    return EMPTY if value is None else f"{value:.2f} GiB"


def _joined(texts: Iterable[str]) -> str:
    return "; ".join(texts) or EMPTY


def text(value: Any) -> str:
    """Any value on one line."""
    if value is None:
        return EMPTY
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.8g}"
    if isinstance(value, list | dict):
        shown = json.dumps(value, ensure_ascii=False)
        return shown if len(value) <= SHORT_LIST and len(shown) <= 400 else f"{len(value)} entries, in the record"
    return str(value)
