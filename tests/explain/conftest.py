"""A tiny model, a drawn problem, and a training run as the trainer leaves it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from omegaconf import DictConfig

from kawhi.base.files import write_json
from kawhi.base.rundir import RunDirectory
from kawhi.explain import training_step as training
from kawhi.explain.checkpoint import open_inspector
from kawhi.explain.gather import read_answer, read_prompt
from kawhi.explain.settings import SHIPPED, Settings
from kawhi.tiny.dataset import write_split
from kawhi.tiny.world import problems
from tests.cells import cell
from tests.explain.browser import tab  # noqa: F401

ANSWERS = (
    "We need the value.\n\nI read A = 1.\n\nThe value is 1.\n\nSo the answer is \\boxed{1}.",
    "Answer: \\boxed{1}",
    "The chart shows it.\n\nTherefore, the answer is \\boxed{7}.",
)


@pytest.fixture(scope="session")
def settings():
    return Settings()


@pytest.fixture(scope="session")
def inspector(settings):
    return open_inspector(SHIPPED, settings.alignment)


@pytest.fixture(scope="session")
def problem():
    return next(problems("heldout", 0))


@pytest.fixture(scope="session")
def drawing(problem):
    return problem.drawing.render(168)


@pytest.fixture
def image_file(tmp_path, drawing) -> Path:
    file = tmp_path / "chart.png"
    drawing.save(file)
    return file


@dataclass(frozen=True)
class Recorded:
    """A run with steps 1, 2 and 5, two prompts each."""

    path: Path
    cell: DictConfig

    def step(self, number: int) -> dict:
        return json.loads((self.path / "train" / "steps" / f"{number:06d}.json").read_text())


def record(folder: Path, *overrides: str, steps: tuple[int, ...] = (1, 2, 5)) -> Recorded:
    """Writes what the trainer writes: alpha and weights of the initial model, a little moved after step 1."""
    composed = cell(folder, "model=tiny_qwen2_5_vl", *overrides)
    run = RunDirectory(folder / "runs" / "none" / "tiny-run-0123")
    run.path.mkdir(parents=True)
    run.save_config(composed)
    data = folder / "train.parquet"
    write_split(data, "train", 6, 168, seed=0)
    write_json(run.path / "data.json", {"train": str(data), "validation": str(data)})
    chosen = Settings.of_cell(composed)
    for step in steps:
        prompts = [_prompt(chosen, data, index, 0.0 if step == 1 else 0.02) for index in (4, 2)]
        write_json(run.path / "train" / "steps" / f"{step:06d}.json", {"step": step, "prompts": prompts})
    return Recorded(run.path, composed)


def _prompt(settings: Settings, data: Path, index: int, moved: float) -> dict:
    inspector = open_inspector(SHIPPED, settings.alignment)
    example = training.read_example(data, index)
    found: dict = {"index": index, "selected": [], "responses": []}
    prompt = None
    if settings.alignment is not None:
        prompt = read_prompt(inspector, settings, example.image, example.question, example.other)
        if settings.strategy != "visionzip":  # ranks tokens inside the engine, so the agent loop records none
            found["selected"] = prompt.selected.tolist()
    for i, text in enumerate(ANSWERS):
        ids = [*inspector.tokenizer(text).input_ids, inspector.tokenizer.eos_token_id]
        alpha, weights = None, [1.0] * len(ids)
        if prompt is not None:
            paragraphs, _, computed = read_answer(inspector, settings, prompt, ids)
            alpha = [round(value + moved, 6) for value in computed.tolist()]
            weights = [round(p.weight, 6) for p in paragraphs for _ in range(p.tokens)]
        found["responses"].append(
            {"token_ids": ids, "alpha": alpha, "weights": weights, "advantage": 0.5 - i, "reward": float(i < 2)}
        )
    return found


@pytest.fixture(scope="session")
def training_run(tmp_path_factory) -> Recorded:
    return record(tmp_path_factory.mktemp("kawhi_run"), "credit=kawhi")


@pytest.fixture(scope="session")
def uniform_run(tmp_path_factory) -> Recorded:
    return record(tmp_path_factory.mktemp("uniform_run"), "credit=uniform", steps=(1,))


def rows(file: Path) -> list[dict]:
    return pq.read_table(file).to_pylist()
