"""Stage ``evaluate``: the trained model on every benchmark of the cell, through lmms-eval.

Writes ``eval/<task>/samples.parquet`` (question, response, verdict) and then ``score.json``, which exists only when
what lmms-eval returned was found to be complete and consistent.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi import torchvision_shim
from kawhi.evaluation import TASKS
from kawhi.runs.identity import CellError
from kawhi.runs.rundir import RunDirectory, write_atomically, write_json
from kawhi.runs.stage import stage_main, trains
from kawhi.runs.verl_command import resolve_package_paths


def evaluate(cell: DictConfig, run_directory: RunDirectory) -> None:
    """Runs the benchmarks that have no score yet, with the model loaded once.

    Raises:
        CellError: lmms-eval's result is incomplete or inconsistent.
    """
    import json

    torchvision_shim.install()
    import torch

    torch.set_num_threads(cell.scale.omp_threads)
    model = run_directory.merged if trains(cell) else resolve_package_paths(cell.model.path)
    missing = [b for b in cell.benchmarks if not (run_directory.evaluation(b.task) / "score.json").exists()]
    files = json.loads((run_directory.path / "data.json").read_text())
    for benchmark in missing:
        folder = run_directory.evaluation(benchmark.task)
        configure_task(cell, benchmark.task, Path(files[benchmark.task]), folder / "task")
        samples, reported = generate(cell, model, benchmark.task, folder / "task")
        check(samples, reported, benchmark.problems)
        write_samples(folder / "samples.parquet", samples)
        correct = sum(sample["correct"] for sample in samples)
        write_json(
            folder / "score.json",
            {
                "title": benchmark.title,
                "metric": "accuracy",
                "n": len(samples),
                "correct": correct,
                "score": round(100 * correct / len(samples), 4),
                "truncated": sum(sample["tokens"] >= cell.evaluation.max_new_tokens for sample in samples),
                "empty": sum(not sample["response"].strip() for sample in samples),
                "decoding": OmegaConf.to_container(cell.evaluation, resolve=True),
            },
        )


def configure_task(cell: DictConfig, task: str, data: Path, folder: Path) -> None:
    """Writes the task as this cell asks for it: the package's, with the data file and the decoding filled in."""
    options = cell.evaluation
    sampled = options.temperature > 0
    decoding = {
        "until": [],
        "max_new_tokens": options.max_new_tokens,
        "temperature": options.temperature,
        "do_sample": sampled,
        **({"top_p": 1.0, "top_k": 0} if sampled else {}),
    }
    body = {
        "include": str(TASKS / task / f"{task}.yaml"),
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "generation_kwargs": decoding,
    }
    write_atomically(folder / f"{task}.yaml", f"task: {task}\n" + OmegaConf.to_yaml(OmegaConf.create(body)))


def generate(cell: DictConfig, model: Path | str, task: str, task_folder: Path) -> tuple[list[dict[str, Any]], float]:
    """lmms-eval on one task: its samples in our form, and the accuracy it reports."""
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.tasks import TaskManager

    if cell.scale.device == "cpu" and cell.data.name == "tiny":
        _batch_vision_attention_on_load()
    options = cell.evaluation
    area = cell.model.image_size**2
    results = simple_evaluate(
        model=cell.model.lmms_eval_model,
        model_args=f"pretrained={model},device_map={cell.scale.device},min_pixels={area},max_pixels={area},attn_implementation=sdpa",
        tasks=[task],
        task_manager=TaskManager("WARNING", include_path=str(task_folder), model_name=cell.model.lmms_eval_model),
        batch_size=options.batch_size,
        device=cell.scale.device,
        log_samples=True,
        bootstrap_iters=0,
        torch_random_seed=options.seed,
    )
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    # lmms-eval 0.7.3 counts a batch's padding as generated tokens, so lengths are counted here.
    samples = [_sample(sample, lambda text: len(tokenizer(text)["input_ids"])) for sample in results["samples"][task]]
    return sorted(samples, key=lambda sample: sample["id"]), float(results["results"][task]["accuracy,none"])


def check(samples: list[dict[str, Any]], reported: float, expected: int) -> None:
    """Raises:
    CellError: missing, repeated or failed samples, or a reported accuracy that the samples do not give.
    """
    ids = {sample["id"] for sample in samples}
    if len(samples) != expected or len(ids) != expected:
        raise CellError(f"lmms-eval returned {len(samples)} samples ({len(ids)} different) instead of {expected}")
    failed = [sample["id"] for sample in samples if "LMMS_EVAL_REQUEST_FAILED" in sample["response"]]
    if failed:
        raise CellError(f"{len(failed)} requests to the model failed, the first for sample {failed[0]}; run again")
    recomputed = sum(sample["correct"] for sample in samples) / expected
    if abs(recomputed - reported) > 1e-9:
        raise CellError(f"lmms-eval reports an accuracy of {reported}, its samples give {recomputed}")


def write_samples(path: Path, samples: list[dict[str, Any]]) -> None:
    """Atomic parquet of the samples."""
    import pyarrow as pa

    from kawhi.data.schema import write_table

    write_table(path, pa.Table.from_pylist(samples))


def _sample(sample: dict[str, Any], count_tokens: Callable[[str], int]) -> dict[str, Any]:
    response = sample["resps"][0][0] if isinstance(sample["resps"][0], list) else sample["resps"][0]
    return {
        "id": int(sample["doc_id"]),
        "question": sample["doc"]["extra_info"]["question"],
        "task": sample["doc"]["extra_info"]["task"],
        "answer": sample["target"],
        "response": response,
        "correct": bool(sample["accuracy"] == 1.0),
        "tokens": count_tokens(response),
    }


def _batch_vision_attention_on_load() -> None:
    """All tiny images have one size, so the vision encoder's loop over images can be a batch (see its module)."""
    from transformers import Qwen2_5_VLForConditionalGeneration, Qwen3VLForConditionalGeneration

    from kawhi.tiny.vision_batching import batch_vision_attention

    for cls in (Qwen2_5_VLForConditionalGeneration, Qwen3VLForConditionalGeneration):
        load = cls.from_pretrained

        def from_pretrained(*arguments, _load=load, **options):
            model = _load(*arguments, **options)
            batch_vision_attention(model)
            return model

        cls.from_pretrained = from_pretrained


if __name__ == "__main__":
    stage_main(evaluate)
