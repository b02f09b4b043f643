"""A step of a training run -> the numbers of a page: alpha and weights as they were recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow.parquet as pq
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from transformers import AutoTokenizer

from kawhi.base.published import model_place
from kawhi.base.rundir import RunDirectory
from kawhi.credit.measures import MEASURES
from kawhi.credit.methods import AddsLoss, configured
from kawhi.credit.segments import segment_response
from kawhi.explain.checkpoint import averaged_heads, model_folder, open_inspector
from kawhi.explain.content import Answer, Control, Explanation, Paragraph, Scene
from kawhi.explain.course import read_course
from kawhi.explain.gather import prompt_notes, read_answer, read_prompt, scene, shown_unit, split, token_note
from kawhi.explain.settings import Settings
from kawhi.explain.token_view import hidden, measured, seen, with_means
from kawhi.pictures.rgb import picture
from kawhi.style.overlays import image_uri

_CLOSE = 1e-3  # two float32 forward passes agree to 1e-5; a model in bfloat16 moves a cosine by less than this


@dataclass(frozen=True)
class Sample:
    """One prompt of one step.

    Attributes:
        prompt: as the trainer recorded it: ``index``, ``selected``, ``responses``.
        position, of: which of the recorded prompts, counted from 1.
        only: the response to show, counted from 1; None for all.
    """

    step: int
    prompt: dict[str, Any]
    position: int
    of: int
    only: int | None

    @property
    def responses(self) -> list[tuple[str, dict[str, Any]]]:
        """Name and record of the responses to show."""
        listed = self.prompt["responses"]
        named = [(f"Response {i} of {len(listed)}", response) for i, response in enumerate(listed, start=1)]
        return named if self.only is None else [named[self.only - 1]]


@dataclass(frozen=True)
class Example:
    """A row of the training data, and the image of another one."""

    image: Image.Image
    question: str
    other: Image.Image


def explain_run(
    folder: Path,
    step: int | None = None,
    prompt: int | None = None,
    response: int | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> tuple[Explanation, str]:
    """The responses to one prompt of one step.

    Args:
        folder: of the run.
        step: the last recorded one by default.
        prompt: which of the prompts recorded in that step, counted from 1; by default the one whose responses differ
            most in credit.
        response: which response alone, counted from 1; all by default.
        told: hears what is being done now.

    Returns:
        The page's content, and a name for its files.

    Raises:
        ValueError: no such run, step, prompt or response; the message lists those that exist.
    """
    run = RunDirectory(folder.resolve())
    if not run.config.exists():
        raise ValueError(f"{folder} is not a run directory: it has no config.yaml")
    cell = run.load_config()
    sample = find_sample(run, step, prompt, response)
    example = read_example(_train_file(run), sample.prompt["index"])
    settings = Settings.of_cell(cell)
    has_alpha = settings.alignment is not None and sample.prompt["responses"][0]["alpha"] is not None
    made = partial(_with_model, told) if has_alpha else _without_model
    explanation = made(run, cell, sample, settings, example)
    details = {
        "run": run.path.name,
        "step": str(sample.step),
        "prompt": f"{sample.position} of {sample.of} recorded, index {sample.prompt['index']} of the training data",
        "credit": str(cell.credit.label),
        **explanation.details,
        **settings.words(),
    }
    name = f"{run.path.name}_step{sample.step}_prompt{sample.position}"
    told("reading the tokens of all steps")
    course = read_course(run, sample.step, hidden(settings))
    return replace(explanation, details=details, course=course), name + (f"_response{response}" if response else "")


def find_sample(run: RunDirectory, step: int | None, prompt: int | None, response: int | None = None) -> Sample:
    """Reads ``train/steps/<step>.json``; without a prompt it is the one whose responses differ most in credit.

    Raises:
        ValueError: there is no such step, prompt or response.
    """
    files = {int(file.stem): file for file in run.step_files("steps")}
    if not files:
        raise ValueError(f"{run.path} has recorded no step yet (train/steps is empty)")
    chosen = max(files) if step is None else step
    if chosen not in files:
        raise ValueError(f"step {chosen} was not recorded; there are the steps {_ranges(sorted(files))}")
    prompts = json.loads(files[chosen].read_text())["prompts"]
    if prompt is None:
        prompt = 1 + max(range(len(prompts)), key=lambda number: credit_spread(prompts[number]["responses"]))
    if not 1 <= prompt <= len(prompts):
        raise ValueError(f"step {chosen} has the prompts 1 to {len(prompts)}")
    found = prompts[prompt - 1]
    if response is not None and not 1 <= response <= len(found["responses"]):
        raise ValueError(f"prompt {prompt} of step {chosen} has the responses 1 to {len(found['responses'])}")
    return Sample(chosen, found, prompt, len(prompts), response)


def credit_spread(responses: Sequence[Mapping[str, Any]]) -> float:
    """How far the responses to a prompt differ in credit: the largest mean weighted advantage minus the smallest."""
    credit = [each["advantage"] * fmean(each["weights"]) for each in responses if each["weights"]]
    return max(credit) - min(credit) if credit else 0.0


def read_example(file: Path, index: int) -> Example:
    """The row with this ``extra_info.index``, and the image of the next row that shows another.

    Raises:
        ValueError: there is no such row.
    """
    table = pq.ParquetFile(file)
    for group in range(table.num_row_groups):
        # Only this group's images are read: a full-size data set has gigabytes of them.
        infos = [row["extra_info"] for row in table.read_row_group(group, columns=["extra_info"]).to_pylist()]
        at = next((i for i, info in enumerate(infos) if info["index"] == index), None)
        if at is None:
            continue
        images = table.read_row_group(group, columns=["images"])["images"]
        raw = images[at].as_py()[0]["bytes"]
        others = (images[(at + step) % len(infos)].as_py()[0]["bytes"] for step in range(1, len(infos)))
        other = next((found for found in others if found != raw), raw)
        return Example(picture(raw), infos[at]["question"], picture(other))
    raise ValueError(f"{file} has no row with index {index}: the run's data were replaced")


def _with_model(
    told: Callable[[str], None],
    run: RunDirectory,
    cell: DictConfig,
    sample: Sample,
    settings: Settings,
    example: Example,
) -> Explanation:
    initial = model_place(cell.model.path, cell.model.get("revision"))
    if sample.step == 1 or not run.merged.is_dir():
        path, shown = initial, f"{cell.model.path}, the model that training began with"
    else:
        path, shown = str(run.merged), "train/merged, the model after the last step"
    told("opening the model")
    inspector = open_inspector(path, settings.alignment)
    selected = None if settings.strategy == "visionzip" else sample.prompt["selected"]
    prompt = read_prompt(inspector, settings, example.image, example.question, example.other, selected)
    answers, furthest = [], 0.0
    for number, (name, response) in enumerate(sample.responses, 1):
        told(f"reading response {number} of {len(sample.responses)} beside four images")
        recorded = torch.tensor(response["alpha"]), torch.tensor(response["weights"])
        paragraphs, controls, alpha = read_answer(inspector, settings, prompt, response["token_ids"], recorded)
        furthest = max(furthest, (alpha - recorded[0]).abs().max().item())
        answers.append(_answer(inspector.tokenizer, settings, name, response, paragraphs, controls))
    return Explanation(
        title=f"{run.path.name}, step {sample.step}",
        question=example.question,
        scene=scene(prompt),
        answers=answers,
        heads=averaged_heads(inspector),
        unit=shown_unit(settings.granularity),
        compared=settings.granularity,
        w_min=float(settings.weights["w_min"]),
        heat_shows=settings.heat_shows,
        wrong_image=("the image of another training problem", image_uri(prompt.wrong_image)),
        notes=[_provenance(sample, shown, furthest), *prompt_notes(inspector, prompt), *token_note(settings)],
        details={"model of heat maps, heads and controls": shown},
    )


def _provenance(sample: Sample, shown: str, furthest: float) -> str:
    text = "Alpha and weights of the paragraphs are those recorded in training. "
    text += f"Heat maps, heads and controls are computed now with {shown}"
    if sample.step != 1:
        return text + ", not with the policy of this step; their alpha may differ from the recorded one."
    if furthest <= _CLOSE:
        text += ", which was the policy of this step: its alpha agrees with the recorded one "
        return text + f"(largest difference {furthest:.0e})."
    return text + f", and its alpha differs from the recorded one by up to {furthest:.2g}: trust the recorded one."


def _without_model(
    run: RunDirectory, cell: DictConfig, sample: Sample, settings: Settings, example: Example
) -> Explanation:
    tokenizer = AutoTokenizer.from_pretrained(model_folder(model_place(cell.model.path, cell.model.get("revision"))))
    answers = []
    for name, response in sample.responses:
        ids = torch.tensor(response["token_ids"])
        segments = segment_response(ids, tokenizer, shown_unit(settings.granularity))
        paragraphs = split(tokenizer, ids, segments, torch.tensor(response["weights"]), None)
        answers.append(_answer(tokenizer, settings, name, response, paragraphs, []))
    return Explanation(
        title=f"{run.path.name}, step {sample.step}",
        question=example.question,
        scene=Scene(image_uri(example.image), example.image.width, example.image.height),
        answers=answers,
        heads=[],
        unit=shown_unit(settings.granularity),
        compared=settings.granularity,
        w_min=float(settings.weights.get("w_min", 0.0)),
        notes=[
            _without_alpha(cell, settings, sample.prompt["responses"][0]),
            *token_note(settings),
        ],
    )


def _answer(
    tokenizer,
    settings: Settings,
    name: str,
    response: dict[str, Any],
    paragraphs: list[Paragraph],
    controls: list[Control],
) -> Answer:
    """A response with all that was recorded of it."""
    own = with_means(paragraphs, measured(settings, response))
    tokens = seen(tokenizer, settings, response)
    return Answer(name, own, controls, response["reward"], response["advantage"], tokens=tokens)


def _without_alpha(cell: DictConfig, settings: Settings, response: dict[str, Any]) -> str:
    """How a method without alpha gives credit; of a step that kept no signals, that it says nothing of them."""
    label = cell.credit.label
    if isinstance(configured(OmegaConf.to_container(cell.kawhi, resolve=True)), AddsLoss):  # type: ignore[arg-type]
        return f"{label} weighs all tokens alike and adds to the loss what is shown here: there is no alpha."
    if "signals" not in response and (cell.kawhi.get("signals") or cell.kawhi.method == "ft_rl"):
        return f"This step kept no signals of {label}, which has no alpha: weights are all that is known."
    measures = [MEASURES[name] for name in measured(settings, response)]
    by = f" by {' and '.join(each.words for each in measures)}" if measures else ""
    if any(each.image for each in measures):
        return f"{label} gives credit{by}: there is no alpha, and no heat map."
    return f"{label} gives credit{by + ',' if by else ''} without looking at the image: there is no alpha."


def _train_file(run: RunDirectory) -> Path:
    listed = run.path / "data.json"
    if not listed.exists():
        raise ValueError(f"{run.path} has no data.json, so the image of the prompt cannot be found")
    file = Path(json.loads(listed.read_text())["train"])
    if not file.exists():
        raise ValueError(f"the training data {file} of this run are gone")
    return file


def _ranges(numbers: list[int]) -> str:
    """``1-3, 7``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
