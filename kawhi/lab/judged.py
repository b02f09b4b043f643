"""The probe on responses that somebody has judged, of any policy to any questions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from kawhi.base.checkout import resolve_package_paths
from kawhi.base.errors import CellError
from kawhi.credit.readings import READING_RIGHT, READS
from kawhi.lab.gradients import Recorder
from kawhi.lab.policy import Policy
from kawhi.lab.probing import SEED, Findings, probed, rows_of, run_probe, token_kinds
from kawhi.lab.rollouts import Item, Rollouts, given
from kawhi.lab.study import Study, compose
from kawhi.pictures.rgb import picture
from kawhi.runs.verl_settings import settings


def probe_judged(
    study: Study,
    family: str,
    model: str,
    file: Path,
    share: float,
    device: str | None,
    told: Callable[[int], None],
) -> Findings:
    """The probe of a study's methods, with a checkpoint's judged responses in place of drawn problems.

    Raises:
        CellError: a file that is not as docs/bench.md describes it, or a method that needs to know the readings.
    """
    torch.set_num_threads(1)
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.float32 if where == "cpu" else torch.bfloat16
    policy = Policy(resolve_package_paths(model), device=where, dtype=dtype)
    cells = {row.label: compose(study, row, family) for row in rows_of(study)}
    per_step = settings(next(iter(cells.values()))).data.train_batch_size
    methods, recorder = probed(policy, cells), Recorder(policy, share, SEED)
    batches = enumerate(judged_batches(policy, file, per_step))
    gradients = (recorder.of(rollouts, methods, kinds, step) for step, (rollouts, kinds) in batches)
    return run_probe(gradients, per_step, told)


def judged_batches(policy: Policy, file: Path, per_step: int) -> Iterator[tuple[Rollouts, list[str]]]:
    """The lines of a file, as many at a time as a step has prompts, and the kind of each token's paragraph.

    Raises:
        CellError: as :func:`probe_judged`.
    """
    lines = _lines(file)
    for first in range(0, len(lines), per_step):
        part = lines[first : first + per_step]
        items = [
            Item(first + number, _image(file, line["image"]), line["question"], line.get("answer", ""), None)
            for number, line in enumerate(part)
        ]
        responses = [response for line in part for response in line["responses"]]
        rollouts = _rollouts(policy, items, responses)
        kinds = token_kinds(rollouts, policy.tokenizer, [response["paragraphs"] for response in responses])
        yield replace(rollouts, judged=_truth(rollouts, kinds, responses)), kinds


def _truth(rollouts: Rollouts, kinds: Sequence[str], responses: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """What the judge said as the signals that controls need; a response without a verdict reads as it is rewarded."""
    right = torch.tensor([float(each.get("reading_right", each["reward"] > 0)) for each in responses])
    return {
        READS: torch.tensor([float(kind == "reading") for kind in kinds]),
        READING_RIGHT: right.repeat_interleave(rollouts.lengths.cpu()),
    }


def _lines(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        raise CellError(f"there are no rollouts {file}")
    lines = []
    for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            line = json.loads(text)
            for response in line["responses"]:
                float(response["reward"]), str(response["text"]), list(response["paragraphs"])
            str(line["image"]), str(line["question"])
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise CellError(
                f"{file}, line {number}: {type(error).__name__}: {error}; docs/bench.md has the form"
            ) from error
        lines.append(line)
    sizes = {len(line["responses"]) for line in lines}
    if len(sizes) != 1 or min(sizes) < 2:
        raise CellError(f"{file}: every prompt needs equally many responses, at least 2; there are {sorted(sizes)}")
    return lines


def _image(file: Path, name: str) -> Image.Image:
    path = file.parent / name
    try:
        return picture(path)
    except Exception as error:  # PIL raises many kinds on files that are no images
        raise CellError(f"{file} names the image {path}, which cannot be read: {error}") from error


def _rollouts(policy: Policy, items: Sequence[Item], responses: Sequence[Mapping[str, Any]]) -> Rollouts:
    rewards = torch.tensor([float(each["reward"]) for each in responses])
    return given(policy, items, [each["text"] for each in responses], lambda *_: (rewards > 0, rewards))
