"""One benchmark of one checkpoint: responses through lmms-eval, what rules say of them, and whether all is there.

    python -m kawhi.evaluation.generate EVALUATION MODEL [URL]

A process of its own for each benchmark, because lmms-eval loses all results when one aggregation raises.  Writes
``{responses*.jsonl,samples.parquet,images.parquet}`` and, last, ``generation.json`` into the evaluation's folder.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from PIL import Image, ImageFile
from tqdm import tqdm

from kawhi.base.attention_choice import chosen
from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.made_by import package_versions
from kawhi.base.rundir import RunDirectory
from kawhi.evaluation.benchmark import Benchmark, TaskRun, cluster_of, load
from kawhi.evaluation.responses import ResponseStore
from kawhi.evaluation.samples import Sample, write_images, write_samples
from kawhi.evaluation.scoring import apply_rule
from kawhi.evaluation.task_runs import lmms_task, task_name, task_of_cell, task_runs
from kawhi.evaluation.validity import Limits, check_pass, check_samples
from kawhi.tiny.drawn_files import tiny_file
from kawhi.tiny.worlds import named
from kawhi.wheels import torchvision_shim

THUMBNAIL = 512
"""Longest side of a kept image in pixels."""


def generate(cell: DictConfig, folder: Path, entry: Mapping[str, Any], model: str, url: str | None) -> None:
    """Everything that this module's docstring says, in ``folder``.

    Raises:
        CellError: something is missing or inconsistent; the responses are kept.
    """
    torchvision_shim.install()  # before lmms-eval imports torchvision
    task = entry["task"]
    benchmark = load(task)
    if benchmark.require is not None:
        benchmark.require()
    data = data_file(cell, entry, benchmark)
    runs = task_runs(entry)
    policy = None if url else _hugging_face(cell, model)
    samples: list[Sample] = []
    images: dict[str, bytes] = {}
    for run in runs:
        lmms = lmms_task(task_of_cell(cell, entry, run, data), cell.model.lmms_eval_model)
        store = ResponseStore(folder / (f"responses-{run.name}.jsonl" if run.name else "responses.jsonl"))
        lm = _served(cell, url, store) if url else _keeping(cell, policy, store)
        results = _simple_evaluate(cell, lm, lmms)
        found, shown = _samples(benchmark, run, store, lmms, len(runs) > 1)
        apply_rule(benchmark, found)
        _check_pass(benchmark, found, results, task_name(task, run))
        samples += found
        images |= shown
    limits = Limits(**OmegaConf.to_container(cell.validity, resolve=True))  # type: ignore[arg-type]
    counts = check_samples(task, samples, sum(run.problems for run in runs), limits)
    write_images(folder / "images.parquet", images)
    write_samples(folder / "samples.parquet", samples)
    decoding: Any = OmegaConf.to_container(cell.evaluation, resolve=True)
    decoding |= benchmark.generation
    for name in ("timeout", "attempts", "patience", "start"):
        del decoding["server"][name]  # how long one waits for a server changes no number
    write_json(
        folder / "generation.json",
        {"n": len(samples), **counts, "decoding": decoding, "versions": package_versions()},
    )


def data_file(cell: DictConfig, entry: Mapping[str, Any], benchmark: Benchmark) -> Path | None:
    """The file that takes the place of the hub's data set; drawn problems are drawn when they are first asked for."""
    if entry.get("data_file"):
        path = Path(entry["data_file"])
        if not path.is_file():
            raise CellError(f"the data file {path} of {entry['task']} does not exist")
        return path
    return None if benchmark.data else tiny_file(cell, "heldout", entry["problems"], entry["seed"], named(entry))


def _simple_evaluate(cell: DictConfig, lm: Any, task: Any) -> dict[str, Any]:
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.tasks import TaskManager

    ImageFile.LOAD_TRUNCATED_IMAGES = False  # lmms-eval sets it when it is imported, and half a picture would pass
    # Without the two thousand files of lmms-eval's own tasks: reading them takes four seconds.
    return simple_evaluate(
        model=lm,
        tasks=[task],
        task_manager=TaskManager("WARNING", include_defaults=False),
        batch_size=cell.evaluation.batch_size,
        log_samples=True,
        bootstrap_iters=0,
        torch_random_seed=cell.evaluation.seed,
    )


