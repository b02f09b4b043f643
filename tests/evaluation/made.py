"""A finished run of two benchmarks, one by rule and one with a judge, made without a model and without a judge.

The judged one, ``kawhi_made``, has the tiny world's rows and a judge who replies ``1``, ``0`` or ``0.5``.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.rundir import RunDirectory
from kawhi.evaluation import scoring
from kawhi.evaluation.benchmark import Benchmark, JudgeQuestion, Outcome, load, one_run
from kawhi.evaluation.benchmarks import tiny
from kawhi.evaluation.parsing import exactly
from kawhi.evaluation.prompts import Prompts
from kawhi.evaluation.samples import Reply, Sample, read_samples, write_images, write_samples
from kawhi.runs import identity, rescore
from kawhi.runs.cell import save_evaluations
from kawhi.runs.cell_folders import Place, place_of
from kawhi.runs.record import record_evaluation
from tests.cells import cell
from tests.evaluation.examples import examples

TINY, MADE = "kawhi_tiny", "kawhi_made"
RULES = "0123456789ab"
JUDGE = {
    "name": "first",
    "model": "judge-a",
    "base_url": "http://127.0.0.1:9/v1",
    "api_key_env": None,
    "concurrency": 4,
    "attempts": 1,
    "timeout": 5.0,
    "patience": 5.0,
    "temperature": 0.0,
    "seed": 0,
}
OTHER_JUDGE = JUDGE | {"name": "second", "model": "judge-b"}
HOSTILE = (
    'First </script><script>window.broken = 1</script> and <img src=x onerror="window.broken = 1">\n\n'
    "then <!-- <b>bold</b> & \"quotes\" 'here' \u2028 {{ 7 * 7 }} &lt;\n\n\n"
    "so \\boxed{<i>4</i>}"
)


def _questions(facts: Mapping[str, Any], response: str, rule: Outcome, images: Sequence[bytes]) -> list[JudgeQuestion]:
    return [JudgeQuestion("verdict", facts, exactly("0", "0.5", "1"))] if response.strip() else []


def _verdict(facts: Mapping[str, Any], response: str, rule: Outcome, parsed: Sequence[Any]) -> Outcome:
    return Outcome(float(parsed[0]), rule.extraction, {"whole": float(parsed[0])})


BENCHMARK = replace(
    tiny.BENCHMARK, name=MADE, runs=one_run(7), questions=_questions, verdict=_verdict, full_images=True
)


def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes ``kawhi_made`` a benchmark that ``load`` finds; its prompt file and all rules count as never changed."""
    made = ModuleType("kawhi.evaluation.benchmarks.made")
    made.BENCHMARK = BENCHMARK  # type: ignore[attr-defined]
    made.__spec__ = ModuleSpec(made.__name__, None)
    monkeypatch.setitem(sys.modules, made.__name__, made)
    monkeypatch.setattr(identity, "prompts_of", lambda task: Prompts("made", {}))
    for module in (scoring, rescore):
        monkeypatch.setattr(module, "rules_of", lambda task: RULES)


def sample(task: str, number: int, response: str, judge: str | None = None, **other: Any) -> Sample:
    """The tiny world's example ``number`` with this response; ``judge`` is the reply of one that was asked."""
    doc = examples(TINY)[number % 2].doc
    facts = load(task).facts(doc) | {"id": str(number)}
    rule = load(task).rule(facts, response)
    made = Sample(
        id=str(number),
        run="",
        facts=facts,
        prompt=f"Look at the image.\n{facts['question']}",
        images=[f"{number % 2}"],
        response=response,
        finish_reason="stop",
        tokens=len(response.split()),
        rule_score=rule.score,
        rule_extraction=rule.extraction,
        **other,
    )
    return replace(made, score=rule.score, extraction=rule.extraction) if judge is None else decided(made, judge)


def decided(made: Sample, judge: str, model: str = "judge-a") -> Sample:
    """The sample with a judge's reply, which is an error unless it is a number."""
    good = judge in ("0", "0.5", "1")
    reply = Reply("verdict", "0" * 16, model, judge, "" if good else "the judge replied neither 0, 0.5 nor 1", 1)
    parts = {"whole": float(judge)} if good else {}
    return replace(
        made, score=float(judge) if good else None, extraction=made.rule_extraction, parts=parts, replies=[reply]
    )


