"""The samples of a run as the page needs them."""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from PIL import Image, UnidentifiedImageError

from kawhi.base.rundir import RunDirectory
from kawhi.evaluation.results import images_of, samples_of, score_of
from kawhi.evaluation.samples import Sample
from kawhi.evaluation.samples import counts as counts_of

IMAGE_SIDE = 768
"""Pixels; our choice: text in a chart stays readable, and a thousand images make tens of megabytes, not hundreds."""
SHOWN_AS_THEY_ARE = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}


@dataclass(frozen=True)
class Summary:
    """One row of the page's header.

    Attributes:
        task: of the benchmark.
        n: samples in the run, whether or not they are all on the page.
        score: of ``score.json``; ``None`` while it is not scored.
        rule_score: the same number by the rule alone.
        truncated, empty: shares of ``n``, in percent.
        undecided: samples without a verdict.
    """

    task: str
    n: int
    score: float | None
    rule_score: float | None
    truncated: float
    empty: float
    undecided: int


@dataclass
class Book:
    """Everything on the page.

    Attributes:
        name: of the run.
        summaries: one per benchmark.
        samples: JSON-able, one per sample.
        images: data URIs; a sample names them by their index.
        left_out: samples that ``limit`` kept from the page.
    """

    name: str
    summaries: list[Summary] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    left_out: int = 0


Progress = Callable[[Sequence[Sample], str], Iterable[Sample]]


def unseen(samples: Sequence[Sample], task: str) -> Iterable[Sample]:
    """No progress is shown."""
    return samples


def gather(evaluations: Sequence[RunDirectory], limit: int | None = None, progress: Progress = unseen) -> Book:
    """The samples of evaluations of one model.

    Args:
        evaluations: at least one.
        limit: only the first so many samples of each.
        progress: passes the samples of a task on and says how far it is; large images take their time.
    """
    run = evaluations[0].evaluated.path.resolve()
    book = Book(f"{run.parent.name}/{run.name}")
    counts = Counter(each.task for each in evaluations)
    for each in evaluations:
        _add(book, each, each.task if counts[each.task] == 1 else each.path.name, limit, progress)
    return book


def _add(book: Book, evaluation: RunDirectory, task: str, limit: int | None, progress: Progress) -> None:
    samples = samples_of(evaluation)
    book.summaries.append(_summary(task, samples, score_of(evaluation)))
    shown = samples[:limit]
    book.left_out += len(samples) - len(shown)
    encoded = images_of(evaluation)
    places: dict[str, int | None] = {}
    for sample in progress(shown, task):
        for key in sample.images:
            if key not in places:
                uri = data_uri(encoded[key]) if key in encoded else None
                places[key] = None if uri is None else len(book.images)
                book.images += [] if uri is None else [uri]
        book.samples.append(_shown(task, sample, [places[key] for key in sample.images]))


def _summary(task: str, samples: Sequence[Sample], score: dict[str, Any] | None) -> Summary:
    shares = {name: 100 * count / max(len(samples), 1) for name, count in counts_of(samples).items()}
    return Summary(
        task=task,
        n=len(samples),
        score=None if score is None else score["score"],
        rule_score=None if score is None else score["rule_score"],
        undecided=sum(sample.verdict in ("error", "open") for sample in samples),
        **shares,
    )


def _shown(task: str, sample: Sample, images: list[int | None]) -> dict[str, Any]:
    more = {key: value for key, value in sample.facts.items() if key not in ("id", "question", "answer")}
    return {
        **asdict(sample),
        "task": task,
        "verdict": sample.verdict,
        "truncated": sample.finish_reason == "length",
        "question": sample.facts["question"],
        "answer": sample.facts["answer"],
        # As text, because JSON proper has no NaN and a data set may.
        "facts": json.dumps(more, indent=1, ensure_ascii=False) if more else "",
        "images": images,
    }


def data_uri(content: bytes) -> str | None:
    """An image as a data URI, no longer than ``IMAGE_SIDE``; ``None`` when it cannot be decoded."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            kind = SHOWN_AS_THEY_ARE.get(image.format or "")
            if kind is None or max(image.size) > IMAGE_SIDE:
                image.thumbnail((IMAGE_SIDE, IMAGE_SIDE))
                buffer = io.BytesIO()
                image.convert("RGBA" if "A" in image.getbands() else "RGB").save(buffer, "WEBP", quality=80)
                kind, content = "image/webp", buffer.getvalue()
            else:
                image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return None  # the page says so where the image would be
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
