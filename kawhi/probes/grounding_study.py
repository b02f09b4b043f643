"""Stage ``grounding``: one condition of the grounding controls on many problems, without training.

Writes ``grounding.json`` with the block ``grounding`` of the record.  All conditions of a cell's seed see the same
responses, which the model samples beside the true image.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from kawhi.base.checkout import resolve_package_paths
from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import stage_main
from kawhi.credit.alignment import AlignmentOptions
from kawhi.credit.segments import segment_response
from kawhi.models.inspection import Inspector
from kawhi.models.seen import seen_by_model
from kawhi.pictures.rgb import picture
from kawhi.probes.grounding import Comparison, background_tokens, compare, look_under
from kawhi.probes.reads import reading_paragraphs
from kawhi.regions.selectors import select_attended, select_tokens
from kawhi.regions.sguf import sguf


@dataclass(frozen=True)
class Example:
    """One held-out problem."""

    index: int
    image: Image.Image
    question: str
    source: str


def study(cell: DictConfig, run_directory: RunDirectory) -> None:
    """Measures the cell's condition.

    Raises:
        CellError: a credit method without alignment, or a model that answered nothing in two paragraphs or more.
    """
    if "alignment" not in cell.kawhi:
        raise CellError(
            f"credit={cell.credit.name} has no alignment to control; choose credit=kawhi or a variant of it"
        )
    files = json.loads((run_directory.path / "data.json").read_text())
    examples = list(read_examples(Path(files["problems"])))
    options: Any = OmegaConf.to_container(cell.kawhi.options, resolve=True)
    alignment: Any = OmegaConf.to_container(cell.kawhi.alignment, resolve=True)
    granularity = options.pop("granularity")
    inspector = Inspector(
        resolve_package_paths(cell.model.path), AlignmentOptions(**alignment), device=cell.scale.device
    )
    found: list[Comparison] = []
    paragraphs = 0
    for i, example in enumerate(examples):
        prompt = inspector.prompt(example.image, example.question)
        seed = int(np.random.SeedSequence([cell.study.seed, example.index]).generate_state(1)[0])
        response = inspector.respond(prompt, max_new_tokens=cell.study.max_new_tokens, seed=seed)
        selected, background = tokens(cell, inspector, example, response)
        look = partial(
            look_under,
            inspector,
            example.image,
            example.question,
            response,
            selected=selected,
            background=background,
            other_image=examples[(i + 1) % len(examples)].image.resize(example.image.size),
        )
        true_alpha, log_prob = look("true_image")
        alpha = true_alpha
        if cell.study.image != "true_image":
            alpha, log_prob = look(cell.study.image)
        segments = segment_response(response, inspector.tokenizer, granularity)
        paragraphs += int(segments.max()) + 1
        text = inspector.tokenizer.decode(response, skip_special_tokens=True)
        reads = reading_paragraphs(example.source, text) if granularity == "paragraph" else None
        found.append(compare(alpha, true_alpha, log_prob, segments, reads, **options))
        if i % 20 == 19:
            print(f"{cell.study.image}: {i + 1} of {len(examples)} problems", flush=True)
    write_json(run_directory.path / "grounding.json", summary(cell.study.image, found, paragraphs))


def tokens(cell: DictConfig, inspector: Inspector, example: Example, response) -> tuple[np.ndarray, np.ndarray]:
    """The visual tokens that the cell's strategy selects on the true image, and those outside its key regions."""
    options = cell.kawhi.regions
    region_map = sguf(
        seen_by_model(example.image, inspector.processor.image_processor),
        inspector.token_pixels,
        structure_threshold=options.structure_threshold,
        luminance_threshold=options.luminance_threshold,
        energy_scale=options.energy_scale,
        sigma=options.sigma,
    )
    background = background_tokens(region_map.key_tokens)
    if options.strategy == "visionzip":
        look = inspector.look(inspector.prompt(example.image, example.question), response)
        return select_attended(look.received.numpy(), options.keep_ratio), background
    seed = int(np.random.SeedSequence([options.seed, example.index]).generate_state(1)[0])
    return select_tokens(region_map, options.strategy, options.skip_ratio, seed), background


def summary(image: str, found: list[Comparison], paragraphs: int) -> dict[str, Any]:
    """The block ``grounding`` of the record.

    Raises:
        CellError: no response has two paragraphs, so that none has an order.
    """
    ordered = [one for one in found if one.order is not None]
    if not ordered:
        raise CellError("no response has two paragraphs, so there is no order to compare; use another model")
    return {
        "image": image,
        "responses": len(found),
        "paragraphs": paragraphs,
        "alpha": _mean([one.alpha for one in found]),
        "order": _mean([one.order or 0.0 for one in ordered]),
        "same_top": _mean([float(one.same_top) for one in ordered]),
        "weight_shift": _mean([one.weight_shift for one in found]),
        "log_prob": _mean([one.log_prob for one in found]),
        **_reading(found),
    }


def _reading(found: list[Comparison]) -> dict[str, Any]:
    """How often a paragraph that reads is on top, and how often it would be by chance."""
    known = [(one.reading_on_top, one.chance or 0.0) for one in found if one.reading_on_top is not None]
    return {
        "reading_responses": len(known),
        "reading_top": _mean([float(on_top) for on_top, _ in known]) if known else None,
        "reading_chance": _mean([chance for _, chance in known]) if known else None,
    }


def read_examples(path: Path) -> Iterator[Example]:
    """The problems of a data file, in its order."""
    for row in pq.read_table(path).to_pylist():
        image = picture(row["images"][0]["bytes"])
        yield Example(row["extra_info"]["index"], image, row["extra_info"]["question"], row["data_source"])


def _mean(values: list[float]) -> float:
    return round(float(np.mean(values)), 6)


if __name__ == "__main__":
    stage_main(study)
