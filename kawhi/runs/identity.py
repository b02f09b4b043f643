"""What makes two trainings the same, and two evaluations: everything that changes their numbers, and nothing else.

A training does not depend on how its model is evaluated, nor an evaluation on more than the model, its benchmark, the
decoding and the judge.  Names of files and modules of our own code are no part of either.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache, reduce
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.base.checkpoint_weights import weights_fingerprint
from kawhi.base.errors import CellError, DataMissing
from kawhi.base.stage import stages_of
from kawhi.data.sources import NAMES
from kawhi.evaluation.benchmark import is_judged, load
from kawhi.evaluation.prompts import prompts_of
from kawhi.evaluation.rules import asked_by
from kawhi.records.hashing import config_hash
from kawhi.runs.own_methods import sources
from kawhi.runs.provenance import provenance
from kawhi.tiny.fingerprint import generator_fingerprint
from kawhi.tiny.worlds import TINY, named

OF_TRAINING = (
    "model",
    "algorithm",
    "credit",
    "kawhi",
    "data",
    "seeds",
    "steps",
    "study",
    "verl",
    "verl_added",
    "environment_variables",
)
"""Blocks of the configuration that change what is trained; paths, limits, launchers and the table's name do not."""

DEPENDS_ON = {
    "training": OF_TRAINING,
    "timing": OF_TRAINING,
    "baseline": ("model", "study"),
    "grounding": ("model", "credit", "kawhi", "data", "seeds", "study"),
}
"""Blocks that each study's numbers depend on, its evaluations left out."""

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
    "model.sizes",
    "credit.label",
    "algorithm.label",
    "data.steps",
    "model.drawn",
    "model.own",
    "model.tiny_sizes",
    "data.drawn",
)
"""Keys of those blocks that change no number: every request has a seed of its own, batches are ordered, how many heads
a model has and how large it is are facts of its weights, what is drawn is told by the provenance, the cell has its
own ``steps``, and what takes a size of the tiny world in a recipe's place has it."""

AS_BEFORE = {
    "kawhi.regions.smoothed": "luminance",
    "kawhi.regions.median_over": "components",
    "kawhi.options.difference": "absolute",
    "kawhi.alignment.statistic": "mean_cosine",
    "kawhi.alignment.layer": "last",
    "study.checkpoint": "last",
}
"""Options of one way that something was computed before there was a choice: so set they are no part of an identity."""

QUIET = ("VLLM_LOGGING_LEVEL",)

REWARD = "reward.custom_reward_function"
FILES_OF_VERL = (
    (REWARD, "path"),
    ("trainer.v1.sampler.custom_sampler", "path"),
    ("actor_rollout_ref.rollout.agent", "agent_loop_config_path"),
)
"""Blocks of verl's settings, and their keys that name a file, which may be somebody's own."""

_OWN = ("pkg://kawhi", "kawhi.")


def identity(cell: DictConfig, *, planned: bool = False) -> dict[str, Any]:
    """The resolved part of a configuration that its run directory's numbers depend on, with what its model weighs.

    Args:
        planned: names the files of a data set that is still to be prepared, instead of being stopped by them: what is
            one training will be one, though its hash is not known yet.

    Raises:
        CellError: a study, a model or a data file that does not exist.
    """
    resolved: Any = OmegaConf.to_container(cell, resolve=True)
    study = resolved["study"]["name"]
    stages_of(study)  # refuses a study that does not exist
    part = _without_own_names({name: resolved[name] for name in DEPENDS_ON[study]})
    part["scale"] = _scale(cell)
    if "environment_variables" in part:
        given = part["environment_variables"]
        part["environment_variables"] = {key: value for key, value in given.items() if key not in QUIET}
    part["model"] = _model(resolved, study)
    _remove_without_effect(part)
    if "data" in part:
        _fingerprint_data(part["data"], planned)
    if "credit" in part and (own := sources(resolved["kawhi"])):
        part["credit"]["source"] = own
    _fingerprint_files(part)
    return part


def evaluation_identity(cell: DictConfig, benchmark: Any, evaluated: str) -> dict[str, Any]:
    """The resolved part of a configuration that one score depends on: whose it is, how it was made, and who judged it.

    Args:
        benchmark: an entry of the cell's ``benchmarks``.
        evaluated: the cell's own hash.

    Raises:
        CellError: a model or a data file that does not exist.
    """
    resolved: Any = OmegaConf.to_container(cell, resolve=True)
    asked: Any = OmegaConf.to_container(benchmark, resolve=True)
    part: dict[str, Any] = {
        "study": {"name": "evaluation"},
        "of": {"study": resolved["study"]["name"], "hash": evaluated},
        "scale": _scale(cell),
        "model": _model(resolved, "baseline"),
        "benchmark": _benchmark(asked),
        "evaluation": resolved["evaluation"],
    }
    _remove_without_effect(part)
    if judge := _judge(resolved["judge"], asked["task"]):
        part["judge"] = judge
    return part


def _scale(cell: DictConfig) -> dict[str, Any]:
    return {"name": cell.scale.name, "provenance": provenance(cell)}


def _model(resolved: dict[str, Any], study: str) -> dict[str, Any]:
    """A model and the fingerprint of its weights; of one that is only evaluated, without its heads."""
    told = resolved["model"]
    model = {key: value for key, value in told.items() if key not in ("path", "revision")}
    if study == "baseline" or model.get("own"):  # of whose heads kawhi.alignment tells where they are used
        model.pop("critical_heads", None)
    return model | {"weights": weights_fingerprint(told["path"], told.get("revision"))}


