"""Runs MME through lmms-eval once per head, the model loaded once; resumable after any interruption.

``OUT/settings.json`` says what was asked for, ``OUT/heads/<head>.json`` is one finished run.  A folder made under other
settings is refused, so that no two heads are compared across a difference.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any

from kawhi.base.checkpoint_weights import weights_fingerprint
from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.evaluation.benchmark import Scored
from kawhi.evaluation.benchmarks.mme import BENCHMARK, subtask_scores
from kawhi.evaluation.task_runs import lmms_task, task_config
from kawhi.probes.critical_heads import HeadResult, check_questions, pair_points

TASK = BENCHMARK.name
WHOLE = "whole"
BACKENDS = ("qwen2_5_vl", "qwen3_vl")
"""lmms-eval's names of its Hugging Face backends, which are also transformers' names of the model types."""


@dataclass(frozen=True)
class Settings:
    """What the points depend on.

    Attributes:
        model: folder or hub name of a Qwen2.5-VL or Qwen3-VL checkpoint.
        data: MME's parquet files.
        device: of torch, e.g. ``cuda`` or ``cpu``.
        batch_size: part of the settings, because padding moves bfloat16 results.
        min_pixels, max_pixels: to which the backend scales an image; lmms-eval's defaults.
        max_new_tokens: MME's task in lmms-eval allows 16.
    """

    model: str
    data: tuple[Path, ...]
    device: str
    batch_size: int
    min_pixels: int = 256 * 28 * 28
    max_pixels: int = 1605632
    max_new_tokens: int = 16

    @property
    def dtype(self) -> str:
        """Of the weights: bfloat16 as the checkpoints have it, float32 where there is no fast bfloat16."""
        return "float32" if self.device == "cpu" else "bfloat16"


def identity(settings: Settings, backend: str) -> dict[str, Any]:
    """Everything that changes a point, JSON-able.

    Raises:
        CellError: a model or data file that is not there.
    """
    return {
        "weights": weights_fingerprint(settings.model),
        "backend": backend,
        "data": [_sha256(path) for path in settings.data],
        "device": settings.device,
        "dtype": settings.dtype,
        "batch_size": settings.batch_size,
        "min_pixels": settings.min_pixels,
        "max_pixels": settings.max_pixels,
        "max_new_tokens": settings.max_new_tokens,
        "temperature": 0,
        "versions": {name: version(name) for name in ("lmms-eval", "torch", "transformers")},
    }


def backend_of(model: str) -> tuple[str, int]:
    """lmms-eval's backend of a checkpoint and the number of its query heads.

    Raises:
        CellError: another family.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise CellError(f"{model} is no checkpoint that transformers can open; give a folder or a hub name") from error
    if config.model_type not in BACKENDS:
        raise CellError(f"{model} is a {config.model_type}; heads can be masked in {' and '.join(BACKENDS)}")
    return config.model_type, config.text_config.num_attention_heads


def check_data(files: Sequence[Path]) -> int:
    """Number of questions in MME's parquet files.

    Raises:
        CellError: a file that is missing or not MME's.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = ["question_id", "answer", "category"]
    rows: list[dict[str, Any]] = []
    for path in files:
        if not path.is_file():
            raise CellError(
                f"there is no file {path}; download MME's parquet files (lmms-lab-encoder/MME) and name them"
            )
        try:
            rows += pq.read_table(path, columns=columns).to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise CellError(f"{path} is not a parquet file with the columns {', '.join(columns)}") from error
    try:
        check_questions([(row["category"], row["question_id"], row["answer"]) for row in rows])
    except ValueError as error:
        raise CellError(f"{', '.join(str(path) for path in files)}: {error}") from error
    return len(rows)


def open_folder(out: Path, asked: dict[str, Any]) -> None:
    """Claims a folder for these settings.

    Raises:
        CellError: it holds results under other settings.
    """
    file = out / "settings.json"
    if file.exists():
        there = json.loads(file.read_text())
        other = sorted(name for name in there.keys() | asked.keys() if there.get(name) != asked.get(name))
        if other:
            raise CellError(f"{out} holds results under another {', '.join(other)}; choose another folder with --out")
    else:
        write_json(file, asked)


def file_of(out: Path, head: int | None) -> Path:
    """Where a head's result is."""
    return out / "heads" / (f"{WHOLE}.json" if head is None else f"{head:02d}.json")


