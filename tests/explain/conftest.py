"""A tiny model, a drawn problem, and a training run as the trainer leaves it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from kawhi.base.files import write_json
from kawhi.base.rundir import RunDirectory
from kawhi.credit.methods import ResponseBatch, configured
from kawhi.explain import training_step as training
from kawhi.explain.checkpoint import open_inspector
from kawhi.explain.gather import read_answer, read_prompt
from kawhi.explain.settings import SHIPPED, Settings
from kawhi.tiny.dataset import write_split
from kawhi.tiny.world import problems
from kawhi.verl_plugin.step_tokens import summary
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


def own_signals(run: Recorded) -> Recorded:
    """The same of a training that keeps its method's own signals and all tokens of each step: made-up signals, and the
    method's real weights of them."""
    method = configured(OmegaConf.to_container(run.cell.kawhi, resolve=True))
    for file in sorted((run.path / "train" / "steps").iterdir()):
        said = json.loads(file.read_text())
        rows = [row for prompt in said["prompts"] for row in prompt["responses"]]
        ids = [torch.tensor(row["token_ids"]) for row in rows]
        lengths, signals = [len(each) for each in ids], _signals(method.needs | {"entropy"}, ids, said["step"])
        flat = {name: torch.cat(signals[name]) for name in method.needs}
        offsets = torch.tensor([0, *lengths]).cumsum(0)
        weights = method.weights(ResponseBatch(torch.cat(ids), offsets, flat, None)).split(lengths)
        for i, row in enumerate(rows):
            row["weights"] = [round(weight, 6) for weight in weights[i].tolist()]
            row["signals"] = {name: [round(v, 5) for v in signals[name][i].tolist()] for name in sorted(method.needs)}
        write_json(file, said)
        groups, correct = (
            [i // len(ANSWERS) for i in range(len(rows))],
            torch.tensor([row["reward"] > 0 for row in rows]),
        )
        tokens = {"step": said["step"], **summary(signals, weights, groups, correct)}
        write_json(run.path / "train" / "tokens" / file.name, tokens)
    return run


def _signals(names: frozenset[str], ids: list[torch.Tensor], seed: int) -> dict[str, list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name in sorted(names):
        values = [torch.empty(len(each)).exponential_(2.0, generator=generator) for each in ids]
        made[name] = [-value for value in values] if "log_probs" in name else values
    return made


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


@pytest.fixture(scope="session")
def tor_run(tmp_path_factory) -> Recorded:
    return own_signals(record(tmp_path_factory.mktemp("tor_run"), "credit=tor"))


def rows(file: Path) -> list[dict]:
    return pq.read_table(file).to_pylist()
