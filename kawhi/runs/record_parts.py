"""Parts of a record that are read from a run directory's larger files: verdicts, data sets, weights, an example."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from omegaconf import DictConfig

from kawhi.base.published import model_place
from kawhi.base.rundir import RunDirectory
from kawhi.data.schema import preparation
from kawhi.evaluation.benchmark import Benchmark, cluster_of, load
from kawhi.evaluation.samples import Sample, read_samples
from kawhi.records.clusters import effective_size, numbered, wilson_interval

BINS = 20
"""Of the histogram of weights, over [0, 1]."""
EXAMPLES = 2
"""Responses of the last step that a record keeps word for word."""


def verdict_parts(folder: Path, task: str) -> dict[str, Any]:
    """``verdicts``, ``effective``, ``interval`` and ``judge_errors`` of one benchmark, from its ``samples.parquet``.

    The interval is Wilson's for as many independent items as the clusters are worth.  ``None`` where the score is no
    mean over the items.
    """
    samples = read_samples(folder / "samples.parquet")
    score = json.loads((folder / "score.json").read_text())["score"]
    values = np.array([sample.score for sample in samples], np.float64)
    problems, clusters = _problems(samples), _clusters(samples, load(task))
    binary = set(values.tolist()) <= {0.0, 1.0}
    verdicts = {
        "dataset": dataset_fingerprint(samples),
        "values": "".join(str(int(value)) for value in values) if binary else [round(float(v), 6) for v in values],
        "problems": problems,
        "clusters": clusters,
    }
    effective = interval = None
    if abs(100 * values.mean() - score) < 1e-3:
        effective = round(effective_size(values, clusters or problems), 4)
        low, high = wilson_interval(float(values.mean()), effective, NormalDist().inv_cdf(0.975))
        interval = [round(min(100 * low, score), 4), round(max(100 * high, score), 4)]
    errors = sum(bool(sample.judge_error) for sample in samples)
    return {"verdicts": verdicts, "effective": effective, "interval": interval, "judge_errors": errors}


def _problems(samples: Sequence[Sample]) -> list[int] | None:
    """Which problem each item belongs to, counted from 0; ``None`` where each is one of its own."""
    named = [str(sample.facts["id"]) for sample in samples]
    return numbered(named) if len(set(named)) < len(named) else None


def _clusters(samples: Sequence[Sample], benchmark: Benchmark) -> list[int] | None:
    """Which items belong together, counted from 0; ``None`` where older samples do not say."""
    named = [sample.cluster or cluster_of(benchmark, sample.facts, sample.images) for sample in samples]
    return numbered(named) if all(named) else None


def dataset_fingerprint(samples: Sequence[Sample]) -> str:
    """16 hexadecimal digits of all that was asked: ids, facts, prompts and images, whatever revision they came from."""
    digest = hashlib.sha256()
    for sample in samples:
        asked = [sample.id, sample.facts, sample.prompt, sample.images]
        digest.update(json.dumps(asked, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


def data_sets(run: RunDirectory, part: dict[str, Any]) -> dict[str, str]:
    """What was trained on: the generator of drawn problems, or the file and where ``kawhi prepare`` had it from."""
    data = part.get("data") or {}
    if data.get("train_file"):
        file = Path(json.loads((run.path / "data.json").read_text())["train"])
        made = preparation(file) if file.is_file() else None
        source = made["request"]["source"] if made else ""
        return {"train": f"sha256 {data['train_file'][:16]}{f', {source}' if source else ''}"}
    return {"train": f"drawn by generator {data['generator'][:16]}"} if data.get("generator") else {}


def response_parts(cell: DictConfig, run: RunDirectory) -> dict[str, Any]:
    """Histogram of the weights, paragraphs per response, and examples, of the prompts that every step records.

    Empty where verl's own trainer ran, which records none.
    """
    files = run.step_files("steps")
    if not files:
        return {}
    tokenizer = _tokenizer(model_place(cell.model.path, cell.model.get("revision")))
    histogram, counts = np.zeros(BINS + 1, np.int64), Counter[str]()
    last: list[tuple] = []
    for file in files:
        step = json.loads(file.read_text())
        last = []
        for prompt in step["prompts"]:
            for response in prompt["responses"]:
                weights = np.asarray(response["weights"], np.float64)
                bins = np.where(weights > 1 + 1e-6, BINS, np.minimum((weights * BINS).astype(int), BINS - 1))
                histogram += np.bincount(bins, minlength=BINS + 1)
                paragraphs = list(_paragraphs(response, tokenizer))
                counts[str(len(paragraphs))] += 1
                last.append((step["step"], prompt["index"], response, paragraphs))
    return {
        "weight_histogram": histogram.tolist(),
        "paragraph_counts": dict(sorted(counts.items(), key=lambda item: int(item[0]))),
        "examples": [
            {"step": number, "index": index, "paragraphs": own} | {key: each[key] for key in ("reward", "advantage")}
            for number, index, each, own in _telling(last)
        ],
    }


def _telling(responses: list[tuple]) -> list[tuple]:
    """Of the last step those with the most paragraphs, of different prompts if there are any; the first of equals."""
    ordered = sorted(responses, key=lambda each: -len(each[3]))
    chosen = list({each[1]: each for each in reversed(ordered)}.values())
    return sorted(chosen, key=lambda each: -len(each[3]))[:EXAMPLES]


def _paragraphs(response: dict[str, Any], tokenizer) -> Iterator[dict[str, Any]]:
    """Text, mean weight and mean alpha of each paragraph."""
    from kawhi.credit.segments import segment_response

    ids = response["token_ids"]
    segments = segment_response(ids, tokenizer).numpy()
    weights = np.asarray(response["weights"], np.float64)
    alpha = None if response["alpha"] is None else np.asarray(response["alpha"], np.float64)
    for j in range(int(segments.max()) + 1 if len(segments) else 0):
        own = segments == j
        text = tokenizer.decode([each for each, mine in zip(ids, own, strict=True) if mine], skip_special_tokens=True)
        yield {
            "text": text.strip(),
            "weight": round(float(weights[own].mean()), 6),
            "alpha": None if alpha is None else round(float(alpha[own].mean()), 6),
        }


def _tokenizer(model: str):
    # AutoTokenizer would import all that generates, half of what this stage takes; both decode alike.
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(model)
