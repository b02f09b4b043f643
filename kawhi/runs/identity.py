"""What makes two cells the same: everything that changes their numbers, and nothing else."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.base.checkout import resolve_package_paths
from kawhi.base.errors import CellError, DataMissing
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import stages_of
from kawhi.data.sources import NAMES
from kawhi.evaluation.benchmark import is_judged
from kawhi.evaluation.prompts import prompts_of
from kawhi.records.hashing import config_hash
from kawhi.runs.provenance import provenance
from kawhi.tiny.fingerprint import generator_fingerprint

NUMBERS = (
    "model",
    "algorithm",
    "credit",
    "kawhi",
    "data",
    "benchmarks",
    "evaluation",
    "judge",
    "seeds",
    "steps",
    "study",
    "verl",
    "verl_added",
    "environment_variables",
)
"""Blocks of the configuration that change numbers; paths, limits, launchers and the experiment's name do not."""

DEPENDS_ON = {
    "training": NUMBERS,
    "timing": tuple(name for name in NUMBERS if name not in ("benchmarks", "evaluation", "judge")),
    "baseline": ("model", "benchmarks", "evaluation", "judge", "study"),
    "grounding": ("model", "credit", "kawhi", "data", "seeds", "study"),
}
"""Blocks that each study's numbers depend on."""

WITHOUT_EFFECT = (
    "evaluation.server.timeout",
    "evaluation.server.attempts",
    "evaluation.server.patience",
    "evaluation.server.start",
    "verl.trainer.logger",
    "verl.trainer.save_freq",
    "verl.trainer.max_actor_ckpt_to_keep",
    "verl.reward.num_workers",
    "verl_added.ray_kwargs.ray_init.address",
    "verl.data.dataloader_num_workers",
    "verl.actor_rollout_ref.rollout.agent.num_workers",
    "model.query_heads",
    "model.drawn",
    "data.drawn",
)
"""Keys of those blocks that change no number: every request has a seed of its own, batches are ordered, how many heads
a model has is a fact of its weights, and what is drawn is told by the provenance."""

QUIET = ("VLLM_LOGGING_LEVEL",)

_SMALL = 256 * 2**20
_BLOCK, _BLOCKS = 2**18, 64  # training moves every weight, so that samples tell two models apart
_BESIDE_WEIGHTS = ("config.json", "generation_config.json", "tokenizer*", "*.jinja", "*chat_template*", "*processor*")


def identity(cell: DictConfig) -> dict[str, Any]:
    """The resolved part of a configuration that its numbers depend on, with a fingerprint of the model's weights.

    Raises:
        CellError: a study, a model or a data file that does not exist.
    """
    resolved: Any = OmegaConf.to_container(cell, resolve=True)
    stages_of(resolved["study"]["name"])  # refuses a study that does not exist
    part: dict[str, Any] = {name: resolved[name] for name in DEPENDS_ON[resolved["study"]["name"]]}
    part["scale"] = {"name": resolved["scale"]["name"], "provenance": provenance(cell)}
    if "environment_variables" in part:
        given = resolved["environment_variables"]
        part["environment_variables"] = {key: value for key, value in given.items() if key not in QUIET}
    for key in WITHOUT_EFFECT:
        _remove(part, key.split("."))
    for block in ("credit", "algorithm"):
        part.get(block, {}).pop("label", None)
    _fingerprint_benchmarks(part)
    _fingerprint_data(part, drawn=resolved["data"]["name"] == "tiny")
    part["model"]["weights"] = weights_fingerprint(part["model"].pop("path"))
    return part


def _fingerprint_benchmarks(part: dict[str, Any]) -> None:
    """Puts the hash of a benchmark's file in its path's place, and leaves of the judge what decides a verdict."""
    benchmarks = part.get("benchmarks", [])
    for benchmark in benchmarks:
        benchmark.pop("title", None)
        if benchmark.get("data_file"):
            path = Path(benchmark["data_file"])
            if not path.is_file():
                raise CellError(f"the data_file {path} of {benchmark['task']} does not exist")
            benchmark["data_file"] = _file_fingerprint(path)
    if judge := _judge(part.pop("judge", None), [benchmark["task"] for benchmark in benchmarks]):
        part["judge"] = judge


def _fingerprint_data(part: dict[str, Any], *, drawn: bool) -> None:
    """Puts the hashes of data files in their paths' places, or that of what draws them."""
    if drawn:
        part.setdefault("data", {})["generator"] = generator_fingerprint()
    data = part.get("data", {})
    for name in ("train_file", "validation_file"):
        if data.get(name):
            path = Path(data[name])
            if not path.is_file():
                raise no_data_file(path, data["name"])
            data[name] = _file_fingerprint(path)