def _hugging_face(cell: DictConfig, model: str) -> Any:
    import torch

    from kawhi.evaluation.hugging_face import hugging_face
    from kawhi.tiny.unfinished import decode_unfinished
    from kawhi.tiny.vision_batching import batch_vision_attention

    torch.set_num_threads(cell.scale.omp_threads)
    policy = hugging_face(
        cell.model.lmms_eval_model,
        model,
        device=cell.scale.device,
        dtype=cell.evaluation.dtype,
        batch_size=cell.evaluation.batch_size,
        min_pixels=cell.evaluation.min_pixels,
        max_pixels=cell.evaluation.max_pixels,
        attention=chosen(cell.evaluation.attention, cell.scale.device, cell.evaluation.dtype),
    )
    if cell.scale.device == "cpu":
        batch_vision_attention(policy.model)  # where all images have one size, the encoder's loop over them is a batch
        decode_unfinished(policy.model, policy.tokenizer.eos_token_id)
    return policy


def _keeping(cell: DictConfig, policy: Any, store: ResponseStore) -> Any:
    from kawhi.evaluation.hugging_face import keep_responses

    options = cell.evaluation
    return keep_responses(policy, store, seed=options.seed, batch_size=options.batch_size)


def _served(cell: DictConfig, url: str, store: ResponseStore) -> Any:
    from kawhi.evaluation.endpoint import Endpoint
    from kawhi.evaluation.served_model import ServedModel

    options = cell.evaluation
    endpoint = Endpoint(
        url,
        cell.model.name,
        concurrency=options.batch_size,
        timeout=options.server.timeout,
        attempts=options.server.attempts,
        patience=options.server.patience,
    )
    return ServedModel(endpoint, store, seed=options.seed, sampling={"temperature": options.temperature, "top_p": 1.0})


def _samples(
    benchmark: Benchmark, run: TaskRun, store: ResponseStore, task: Any, several: bool
) -> tuple[list[Sample], dict[str, bytes]]:
    """The samples of a pass in the data set's order, without what the rule says; and the images that they show."""
    samples = []
    kept: dict[str, bytes] = {}
    options = dict(run.options)
    for index, doc in enumerate(tqdm(task.eval_docs, desc="samples", mininterval=5)):
        facts = {**benchmark.facts(doc), **run.facts}
        response = store.responses[index]
        keys = []
        for image in benchmark.images(doc):
            encoded = encode(image, benchmark.full_images)
            keys.append(sha256(encoded).hexdigest()[:16])
            kept[keys[-1]] = encoded
        samples.append(
            Sample(
                id=f"{run.name}/{facts['id']}" if several else facts["id"],
                run=run.name,
                facts=facts,
                prompt=benchmark.prompt(doc, options),
                images=keys,
                response=response.text,
                finish_reason=response.finish_reason,
                tokens=response.tokens,
                rule_score=0.0,
                cluster=cluster_of(benchmark, facts, keys),
            )
        )
    return samples, kept


def encode(image: Image.Image, full: bool) -> bytes:
    """An image as it is kept: PNG as it is, or WebP of at most :data:`THUMBNAIL` pixels a side."""
    buffer = io.BytesIO()
    if full:
        image.save(buffer, "PNG")
    else:
        small = image.copy()
        small.thumbnail((THUMBNAIL, THUMBNAIL))
        small.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()


def _check_pass(benchmark: Benchmark, samples: list[Sample], results: dict[str, Any], name: str) -> None:
    """Compares the samples of a pass with what lmms-eval says of it."""
    responses = [(int(logged["doc_id"]), logged["resps"][0]) for logged in results["samples"][name]]
    texts = [(row, text[0] if isinstance(text, list) else text) for row, text in responses]
    quick = benchmark.quick_rule
    total = sum(quick(each.facts, each.response) if quick else each.rule_score for each in samples)
    check_pass(samples, texts, float(results["results"][name]["rule,none"]), total / max(1, len(samples)))


def main(folder: str, model: str, url: str | None = None) -> None:
    os.environ["LMMS_IMAGE_ENCODE_FORMAT"] = "PNG"  # lmms-eval would take JPEG from the user's shell
    evaluation = RunDirectory(Path(folder))
    cell = evaluation.load_config()
    entry: Any = OmegaConf.to_container(cell.benchmarks[0], resolve=True)
    try:
        generate(cell, evaluation.path, entry, model, url)
    except CellError as error:
        sys.exit(f"CellError: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
