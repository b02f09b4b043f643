"""Questions with one image each, from a data file, a benchmark, or an evaluation with its responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from omegaconf import OmegaConf
from PIL import Image

from kawhi.base.errors import CellError
from kawhi.base.rundir import RunDirectory
from kawhi.data.prompts import IMAGE
from kawhi.evaluation.benchmark import Benchmark, load
from kawhi.evaluation.contamination import benchmark_docs, benchmark_rows
from kawhi.evaluation.generate import data_file
from kawhi.evaluation.results import samples_of
from kawhi.pictures.rgb import picture

Verdict = Callable[[str], bool]
"""Whether a response is right."""


@dataclass(frozen=True)
class Question:
    """One question about one image.

    Attributes:
        text: of the prompt, which follows the image.
        right: ``None`` where the question has no known answer.
        readings: the numbers that have to be read off the image, where they are known.
        response: the one that was given; ``None`` where one is to be sampled.
    """

    index: int
    image: Image.Image
    text: str
    right: Verdict | None
    readings: tuple[int, ...] | None = None
    response: str | None = None


def of_file(file: Path, verdict: Callable[[str], Callable[..., Mapping[str, float]]]) -> Iterator[Question]:
    """The rows of a data file whose prompt shows one image, as training asks them.

    Args:
        verdict: a row's ``data_source`` -> the reward function of its data, in verl's signature.
    """
    for batch in pq.ParquetFile(file).iter_batches(64):
        for row in batch.to_pylist():
            if len(row["images"] or []) == 1:
                yield _of_row(row, verdict(row["data_source"]))


def _of_row(row: Mapping[str, Any], score: Callable[..., Mapping[str, float]]) -> Question:
    more = row["extra_info"]
    readings = more.get("readings")
    answer = row["reward_model"]["ground_truth"]

    def right(text: str) -> bool:
        return bool(score(row["data_source"], text, answer, more)["acc"])

    text = row["prompt"][-1]["content"].replace(IMAGE, "", 1)
    known = None if readings is None else tuple(readings)
    return Question(more["index"], picture(row["images"][0]["bytes"]), text, right, known)


def of_benchmark(entry: Mapping[str, Any]) -> Iterator[Question]:
    """The items of an entry of ``conf/benchmarks`` that show one image, with the prompt of its first pass.

    Where a judge decides, nobody knows whether a response is right.

    Raises:
        CellError: its data cannot be had.
    """
    benchmark = load(entry["task"])
    options = {key: value for key, value in entry.items() if key not in ("task", "title")}
    first = benchmark.runs(options)[0]
    for index, doc in enumerate(benchmark_docs(entry)):
        images = benchmark.images(doc)
        if len(images) == 1:
            facts = {**benchmark.facts(doc), **first.facts}
            right = None if benchmark.judged else partial(_by_rule, benchmark, facts)
            yield Question(index, picture(images[0]), benchmark.prompt(doc, dict(first.options)), right)


def _by_rule(benchmark: Benchmark, facts: Mapping[str, Any], response: str) -> bool:
    return benchmark.rule(facts, response).score == 1


def _as_scored(score: float, response: str) -> bool:
    return score == 1


def of_evaluation(evaluation: RunDirectory) -> Iterator[Question]:
    """The responses of an evaluation beside the images that they were given to, as far as there was one image.

    Raises:
        CellError: it has no samples, or the benchmark's images cannot be had: what is kept are small copies.
    """
    entry: Any = OmegaConf.to_container(evaluation.load_config().benchmarks[0], resolve=True)
    samples = samples_of(evaluation)
    benchmark = load(entry["task"])
    file = data_file(evaluation.load_config(), entry, benchmark)
    images = {name: shown for name, _, shown in benchmark_rows(entry, [file] if file else [])}
    for index, sample in enumerate(samples):
        shown = images.get(sample.id.removeprefix(f"{sample.run}/") if sample.run else sample.id)
        if shown is None:
            raise CellError(f"{evaluation.path}: the benchmark has no row {sample.id} to take its image from")
        if len(shown) == 1 and sample.score is not None:
            right = partial(_as_scored, sample.score)
            yield Question(index, picture(shown[0]), sample.prompt, right, None, sample.response)
