"""Hydra's way to find :mod:`kawhi.runs.table_rows`; a plug-in must live in this namespace package."""

from dataclasses import dataclass, field
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf


@dataclass
class TableSweeperConfig:
    """``hydra/sweeper=table``: Hydra's own product of ``params``, or the union of products in ``blocks``."""

    _target_: str = "hydra_plugins.kawhi_sweeper.table_sweeper.TableSweeper"
    max_batch_size: int | None = None
    params: dict[str, str] | None = None
    blocks: list[Any] = field(default_factory=list)


class TableSweeper(BasicSweeper):
    """All jobs at once, so that the launcher can check the last one before it starts the first."""

    def __init__(self, max_batch_size=None, params=None, blocks=()):
        super().__init__(max_batch_size, params)
        self.blocks = blocks

    def _parse_config(self):
        return [] if self.blocks else super()._parse_config()

    def validate_batch_is_legal(self, batch):
        """Left to our launchers, which compose every cell before they start one; it takes a tenth of a second each."""

    def sweep(self, arguments):
        from kawhi.runs.table_rows import refuse_two_tables

        refuse_two_tables(OverridesParser.create().parse_overrides(arguments))
        if not self.blocks:
            return super().sweep(arguments)
        blocks: Any = OmegaConf.to_container(OmegaConf.create(self.blocks), resolve=True)
        names: Any = OmegaConf.to_container(self.config.scale.names, resolve=True)

        def split(overrides, max_batch_size):
            from kawhi.runs.table_rows import jobs

            return [jobs(blocks, names, overrides)]

        self.split_arguments = split
        return super().sweep(arguments)


ConfigStore.instance().store(group="hydra/sweeper", name="table", node=TableSweeperConfig, provider="kawhi")