def responses() -> dict[str, list[Sample]]:
    """The samples of a run, by task."""
    answers = [examples(TINY)[i].doc["reward_model"]["ground_truth"] for i in (0, 1)]
    right = [f"I look.\n\nI add {answers[i % 2]} up.\n\nSo \\boxed{{{answers[i % 2]}}}" for i in range(7)]
    cut = replace(sample(TINY, 2, "I look and look"), finish_reason="length", tokens=96)
    return {
        TINY: [sample(TINY, 0, right[0]), sample(TINY, 1, "So \\boxed{no}"), cut, sample(TINY, 3, " ")],
        MADE: [
            sample(MADE, 0, right[0], "1"),
            sample(MADE, 1, f"It is {answers[1]}.", "1"),
            sample(MADE, 2, HOSTILE, "0"),
            sample(MADE, 3, right[3], "0.5"),
            replace(sample(MADE, 4, "Perhaps 7 or 8", "0"), finish_reason="length", tokens=96),
            sample(MADE, 5, "It is \\boxed{0}", "0"),
            sample(MADE, 6, ""),
        ],
    }


def made_cell(
    folder: Path, *overrides: str, judge: Mapping[str, Any] | None = JUDGE, tasks: Iterable[str] = (TINY, MADE)
) -> DictConfig:
    """An untrained model with these benchmarks, below ``folder/runs/made``."""
    config = cell(folder, "study=baseline", "table=made", *overrides)
    tiny_options = {"task": TINY, "title": "Tiny", "problems": 4, "seed": 0}
    config.benchmarks = [tiny_options if task == TINY else {"task": task, "title": "Made"} for task in tasks]
    OmegaConf.set_struct(config, False)
    config.judge = judge and dict(judge)
    return config


def asked_for(config: DictConfig) -> Place:
    """The folders of a cell with its configurations in them, and nothing else."""
    place = place_of(config)
    place.run.save_config(config)
    save_evaluations(config, place)
    return place


def write_generated(folder: Path, samples: Sequence[Sample]) -> None:
    """What generating leaves in an evaluation's folder."""
    write_samples(folder / "samples.parquet", samples)
    write_images(folder / "images.parquet", {str(i): _png(i) for i in (0, 1)})
    (folder / "responses.jsonl").write_text("{}\n")
    write_json(folder / "generation.json", {"n": len(samples), "decoding": {"temperature": 0}})


def make_run(folder: Path, judge: Mapping[str, Any] | None = JUDGE, **samples: Any) -> Place:
    """An untrained model's evaluations below ``folder/runs``; of ``samples``, by task, instead of :func:`responses`.

    Those whose samples all have a verdict have a record, too.
    """
    tasks = samples or responses()
    place = asked_for(made_cell(folder, judge=judge, tasks=tasks))
    for evaluation, its in zip(place.evaluations, tasks.values(), strict=True):
        write_generated(evaluation.path, its)
        write_score(evaluation.path)
        if all(each.score is not None for each in its):
            record_evaluation(evaluation)
    return place


def of(place: Place, task: str) -> RunDirectory:
    """The evaluation of a benchmark."""
    (found,) = (each for each in place.evaluations if each.task == task)
    return found


def write_score(folder: Path) -> float:
    """``score.json`` of the samples in a folder, the undecided ones left out."""
    samples = [each for each in read_samples(folder / "samples.parquet") if each.score is not None]
    score, rule = (100 * sum(getattr(s, name) for s in samples) / len(samples) for name in ("score", "rule_score"))
    numbers = {"metric": "score", "correct": None, "n": len(samples), "score": score, "rule_score": rule}
    write_json(folder / "score.json", numbers | {"rules": RULES})
    return score


def judging(reply: Callable[[Sample], str]) -> Callable[[Path, Benchmark, Any, float | None], dict[str, float]]:
    """A stand-in for scoring: the judge's replies come from a function, no request is sent."""

    def score(folder: Path, benchmark: Benchmark, judge: Any) -> dict[str, float]:
        made = []
        for each in read_samples(folder / "samples.parquet"):
            rule = benchmark.rule(each.facts, each.response)
            asked = benchmark.questions(each.facts, each.response, rule, []) if benchmark.questions else []
            by_rule = replace(each, score=rule.score, extraction=rule.extraction)
            made.append(decided(each, reply(each), judge) if asked else by_rule)
        write_samples(folder / "samples.parquet", made)
        if failed := [each for each in made if each.judge_error]:
            raise CellError(f"{len(failed)} samples of {benchmark.name} have no verdict")
        return {"score": write_score(folder)}

    return score


def _png(number: int) -> bytes:
    buffer = io.BytesIO()
    tiny.images(examples(TINY)[number].doc)[0].save(buffer, "PNG")
    return buffer.getvalue()
