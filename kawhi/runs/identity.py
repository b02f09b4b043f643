"""What makes two cells the same: everything that changes their numbers, and nothing else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.data.sources import NAMES
from kawhi.runs.verl_command import resolve_package_paths
from kawhi.tiny.fingerprint import generator_fingerprint

NUMBERS = (
    "model",
    "algorithm",
    "credit",
    "kawhi",
    "data",
    "benchmarks",
    "evaluation",
    "seeds",
    "steps",
    "study",
    "verl",
    "verl_new",
)
"""Blocks of the configuration that change numbers; paths, limits, launchers and the experiment's name do not."""

WITHOUT_TRAINING = ("model", "credit", "kawhi", "data", "seeds", "study")
"""Those among them that a study without training depends on."""

_SMALL = 256 * 2**20


class CellError(RuntimeError):
    """Something the user can mend; its text is one sentence that says how."""


def identity(cell: DictConfig) -> dict[str, Any]:
    """The resolved part of a configuration that its numbers depend on, with a fingerprint of the model's weights.

    Raises:
        CellError: a value that cannot be run, or a model or data file that is not there.
    """
    resolved: Any = OmegaConf.to_container(cell, resolve=True)
    trains = resolved["study"]["name"] == "training"
    if not isinstance(resolved["steps"], int) or resolved["steps"] < 1:
        raise CellError(f"steps must be a whole number of at least 1, not {resolved['steps']!r}")
    part: dict[str, Any] = {name: resolved[name] for name in (NUMBERS if trains else WITHOUT_TRAINING)}
    part["scale"] = {"name": resolved["scale"]["name"], "provenance": resolved["scale"]["provenance"]}
    part.get("verl", {}).get("trainer", {}).pop("logger", None)
    part["credit"].pop("label", None)
    for benchmark in part.get("benchmarks", []):
        benchmark.pop("title", None)
    for name in ("train_file", "validation_file"):
        if part["data"].get(name):
            part["data"][name] = _file_fingerprint(Path(part["data"][name]), part["data"]["name"])
    part["data"]["generator"] = generator_fingerprint()
    part["model"]["weights"] = weights_fingerprint(part["model"].pop("path"))
    return part


def cell_hash(cell: DictConfig) -> str:
    """12 hexadecimal digits of :func:`identity`."""
    canonical = json.dumps(identity(cell), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def cell_name(cell: DictConfig) -> str:
    """Readable name; the hash beside it is what distinguishes cells."""
    if cell.study.name != "training":
        study = f"{cell.study.name}-{cell.study.image}"
        return "_".join((cell.model.name, study, cell.credit.name, cell.data.name, f"s{cell.study.seed}"))
    seeds = f"s{cell.seeds.data}-{cell.seeds.rollout}"
    return "_".join((cell.model.name, cell.algorithm.name, cell.credit.name, cell.data.name, seeds))


def no_data_file(path: Path, data: str) -> CellError:
    """The sentence for a missing file of the data set ``data``."""
    mend = f"run `kawhi prepare {data}` first" if data in NAMES else "set data.train_file and data.validation_file"
    return CellError(f"the data file {path} does not exist; {mend}")


def _file_fingerprint(path: Path, data: str) -> str:
    if not path.is_file():
        raise no_data_file(path, data)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_fingerprint(model: str) -> str:
    """sha256 of a local model's weights; of their names and sizes above 256 MiB; the id itself for a hub model.

    Raises:
        CellError: a local folder that does not exist or is no checkpoint.
    """
    try:
        folder = Path(resolve_package_paths(model))
    except ModuleNotFoundError as error:
        raise CellError(f"{model} names a package that is not installed ({error.name}); set model.path") from error
    if not folder.is_dir():
        if model.startswith(("pkg://", "/", ".")):
            raise CellError(f"the model folder {folder} does not exist; set model.path")
        return f"hub:{model}"
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    if not weights:
        raise CellError(f"the model folder {folder} has no weights (*.safetensors); set model.path to one that has")
    if not (folder / "config.json").is_file():
        raise CellError(f"the model folder {folder} has no config.json; set model.path to a complete checkpoint")
    digest = hashlib.sha256()
    small = sum(path.stat().st_size for path in weights) <= _SMALL
    for path in [*weights, folder / "config.json"]:
        digest.update(path.name.encode())
        digest.update(path.read_bytes() if small else str(path.stat().st_size).encode())
    return digest.hexdigest()
