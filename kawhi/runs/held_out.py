"""Held-out data of the training set: scored while a model trains, and which checkpoint a table may score by it."""

from __future__ import annotations

from omegaconf import DictConfig

from kawhi.base.errors import CellError
from kawhi.runs.verl_settings import settings

RULES = ("last", "best_heldout")


def scores_best(cell: DictConfig) -> bool:
    """Whether what is merged and scored is the checkpoint that is best on held-out data, and not the last one."""
    return cell.study.get("checkpoint", "last") == "best_heldout"


def validate_held_out(cell: DictConfig) -> None:
    """Raises:
    CellError: a rule that does not exist, or one that needs a score which no checkpoint would have.
    """
    rule, trainer = cell.study.get("checkpoint", "last"), settings(cell).trainer
    if rule not in RULES:
        raise CellError(f"study.checkpoint={rule} is not one of {', '.join(RULES)}")
    if trainer.val_before_train:
        raise CellError(
            "verl.trainer.val_before_train must be false: step 0 is the untrained model's, which study=baseline scores"
        )
    every = trainer.test_freq
    if not isinstance(every, int) or isinstance(every, bool) or every == 0 or every < -1:
        raise CellError(f"verl.trainer.test_freq must be -1 or a whole number of at least 1, not {every!r}")
    if scores_best(cell) and (every < 0 or trainer.save_freq % every):
        raise CellError(
            f"study.checkpoint=best_heldout compares the checkpoints of every {trainer.save_freq} steps "
            f"(verl.trainer.save_freq), so verl.trainer.test_freq has to divide that, and is {every}"
        )
