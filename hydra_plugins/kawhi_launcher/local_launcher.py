"""Hydra's way to find :mod:`kawhi.runs.launcher`; a plug-in must live in this namespace package."""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher


@dataclass
class LocalLauncherConfig:
    """``hydra/launcher=local``: several cells side by side on one machine, each with GPUs of its own."""

    _target_: str = "hydra_plugins.kawhi_launcher.local_launcher.LocalLauncher"
    parallel: Any = "${scale.parallel_cells}"  # null is no string


class LocalLauncher(Launcher):
    """Runs each job of a sweep as a process of its own."""

    def __init__(self, parallel):
        self.parallel = None if parallel is None else int(parallel)
        self.config: Any = None
        self.hydra_context: Any = None

    def setup(self, *, hydra_context, task_function, config) -> None:
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides, initial_job_idx):
        from kawhi.runs.launcher import launch

        return launch(self.hydra_context.config_loader, self.config, job_overrides, self.parallel)


ConfigStore.instance().store(group="hydra/launcher", name="local", node=LocalLauncherConfig, provider="kawhi")
