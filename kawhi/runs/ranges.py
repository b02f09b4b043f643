"""Numbers of a cell that must be whole, positive or shares; what depends on several is checked elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.base.errors import CellError
from kawhi.base.stage import evaluates, trains
from kawhi.runs.verl_settings import settings

_ROLLOUT, _ACTOR = "verl.actor_rollout_ref.rollout", "verl.actor_rollout_ref.actor"

WHOLE = {
    "steps": 1,
    "seeds.data": 0,
    "seeds.rollout": 0,
    "seeds.regions": 0,
    "study.seed": 0,
    "study.problems": 2,  # a problem's wrong image is another problem's
    "study.max_new_tokens": 1,
    "model.image_size": 1,
    "verl.trainer.n_gpus_per_node": 1,
    "verl.trainer.nnodes": 1,
}
"""The least value of each key; a key that a cell does not have is not asked for."""

WHOLE_IN_TRAINING = {
    "data.seed": 0,
    "data.train_problems": 1,
    "data.validation_problems": 1,
    "verl.data.seed": 0,
    "verl.data.train_batch_size": 1,
    "verl.data.max_prompt_length": 1,
    "verl.data.max_response_length": 1,
    "verl.trainer.save_freq": 1,  # below, verl saves nothing, not even after the last step
    f"{_ACTOR}.ppo_mini_batch_size": 1,
    f"{_ROLLOUT}.n": 1,
    f"{_ROLLOUT}.seed": 0,
    f"{_ROLLOUT}.tensor_model_parallel_size": 1,
    f"{_ROLLOUT}.max_num_seqs": 1,
    f"{_ROLLOUT}.max_num_batched_tokens": 1,
    f"{_ACTOR}.ppo_max_token_len_per_gpu": 1,
    f"{_ACTOR}.ulysses_sequence_parallel_size": 1,
    f"{_ROLLOUT}.log_prob_max_token_len_per_gpu": 1,
    "verl.actor_rollout_ref.ref.log_prob_max_token_len_per_gpu": 1,
    "scale.overlong_buffer": 0,
    "verl_added.data.min_pixels": 1,
    "verl_added.data.max_pixels": 1,
}

WHOLE_IN_EVALUATION = {
    "evaluation.seed": 0,
    "evaluation.batch_size": 1,
    "evaluation.max_new_tokens": 1,
    "evaluation.min_pixels": 1,
    "evaluation.max_pixels": 1,
    "evaluation.server.attempts": 1,
    "evaluation.server.tensor_parallel": 1,
    "judge.serve.tensor_parallel": 1,
}

Range = tuple[Callable[[float], bool], str]
POSITIVE: Range = (lambda value: 0 < value < math.inf, "above 0")
NOT_NEGATIVE: Range = (lambda value: 0 <= value < math.inf, "at least 0")
SHARE: Range = (lambda value: 0 <= value <= 1, "in [0, 1]")
PART: Range = (lambda value: 0 < value <= 1, "in (0, 1]")
INNER: Range = (lambda value: 0 < value < 1, "in (0, 1)")

REAL_IN_TRAINING = {
    f"{_ACTOR}.optim.lr": POSITIVE,
    f"{_ACTOR}.clip_ratio_low": NOT_NEGATIVE,
    f"{_ACTOR}.clip_ratio_high": NOT_NEGATIVE,
    f"{_ACTOR}.kl_loss_coef": NOT_NEGATIVE,
    f"{_ROLLOUT}.temperature": POSITIVE,  # at 0 the responses to a prompt are all the same
    f"{_ROLLOUT}.top_p": PART,
    f"{_ROLLOUT}.gpu_memory_utilization": PART,
    "health.correlation": SHARE,
    "health.kl": POSITIVE,
}

REAL_IN_EVALUATION = {
    "evaluation.temperature": NOT_NEGATIVE,
    "gate.confidence": INNER,
    "validity.truncated": SHARE,
    "validity.empty": SHARE,
    "validity.duplicated": SHARE,
}


def validate_ranges(cell: DictConfig) -> None:
    """Raises:
    CellError: a number that is none, or outside its range; a switch that is none.
    """
    for key, value in (cell.get("keep") or {}).items():
        if not isinstance(value, bool):
            raise CellError(f"keep.{key} must be true or false, not {value!r}")
    _check(cell, WHOLE, {f"scale.limits.{stage}": POSITIVE for stage in cell.scale.limits})
    if trains(cell):
        _check(cell, WHOLE_IN_TRAINING, REAL_IN_TRAINING)
    if evaluates(cell):
        drawn = {
            f"benchmarks.{i}.{key}": least
            for i in range(len(cell.benchmarks))
            for key, least in (("problems", 1), ("seed", 0))
        }
        _check(cell, WHOLE_IN_EVALUATION | drawn, REAL_IN_EVALUATION)


def _check(cell: DictConfig, whole: Mapping[str, int], real: Mapping[str, Range]) -> None:
    for key, least in whole.items():
        value = _value(cell, key)
        if value is not _ABSENT and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise CellError(f"{key} must be a whole number of at least {least}, not {value!r}")
    for key, (inside, words) in real.items():
        value = _value(cell, key)
        if value is not _ABSENT and not (is_number(value) and inside(value)):
            raise CellError(f"{key} must be a number {words}, not {value!r}")


def is_number(value: Any) -> bool:
    """Whether a value of a configuration is a number; a switch is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


_ABSENT = object()


def _value(cell: DictConfig, key: str) -> Any:
    """A cell's value of a key, or verl's default, where it trains; ``_ABSENT`` where there is neither."""
    block, _, rest = key.partition(".")
    if block == "verl" and trains(cell):
        return _selected(settings(cell), rest)
    return _selected(cell, key)


def _selected(config: DictConfig, key: str) -> Any:
    parent, _, last = key.rpartition(".")
    found: Any = OmegaConf.select(config, parent) if parent else config
    return _ABSENT if found is None or last not in found else found[last]