def _benchmark(asked: dict[str, Any]) -> dict[str, Any]:
    """A benchmark with the hash of its file, or of what draws it, in its path's place."""
    benchmark = {key: value for key, value in asked.items() if key != "title"}
    if benchmark.get("data_file"):
        path = Path(benchmark["data_file"])
        if not path.is_file():
            raise CellError(f"the data_file {path} of {benchmark['task']} does not exist")
        benchmark["data_file"] = _file_fingerprint(path)
    elif not (data := load(benchmark["task"]).data):
        benchmark["generator"] = _generator(benchmark)
    elif revision := data.get("dataset_kwargs", {}).get("revision"):
        benchmark["revision"] = revision
    return benchmark | ({"source": source} if (source := asked_by(benchmark["task"])) else {})


def _fingerprint_data(data: dict[str, Any], planned: bool) -> None:
    """Puts the hashes of data files in their paths' places, or that of what draws them."""
    if data["name"] == TINY or "world" in data:
        data["generator"] = _generator(data)
    for name in ("train_file", "validation_file"):
        if data.get(name):
            path = Path(data[name])
            if not path.is_file() and not (planned and _to_prepare(path, data["name"])):
                raise no_data_file(path, data["name"])
            data[name] = _file_fingerprint(path) if path.is_file() else f"to be prepared: {path}"


def _fingerprint_files(part: dict[str, Any]) -> None:
    """A file of one's own that verl is given counts by what is in it, wherever it lies."""
    for block, key in FILES_OF_VERL:
        own = reduce(lambda found, name: found.get(name) or {}, block.split("."), part.get("verl", {}))
        if not (path := Path(own.get(key) or "")).is_file():
            continue
        own[key] = _file_fingerprint(path)
        if block == REWARD and ":" in part["data"]["reward"]:
            part["data"]["reward"] = own["name"]


def _generator(settings: dict[str, Any]) -> str:
    """What the world that a block names looks like today."""
    return generator_fingerprint(drawn_world(settings))


def drawn_world(settings: Mapping[str, Any]) -> str:
    """The world that a block names.

    Raises:
        CellError: there is no such world.
    """
    try:
        return named(settings)
    except ValueError as error:
        raise CellError(str(error)) from error


def _judge(judge: dict[str, Any] | None, task: str) -> dict[str, Any] | None:
    """What of a judge changes verdicts; ``None`` where exact rules decide."""
    if judge is None or not is_judged(task):
        return None
    told = {key: judge.get(key) for key in ("name", "model", "temperature", "retry_temperature", "seed")}
    told["serve"] = None if judge.get("base_url") else judge.get("serve", {}).get("options")
    if judge.get("revision") and not judge.get("base_url"):  # which commit another server has is not known
        told["revision"] = judge["revision"]
    if judge.get("extra_body"):
        told["extra_body"] = judge["extra_body"]
    return told | {"prompts": prompts_of(task).version}


def _without_own_names(tree: Any) -> Any:
    """Without what names a file, a module or a class of this project: those may be renamed, and nothing runs anew.

    What of them changes numbers has a key of its own, such as ``data.reward``.
    """
    if not isinstance(tree, dict):
        return tree
    named = ("path", "name") if _is_own(tree.get("path")) else ()
    kept = {key: value for key, value in tree.items() if key not in named and not _is_own(value)}
    return {key: _without_own_names(value) for key, value in kept.items()}


def _is_own(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_OWN)


def _remove_without_effect(part: dict[str, Any]) -> None:
    for key in (*WITHOUT_EFFECT, *AS_BEFORE):
        *above, last = key.split(".")
        tree = part
        for name in above:
            tree = tree.get(name, {})
        if tree.get(last) == AS_BEFORE.get(key, tree.get(last)):
            tree.pop(last, None)


def cell_hash(cell: DictConfig, *, planned: bool = False) -> str:
    """12 hexadecimal digits of :func:`identity`."""
    return config_hash(identity(cell, planned=planned))


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
    rank = cell.verl.actor_rollout_ref.model.get("lora_rank")
    more += [f"lora{rank}"] if rank else []
    more += [] if cell.study.name == "training" else [cell.study.name]
    return "_".join((cell.model.name, cell.algorithm.name, _credit(cell), cell.data.name, seeds, *more))


def _credit(cell: DictConfig) -> str:
    """The credit method, with what a table's row calls its options: ``kawhi-skip-ratio-0.1``."""
    label = re.sub(r"[^a-z0-9.]+", "-", cell.credit.label.removeprefix(cell.algorithm.label).lower()).strip("-")
    return cell.credit.name if label in ("", cell.credit.name.replace("_", "-")) else f"{cell.credit.name}-{label}"


def no_data_file(path: Path, data: str) -> CellError:
    """The sentence for a missing file of the data set ``data``; ``DataMissing`` for one that is only to be prepared."""
    if _to_prepare(path, data):
        return DataMissing(f"the data file {path} does not exist; run `{prepare_command(data)}` first")
    return CellError(f"the data file {path} does not exist; set data.train_file and data.validation_file")


def _to_prepare(path: Path, data: str) -> bool:
    """Whether ``kawhi prepare`` makes a file: of a data set that ships, or of one's own where it writes it."""
    return data in NAMES or (path.parent.name == data and path.stem in ("train", "validation"))


def prepare_command(data: str) -> str:
    """What makes the files of a data set."""
    return f"kawhi prepare {data}{'' if data in NAMES else ' --from FILE_OR_FOLDER'}"


def _file_fingerprint(path: Path) -> str:
    state = path.stat()
    return _sha256(path, state.st_size, state.st_mtime_ns)


@cache
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