def _judge(judge: dict[str, Any] | None, tasks: list[str]) -> dict[str, Any] | None:
    """What of a judge changes verdicts; ``None`` where exact rules decide everything."""
    judged = [task for task in tasks if is_judged(task)]
    if not judged or judge is None:
        return None
    told = {key: judge.get(key) for key in ("name", "model", "temperature", "retry_temperature", "seed")}
    told["serve"] = None if judge.get("base_url") else judge.get("serve", {}).get("options")
    return told | {"prompts": {task: prompts_of(task).version for task in judged}}


def _remove(tree: dict[str, Any], keys: list[str]) -> None:
    for key in keys[:-1]:
        tree = tree.get(key, {})
    tree.pop(keys[-1], None)


def cell_hash(cell: DictConfig) -> str:
    """12 hexadecimal digits of :func:`identity`."""
    return config_hash(identity(cell))


def directory_of(cell: DictConfig) -> RunDirectory:
    """The folder of a cell: an existing one with its hash, whichever experiment made it, else a new one's path."""
    # Absolute, because processes are found by it: two checkouts must not end each other's.
    runs = Path(cell.paths.runs).resolve()
    return RunDirectory(runs / cell.table / f"{cell_name(cell)}-{cell_hash(cell)}").existing()


def cell_name(cell: DictConfig) -> str:
    """Readable name; the hash beside it is what distinguishes cells."""
    if cell.study.name == "grounding":
        study = f"{cell.study.name}-{cell.study.image}"
        return "_".join((cell.model.name, study, _credit(cell), cell.data.name, f"s{cell.study.seed}"))
    if cell.study.name == "baseline":
        return f"{cell.model.name}_baseline"
    seeds = f"s{cell.seeds.data}-{cell.seeds.rollout}"
    more = [cell.algorithm.recipe] if cell.algorithm.recipe else []
    more += ["paper-equations"] if cell.algorithm.equations == "paper" else []
    more += [] if cell.study.name == "training" else [cell.study.name]
    return "_".join((cell.model.name, cell.algorithm.name, _credit(cell), cell.data.name, seeds, *more))


def _credit(cell: DictConfig) -> str:
    """The credit method, with what a table's row calls its options: ``kawhi-skip-ratio-0.1``."""
    label = re.sub(r"[^a-z0-9.]+", "-", cell.credit.label.removeprefix(cell.algorithm.label).lower()).strip("-")
    return cell.credit.name if label in ("", cell.credit.name.replace("_", "-")) else f"{cell.credit.name}-{label}"


def no_data_file(path: Path, data: str) -> CellError:
    """The sentence for a missing file of the data set ``data``; ``DataMissing`` for one that is only to be prepared."""
    if data in NAMES:
        return DataMissing(f"the data file {path} does not exist; run `kawhi prepare {data}` first")
    return CellError(f"the data file {path} does not exist; set data.train_file and data.validation_file")


def _file_fingerprint(path: Path) -> str:
    state = path.stat()
    return _sha256(path, state.st_size, state.st_mtime_ns)


@cache
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_fingerprint(model: str) -> str:
    """sha256 of a local model: its weights, above 256 MiB 64 blocks of each shard, and all that is read beside them.

    The id itself for a hub model.

    Raises:
        CellError: a local folder that does not exist or is no checkpoint.
    """
    folder = local_model(model)
    if folder is None:
        return f"hub:{model}"
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    if not weights:
        raise CellError(f"the model folder {folder} has no weights (*.safetensors); set model.path to one that has")
    if not (folder / "config.json").is_file():
        raise CellError(f"the model folder {folder} has no config.json; set model.path to a complete checkpoint")
    read = Path.read_bytes if sum(path.stat().st_size for path in weights) <= _SMALL else _sampled
    beside = sorted({file for pattern in _BESIDE_WEIGHTS for file in folder.glob(pattern)})
    digest = hashlib.sha256()
    for files, content in ((weights, read), (beside, Path.read_bytes)):
        for path in files:
            digest.update(path.name.encode())
            digest.update(content(path))
    return digest.hexdigest()


def local_model(model: str) -> Path | None:
    """The folder of a model; ``None`` for one of the hub, whose id is ``NAME`` or ``OWNER/NAME``.

    Raises:
        CellError: a folder that does not exist.
    """
    try:
        folder = Path(resolve_package_paths(model))
    except ModuleNotFoundError as error:
        raise CellError(f"{model} names a package that is not installed ({error.name}); set model.path") from error
    if folder.is_dir():
        return folder
    if model.startswith(("pkg://", "/", ".", "~")) or model.count("/") > 1:
        raise CellError(f"the model folder {folder} does not exist; set model.path")
    return None


def _sampled(path: Path) -> bytes:
    """Size and evenly spaced blocks of a large file, its first and last among them."""
    size = path.stat().st_size
    with path.open("rb") as file:
        blocks = []
        for i in range(_BLOCKS):
            file.seek(i * max(0, size - _BLOCK) // (_BLOCKS - 1))
            blocks.append(file.read(_BLOCK))
    return str(size).encode() + b"".join(blocks)
