"""Hydra's way to find :mod:`kawhi.runs.table_rows`; a plug-in must live in this namespace package."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf


@dataclass
class TableSweeperConfig:
    """``hydra/sweeper=table``: the rows of ``blocks``, times what the command line sweeps over."""

    _target_: str = "hydra_plugins.kawhi_sweeper.table_sweeper.TableSweeper"
    blocks: list[Any] = field(default_factory=list)


class TableSweeper(Sweeper):
    """All jobs at once, so that the launcher can check the last one before it starts the first."""

    def __init__(self, blocks=()):
        """What is swept over is read from the configuration, as `kawhi plan` reads it."""
        self.config: Any = None
        self.hydra_context: Any = None
        self.launcher: Any = None

    def setup(self, *, hydra_context, task_function, config) -> None:
        self.config, self.hydra_context = config, hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments):
        from kawhi.runs.table_rows import rows_of

        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        rows = rows_of(self.config, parser.parse_overrides(arguments))
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        results = self.launcher.launch(rows, initial_job_idx=0)
        for each in results:
            _ = each.return_value  # raises what the job raised
        return [results]


ConfigStore.instance().store(group="hydra/sweeper", name="table", node=TableSweeperConfig, provider="kawhi")
