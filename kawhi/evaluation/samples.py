"""The samples of one benchmark of one run: ``eval/<task>/samples.parquet``, and the images that they show.

Judging replaces the file by one with verdicts; nothing else changes it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kawhi.data.schema import write_table

REFUSED = "refused for good: "
"""How the error of a question begins that a server will never answer."""


@dataclass
class Reply:
    """One question to the judge and how it ended.

    Attributes:
        question: its name in the prompt file.
        request: 16 hexadecimal digits of the hash of everything that was sent.
        judge: 12 hexadecimal digits of the hash of (judge model, prompt version).
        text: what the judge replied last; empty when nothing came.
        error: why there is no verdict; empty when there is one.
        attempts: requests that were sent.
    """

    question: str
    request: str
    judge: str
    text: str
    error: str
    attempts: int


@dataclass
class Sample:
    """One response and everything that was said about it.

    Attributes:
        id: unique in the benchmark; ``<pass>/<row>`` where a benchmark has several passes.
        run: name of the pass through lmms-eval, often empty.
        facts: see :data:`kawhi.evaluation.benchmark.Facts`.
        prompt: text as it was sent.
        images: keys of the images in ``images.parquet``.
        response: text as it came back.
        finish_reason: ``stop`` or ``length`` (cut off).
        tokens: of the response.
        rule_score, rule_extraction, rule_parts: the rule's outcome.
        score, extraction, parts: the final outcome; ``score`` is ``None`` while the judge has not decided.
        replies: the judge's.
        cluster: what it has in common with samples that are right or wrong together; empty in older files.
    """

    id: str
    run: str
    facts: dict[str, Any]
    prompt: str
    images: list[str]
    response: str
    finish_reason: str
    tokens: int
    rule_score: float
    rule_extraction: str = ""
    rule_parts: dict[str, float] = field(default_factory=dict)
    score: float | None = None
    extraction: str = ""
    parts: dict[str, float] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)
    cluster: str = ""

    @property
    def judge_error(self) -> str:
        """Why the judge gave no verdict; empty when it did, was not asked, or its refusal counts as wrong."""
        return "" if self.refused else next((reply.error for reply in self.replies if reply.error), "")

    @property
    def refused(self) -> bool:
        """Whether the judge refused the sample for good and it counts as wrong (``judge.on_refusal``)."""
        errors = [reply.error for reply in self.replies if reply.error]
        return self.score == 0 and bool(errors) and all(error.startswith(REFUSED) for error in errors)

    @property
    def verdict(self) -> str:
        """``right``, ``wrong``, ``partly`` (a score between 0 and 1), ``error`` (the judge failed) or ``open``."""
        if self.judge_error:
            return "error"
        if self.score is None:
            return "open"
        return verdict_of(self.score)


def verdict_of(score: float) -> str:
    """``right``, ``wrong`` or ``partly``."""
    return {0.0: "wrong", 1.0: "right"}.get(score, "partly")


def _columns(of: type) -> list[tuple[str, pa.DataType]]:
    return [(each.name, _KINDS[str(each.type)]) for each in fields(of)]


_KINDS = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "float | None": pa.float64()}
_KINDS |= {"list[str]": pa.list_(pa.string()), "list[Reply]": pa.list_(pa.struct(_columns(Reply)))}
_JSON = [each.name for each in fields(Sample) if str(each.type).startswith("dict")]
_KINDS |= {str(each.type): pa.string() for each in fields(Sample) if each.name in _JSON}
SCHEMA = pa.schema([*_columns(Sample), ("verdict", pa.string())])  # the last for readers without this module
IMAGES = pa.schema([("key", pa.string()), ("bytes", pa.binary())])


def counts(samples: Sequence[Sample]) -> dict[str, int]:
    """How many responses were cut off (``truncated``), and how many have no text (``empty``)."""
    return {
        "truncated": sum(sample.finish_reason == "length" for sample in samples),
        "empty": sum(not sample.response.strip() for sample in samples),
    }


def write_samples(path: Path, samples: Sequence[Sample]) -> None:
    """Atomic; sorted as given.  A lone surrogate in a text, which UTF-8 cannot hold, is written as U+FFFD."""
    rows = [_storable(asdict(sample)) | {"verdict": sample.verdict} for sample in samples]
    for row in rows:
        for name in _JSON:
            row[name] = json.dumps(row[name], ensure_ascii=False, sort_keys=True)
    write_table(path, pa.Table.from_pylist(rows, schema=SCHEMA))


def _storable(value: Any) -> Any:
    """The same with text that UTF-8 can hold: half a character from some server must not lose an evaluation."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_storable(key): _storable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_storable(each) for each in value]
    return value


def read_samples(path: Path) -> list[Sample]:
    """What :func:`write_samples` wrote."""
    names = [each.name for each in fields(Sample)]
    samples = []
    for row in pq.read_table(path, schema=SCHEMA).to_pylist():
        for name in _JSON:
            row[name] = json.loads(row[name])
        row["cluster"] = row["cluster"] or ""
        row["replies"] = [Reply(**reply) for reply in row["replies"]]
        samples.append(Sample(**{name: row[name] for name in names}))
    return samples


def write_images(path: Path, images: dict[str, bytes]) -> None:
    """Key -> encoded image; atomic."""
    write_table(path, pa.Table.from_pylist([{"key": k, "bytes": v} for k, v in sorted(images.items())], schema=IMAGES))


def read_images(path: Path) -> dict[str, bytes]:
    """What :func:`write_images` wrote."""
    return {row["key"]: row["bytes"] for row in pq.read_table(path).to_pylist()}