def read(out: Path, total_heads: int) -> tuple[HeadResult | None, list[HeadResult], list[int | None]]:
    """What is finished, the whole model first, and what is missing."""
    wanted: list[int | None] = [None, *range(total_heads)]
    found = {head: _read_one(file_of(out, head)) for head in wanted if file_of(out, head).exists()}
    missing = [head for head in wanted if head not in found]
    return found.get(None), [result for head, result in found.items() if head is not None], missing


def ablate(settings: Settings, out: Path, heads: Sequence[int | None]) -> None:
    """Runs MME without each of these heads and writes each result when it is there.

    Raises:
        CellError: a folder under other settings, or an incomplete or inconsistent result of lmms-eval.
    """
    from kawhi.wheels import torchvision_shim

    torchvision_shim.install()
    import torch

    from kawhi.evaluation.hugging_face import hugging_face
    from kawhi.models.head_mask import masked_heads

    questions = check_data(settings.data)
    backend, _ = backend_of(settings.model)
    open_folder(out, identity(settings, backend))
    lm = hugging_face(
        backend,
        settings.model,
        device=settings.device,
        dtype=settings.dtype,
        batch_size=settings.batch_size,
        min_pixels=settings.min_pixels,
        max_pixels=settings.max_pixels,
        attention="sdpa",
    )
    for done, head in enumerate(heads):
        start = monotonic()
        with torch.no_grad(), masked_heads(lm.model, [] if head is None else [head]):
            samples, reported = _mme(lm, settings, backend)
        record = _record(head, samples, reported, questions)
        write_json(file_of(out, head), record)
        name = "the whole model" if head is None else f"without head {head}"
        points = sum(record["subtasks"].values())
        print(f"{name}: {points:.1f} points in {monotonic() - start:.0f} s, {done + 1} of {len(heads)}", flush=True)


def _task(settings: Settings, backend: str) -> Any:
    """The package's task with this data and decoding."""
    decoding = {"max_new_tokens": settings.max_new_tokens, "temperature": 0, "do_sample": False}
    (run,) = BENCHMARK.runs({})
    return lmms_task(task_config(BENCHMARK, run, decoding, [path.resolve() for path in settings.data]), backend)


def _mme(lm: Any, settings: Settings, backend: str) -> tuple[list[dict[str, Any]], float]:
    """lmms-eval's samples, and the mean that it reports."""
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.tasks import TaskManager

    results = simple_evaluate(
        model=lm,
        tasks=[_task(settings, backend)],
        task_manager=TaskManager("WARNING", include_defaults=False),
        batch_size=settings.batch_size,
        device=settings.device,
        log_samples=True,
        bootstrap_iters=0,
        verbosity="WARNING",
    )
    return results["samples"][TASK], float(results["results"][TASK]["rule,none"])


def _record(head: int | None, samples: list[dict[str, Any]], reported: float, questions: int) -> dict[str, Any]:
    if len(samples) != questions or len({sample["doc_id"] for sample in samples}) != questions:
        raise CellError(f"lmms-eval returned {len(samples)} samples instead of {questions}; run again")
    scored, rows = [], []
    for sample in sorted(samples, key=lambda each: each["doc_id"]):
        response = sample["resps"][0][0] if isinstance(sample["resps"][0], list) else sample["resps"][0]
        if "LMMS_EVAL_REQUEST_FAILED" in response:
            raise CellError(f"the model failed on question {sample['doc_id']}; run again")
        facts = BENCHMARK.facts(sample["doc"])
        outcome = BENCHMARK.rule(facts, response)
        scored.append(Scored(facts, outcome))
        rows.append([facts["category"], facts["image"], outcome.score, outcome.extraction, response])
    mean = sum(each.outcome.score for each in scored) / questions
    if abs(mean - reported) > 1e-9:
        raise CellError(f"lmms-eval reports a mean of {reported}, its samples give {mean}")
    return {"head": head, "subtasks": subtask_scores(scored), "questions": rows}


def _read_one(file: Path) -> HeadResult:
    kept = json.loads(file.read_text())
    rows = kept["questions"]
    return HeadResult(
        head=kept["head"],
        subtasks=kept["subtasks"],
        pairs=pair_points((category, image, score) for category, image, score, *_ in rows),
        unreadable=sum(not extraction for *_, extraction, _ in rows),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
