"""Hydra's way to find :mod:`kawhi.cluster.launcher`; a plug-in must live in this namespace package."""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher


@dataclass
class SlurmLauncherConfig:
    """``hydra/launcher=slurm``: the missing cells as arrays of jobs; the command returns at once."""

    _target_: str = "hydra_plugins.kawhi_launcher.slurm_launcher.SlurmLauncher"
    at_once: int = 8
    wait: bool = False
    table: str = "complete"
    attempts: int = 3
    site: str = "slurm/site.env"


class SlurmLauncher(Launcher):
    """Submits the jobs of a sweep to Slurm."""

    def __init__(self, at_once, wait, table, attempts, site):
        self.options = {"at_once": at_once, "wait": wait, "table": table, "attempts": attempts, "site": site}
        self.config: Any = None
        self.hydra_context: Any = None

    def setup(self, *, hydra_context, task_function, config) -> None:
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides, initial_job_idx):
        from kawhi.cluster.launcher import launch

        return launch(self.hydra_context.config_loader, self.config, job_overrides, self.options)


ConfigStore.instance().store(group="hydra/launcher", name="slurm", node=SlurmLauncherConfig, provider="kawhi")
