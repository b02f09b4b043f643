"""From samples to ``score.json``, which exists only where every sample has its verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.evaluation.benchmark import Benchmark, Outcome, Scored
from kawhi.evaluation.judge import Judge, rule_outcome, with_outcome
from kawhi.evaluation.prompts import prompts_of
from kawhi.evaluation.rules import rules_of
from kawhi.evaluation.samples import Sample, counts, read_images, read_samples, write_samples


def score(folder: Path, benchmark: Benchmark, judge: Judge | None) -> dict[str, Any]:
    """Judges the samples of ``folder/samples.parquet`` and writes ``folder/score.json``, last of all.

    An older ``score.json`` is removed first.  Verdicts and the judge's errors go into ``samples.parquet``; whatever
    the judge said stays in ``folder/judge``, so that the next call asks only for what is missing.

    Args:
        judge: may be ``None`` where the benchmark's rule decides.

    Returns:
        What ``score.json`` holds: ``score`` and ``scores`` in the benchmark's units, ``rule_score`` and ``rule_scores``
        by the rule alone, the number of samples ``n``, how many are ``correct`` (``None`` where a score lies between 0
        and 1), ``truncated`` and ``empty``, and for a judged benchmark who judged (``judge``) and the share of samples
        on which the judge and the rule agree.

    Raises:
        CellError: there is no judge, or a sample has no verdict.
    """
    (folder / "score.json").unlink(missing_ok=True)
    samples = _decided(folder, benchmark, judge, read_samples(folder / "samples.parquet"))
    write_samples(folder / "samples.parquet", samples)
    _refuse_open(samples, benchmark, folder)
    return _write_score(folder, benchmark, judge, samples)


def score_again(folder: Path, benchmark: Benchmark, judge: Judge | None) -> dict[str, Any]:
    """As :func:`score`, with what the rule says of the stored responses today.

    What was there stays whole until every sample has its verdict, and until then ``score.json`` carries the rules that
    made it.

    Raises:
        CellError: as :func:`score`, or this machine cannot score the benchmark.
    """
    if benchmark.require is not None:
        benchmark.require()
    samples = read_samples(folder / "samples.parquet")
    apply_rule(benchmark, samples)
    samples = _decided(folder, benchmark, judge, samples)
    _refuse_open(samples, benchmark, folder)
    numbers(benchmark, samples)  # may refuse
    write_samples(folder / "samples.parquet", samples)
    return _write_score(folder, benchmark, judge, samples)


def apply_rule(benchmark: Benchmark, samples: list[Sample]) -> None:
    """Fills in what the rule says; in threads, because some rules wait for a child process."""
    with ThreadPoolExecutor(4) as pool:
        outcomes = pool.map(lambda sample: benchmark.rule(sample.facts, sample.response), samples)
        for sample, outcome in zip(
            samples, tqdm(outcomes, total=len(samples), desc="rule", mininterval=5), strict=True
        ):
            sample.rule_score, sample.rule_extraction = float(outcome.score), outcome.extraction
            sample.rule_parts = {name: float(value) for name, value in outcome.parts.items()}


def _write_score(folder: Path, benchmark: Benchmark, judge: Judge | None, samples: list[Sample]) -> dict[str, Any]:
    judge = judge if benchmark.judged else None
    content = {
        **numbers(benchmark, samples),
        **counts(samples),
        "rules": rules_of(benchmark.name),
        "judge": None if judge is None else _judge_record(judge, benchmark, samples),
        "judge_rule_agreement": None if judge is None else _agreement(samples),
    }
    write_json(folder / "score.json", content)
    return content


def numbers(benchmark: Benchmark, samples: Sequence[Sample]) -> dict[str, Any]:
    """The part of ``score.json`` that follows from the outcomes alone.

    Raises:
        ValueError: a sample has no score, or one outside [0, 1].
    """
    scored = [Scored(sample.facts, final_outcome(sample)) for sample in samples]
    scores = benchmark.scores(scored)
    rule_scores = benchmark.scores([Scored(sample.facts, rule_outcome(sample)) for sample in samples])
    values = [each.outcome.score for each in scored]
    correct = sum(value == 1.0 for value in values) if set(values) <= {0.0, 1.0} else None
    plain = correct is not None and math.isclose(scores["score"], 100 * correct / len(samples), abs_tol=1e-9)
    scores, rule_scores = _rounded(scores), _rounded(rule_scores)
    return {
        "metric": "accuracy" if plain else "score",
        "n": len(samples),
        "problems": len({sample.facts["id"] for sample in samples}),
        "correct": correct,
        "score": scores["score"],
        "scores": scores,
        "rule_score": rule_scores["score"],
        "rule_scores": rule_scores,
    }


def _rounded(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in scores.items()}


def final_outcome(sample: Sample) -> Outcome:
    """Raises:
    ValueError: the sample has no score, or one outside [0, 1].
    """
    if sample.score is None or not 0 <= sample.score <= 1:
        raise ValueError(f"sample {sample.id} has the score {sample.score}")
    return Outcome(sample.score, sample.extraction, sample.parts)


def _decided(folder: Path, benchmark: Benchmark, judge: Judge | None, samples: list[Sample]) -> list[Sample]:
    if not samples:
        raise CellError(f"{folder / 'samples.parquet'} has no samples: evaluate again")
    if not benchmark.judged:
        return [with_outcome(sample, rule_outcome(sample), []) for sample in samples]
    if judge is None:
        raise CellError(f"{benchmark.name} is decided by a judge and none is configured: set judge=")
    file = folder / "images.parquet"
    return judge.decide(benchmark, samples, read_images(file) if file.exists() else {}, folder)


def _refuse_open(samples: Sequence[Sample], benchmark: Benchmark, folder: Path) -> None:
    failed = [sample for sample in samples if sample.judge_error]
    if failed:
        raise CellError(
            f"{len(failed)} of {len(samples)} samples of {benchmark.name} have no verdict, the first ({failed[0].id}) "
            f"because {failed[0].judge_error}; {len(samples) - len(failed)} verdicts are kept in {folder}: run the "
            "same command again"
        )


def _judge_record(judge: Judge, benchmark: Benchmark, samples: Sequence[Sample]) -> dict[str, Any]:
    prompts = prompts_of(benchmark.name)
    replies = [reply for sample in samples for reply in sample.replies]
    return {
        "name": judge.settings.name,
        "model": judge.settings.model,
        "temperature": judge.settings.temperature,
        "seed": judge.settings.seed,
        "prompts": prompts.version,
        "identity": judge.identity(prompts),
        "questions": len(replies),
        "asked_again": sum(reply.attempts > 1 for reply in replies),
        **({"refused": refused} if (refused := sum(sample.refused for sample in samples)) else {}),
    }


def _agreement(samples: Sequence[Sample]) -> float | None:
    if any(sample.score not in (0.0, 1.0) for sample in samples):
        return None  # two fractions are hardly ever equal
    return round(sum(sample.score == sample.rule_score for sample in samples) / len(samples), 4)
