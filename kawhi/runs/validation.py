"""Mistakes in a cell, found before anything is started instead of a minute into training.

``kawhi plan``, the launchers of sweeps and a single cell ask the same: what is in these lists.
"""

from __future__ import annotations

from collections.abc import Callable

from omegaconf import DictConfig

from kawhi.base.pins import require_pinned
from kawhi.base.stage import evaluates, trains
from kawhi.runs.credit_settings import validate_credit, validate_grounding
from kawhi.runs.evaluation_settings import validate_benchmarks, validate_evaluation
from kawhi.runs.held_out import validate_held_out
from kawhi.runs.loggers import validate_logger
from kawhi.runs.memory import validate_memory
from kawhi.runs.model_settings import validate_attention, validate_lora, validate_model
from kawhi.runs.provenance import validate_drawn
from kawhi.runs.ranges import validate_ranges
from kawhi.runs.training_settings import (
    validate_algorithm,
    validate_batches,
    validate_data,
    validate_files,
    validate_gpus,
    validate_lengths,
    validate_plug_in,
    validate_relied_on,
    validate_reward,
)
from kawhi.runs.verl_settings import validate_keys

Check = Callable[[DictConfig], None]
"""Raises ``CellError`` for a cell with which it does not agree."""

OF_TRAINING: tuple[Check, ...] = (
    validate_keys,
    validate_ranges,
    validate_lora,
    validate_algorithm,
    validate_relied_on,
    validate_batches,
    validate_lengths,
    validate_held_out,
    validate_gpus,
    validate_memory,
    validate_data,
    validate_files,
    validate_reward,
    validate_plug_in,
    validate_credit,
)
OF_EVALUATION: tuple[Check, ...] = (validate_ranges, validate_benchmarks, validate_evaluation)
OF_GROUNDING: tuple[Check, ...] = (validate_ranges, validate_grounding, validate_credit)
OF_ALL: tuple[Check, ...] = (validate_model, validate_drawn, validate_logger, validate_attention)


def validate(cell: DictConfig) -> None:
    """Raises:
    CellError: a mistake that would be found out after minutes or days.
    """
    require_pinned(trains=trains(cell), evaluates=evaluates(cell))
    for check in checks(cell):
        check(cell)


def checks(cell: DictConfig) -> list[Check]:
    """Those that a cell's study asks for, in their order."""
    asked = (
        *OF_ALL,
        *(OF_TRAINING if trains(cell) else ()),
        *(OF_EVALUATION if evaluates(cell) else ()),
        *(OF_GROUNDING if cell.study.name == "grounding" else ()),
    )
    return [*dict.fromkeys(asked)]
