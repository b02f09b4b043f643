"""Composed cells and half-made run directories for the tests of the harness."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import TypeVar

import psutil
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from kawhi.base.files import write_json
from kawhi.runs.cell_folders import Place, place_of

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
T = TypeVar("T")


def options(group: str) -> list[str]:
    """Names of the files of a configuration group, so that a new file is tested without a new test."""
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


@cache
def _composed(groups: tuple[str, ...]) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("run", overrides=["paths.runs=x", "paths.records=x", "paths.data=x", *groups])


def overridden(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """A copy with these values, set as Hydra sets them after it has composed the files, which takes it far longer."""
    config = deepcopy(config)
    ConfigLoaderImpl._apply_overrides_to_config(OverridesParser.create().parse_overrides(list(overrides)), config)
    return config


def cell(folder: Path, *overrides: str) -> DictConfig:
    """A cell that writes below ``folder`` and is content with any machine."""
    groups = tuple(each for each in overrides if each.startswith("hydra") or (CONF / each.split("=")[0]).is_dir())
    composed = overridden(_composed(groups), [each for each in overrides if each not in groups])
    for name in ("runs", "records", "data"):
        composed.paths[name] = str(folder / name)
    composed.scale.needs.memory_gib = composed.scale.needs.disk_gib = 0
    return composed


def finish(asked: DictConfig) -> Place:
    """The folders of a cell, with a record in each."""
    place = place_of(asked)
    for record in place.records:
        write_json(record, {})
    return place


def metrics_row(step: int, **other: float) -> dict[str, float]:
    """What verl logs of a healthy step, as far as the harness looks at it."""
    return {
        "step": step,
        "training/rollout_actor_probs_pearson_corr": 0.9999,
        "rollout_corr/kl": 0.001,
        "actor/grad_norm": 0.5,
        "critic/rewards/mean": 0.25,
        **other,
    }


def status_file(run_directory: Path, stage: str, **more) -> Path:
    """A run directory of which another process says that it is in ``stage``."""
    write_json(run_directory / "status.json", {"stage": stage, "steps": 20, "time": 100.0, **more})
    return run_directory


def until(condition: Callable[[], T], seconds: float = 300, alive: subprocess.Popen | None = None) -> T:
    """What the condition returned when it first held; fails when it does not in time, or ``alive`` ends before."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert alive is None or alive.poll() is None, f"it ended with {alive.returncode} before"
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.02)
    return found


def environment(process: psutil.Process) -> dict[str, str]:
    """A process's environment; empty where it has ended or is nobody's."""
    try:
        return process.environ()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return {}


def gone(pid: int) -> bool:
    """Whether a process has ended; one that waits for its parent to notice has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
