"""Why are wrong answers wrong?  A judge sorts each into one of five categories (figure 1a).

``eval/<task>/errors/<judge>/`` gets ``judge/*.jsonl`` (every request and reply), ``errors.parquet`` (category and
reason of each wrong answer) and, when no answer lacks its category, ``errors.json`` and the figure.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from PIL import Image

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.data.schema import write_table
from kawhi.evaluation.benchmark import Benchmark, Facts, JudgeQuestion, Outcome
from kawhi.evaluation.parsing import json_object, text
from kawhi.evaluation.prompts import prompts_of
from kawhi.evaluation.samples import Sample, read_images, read_samples

if TYPE_CHECKING:
    from kawhi.evaluation.judge import Judge

CATEGORIES = {
    "VP": "visual perception error",
    "AO": "answer only",
    "CE": "calculation error",
    "RAE": "rule application error",
    "Others": "others",
}
CONFIDENCE = 0.95
"""That all five intervals hold at once."""

NAME = "errors"
"""Of the prompt file."""


def category(value: Any) -> str:
    """Exactly one of :data:`CATEGORIES`.

    Raises:
        ValueError: anything else.
    """
    if not isinstance(value, str) or value not in CATEGORIES:
        raise ValueError(f"{value!r} is not one of {', '.join(CATEGORIES)}")
    return value


def reason(value: Any) -> str:
    """Text that is not empty.

    Raises:
        ValueError: anything else.
    """
    if not text(value).strip():
        raise ValueError("the reason is empty")
    return value.strip()


parse = json_object({"category": category, "reason": reason})


def _questions(facts: Facts, response: str, outcome: Outcome, images: Sequence[bytes]) -> list[JudgeQuestion]:
    fields = {"question": facts["question"], "answer": facts["answer"], "response": response}
    return [JudgeQuestion("category", fields, parse, tuple(images))]


def _verdict(facts: Facts, response: str, outcome: Outcome, replies: Sequence[Any]) -> Outcome:
    return Outcome(0.0, replies[0]["category"])


def _unused(*_: Any) -> Any:
    raise NotImplementedError("error attribution starts from responses")


ATTRIBUTION = Benchmark(
    NAME, {}, _unused, _unused, _unused, _unused, _unused, _unused, questions=_questions, verdict=_verdict
)
"""What the judge needs to know of a benchmark."""


RESULTS = ("errors.json", "errors.parquet", "errors.png", "errors.pdf")
"""Files of a finished attribution."""


def folder_of(evaluation: Path, judge: str) -> Path:
    """Where a judge's categories of ``eval/<task>`` are; a judge may be named as a hub model is."""
    return evaluation / "errors" / judge.replace("/", "_")


def attribute(folder: Path, task: str, judge: Judge) -> dict[str, Any]:
    """Has the wrong answers of one benchmark of a run sorted; what has a category already is not asked again.

    Args:
        folder: ``eval/<task>`` of a run.

    Returns:
        What ``errors.json`` says.

    Raises:
        CellError: no samples, samples whose verdict is not known, nothing wrong, or answers without a category.
    """
    wrong, total = wrong_answers(folder, task)
    images = read_images(folder / "images.parquet")
    out = folder_of(folder, judge.settings.name)
    for file in RESULTS:  # until all of today's wrong answers have a category
        (out / file).unlink(missing_ok=True)
    sorted_ones = judge.decide(ATTRIBUTION, wrong, images, out)
    write_table(out / "errors.parquet", pa.Table.from_pylist([_row(sample) for sample in sorted_ones], schema=SCHEMA))
    failed = [sample for sample in sorted_ones if sample.judge_error]
    if failed:
        raise CellError(
            f"{len(failed)} of {len(wrong)} wrong answers have no category, the first is {failed[0].id} "
            f"({failed[0].judge_error}); the same command asks only for those again"
        )
    sides = (Image.open(io.BytesIO(images[key])).size for sample in wrong for key in sample.images)
    found = {
        "benchmark": task,
        "judge": {"name": judge.settings.name, "model": judge.settings.model},
        "rubric": prompts_of(NAME).version,
        "samples": total,
        "largest_image_side": max(map(max, sides), default=0),
        **shares([sample.extraction for sample in sorted_ones]),
    }
    write_json(out / "errors.json", found)
    return found


def shares(categories: Sequence[str]) -> dict[str, Any]:
    """Counts, and shares with simultaneous intervals: Wilson's with Bonferroni's correction for five categories."""
    from scipy.stats import binomtest

    counts = Counter(categories)
    if odd := sorted(set(counts) - set(CATEGORIES)):
        raise ValueError(f"unknown categories: {', '.join(odd)}")
    total = len(categories)
    level = 1 - (1 - CONFIDENCE) / len(CATEGORIES)
    found = {}
    for name in CATEGORIES:
        interval = binomtest(counts[name], total).proportion_ci(confidence_level=level, method="wilson")
        found[name] = {
            "share": round(counts[name] / total, 6),
            "low": round(float(interval.low), 6),
            "high": round(float(interval.high), 6),
        }
    return {"wrong": total, "counts": {name: counts[name] for name in CATEGORIES}, "shares": found}


SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("id", "category", "reason", "error", "question", "answer", "response")]
)
"""Of ``errors.parquet``; ``category`` is empty exactly where ``error`` is not."""


def _row(sample: Sample) -> dict[str, str]:
    error = sample.judge_error
    return {
        "id": sample.id,
        "category": "" if error else sample.extraction,
        "reason": "" if error else parse(sample.replies[0].text)["reason"],
        "error": error,
        "question": sample.facts["question"],
        "answer": sample.facts["answer"],
        "response": sample.response,
    }


def wrong_answers(folder: Path, task: str) -> tuple[list[Sample], int]:
    """The wrong answers of one benchmark of a run, and the number of all answers.

    Raises:
        CellError: no samples, samples whose verdict is not known, or nothing wrong.
    """
    file = folder / "samples.parquet"
    if not file.is_file():
        raise CellError(f"{folder} has no samples.parquet: {task} was not evaluated in this run")
    samples = read_samples(file)
    unknown = [sample for sample in samples if sample.verdict in ("error", "open")]
    if unknown:
        raise CellError(
            f"{len(unknown)} of {len(samples)} answers to {task} have no verdict, so it is not known which are wrong; "
            "run `kawhi rejudge` first"
        )
    wrong = [sample for sample in samples if sample.verdict == "wrong"]
    if not wrong:
        raise CellError(f"none of the {len(samples)} answers to {task} is wrong: there is nothing to sort")
    return wrong, len(samples)
