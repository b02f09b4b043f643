"""A credit method, its options, and what it needs of the cell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.base.errors import CellError
from kawhi.base.stage import trains
from kawhi.runs.model_settings import validate_heads
from kawhi.runs.ranges import is_number
from kawhi.runs.verl_settings import settings

BLOCKS = ("method", "options", "also", "signals", "alignment", "regions")
REGIONS = {
    "structure_threshold": math.inf,
    "luminance_threshold": math.inf,
    "energy_scale": math.inf,
    "sigma": math.inf,
    "skip_ratio": 1,
    "keep_ratio": 1,
}
"""Numbers of ``kawhi.regions`` and the largest value of each; the least is 0."""
IMAGES = ("true_image", "blank", "wrong_image", "background_only")
"""What :mod:`kawhi.probes.grounding` shows a model."""
WITHOUT_REGIONS = ("kawhi_seeded", "single_turn_agent")
"""Agent loops that select no regions: ours, and verl's own."""


def validate_credit(cell: DictConfig) -> None:
    """Raises:
    CellError: a method, an option or a region selection that does not exist or is outside its range.
    """
    if cell.kawhi.method == "off":
        return
    # It imports torch, a second that a command without a method does not have to wait for.
    from kawhi.credit.methods import configured

    kawhi: Any = OmegaConf.to_container(cell.kawhi, resolve=True)
    if unknown := sorted(kawhi.keys() - set(BLOCKS)):
        raise CellError(f"kawhi.{unknown[0]} is not one of {', '.join(BLOCKS)}")
    _validate_numbers(kawhi)
    try:
        method = configured(kawhi)
    except (TypeError, ValueError) as error:
        raise CellError(f"kawhi.method={cell.kawhi.method}: {error}") from error
    signals = kawhi.get("signals") or {}
    for signal, option in (("nucleus_entropy", "nucleus_p"), ("perturbed_log_probs", "perturbed_share")):
        if signal in method.needs and not (is_number(signals.get(option)) and 0 < signals[option] <= 1):
            raise CellError(f"kawhi.method={cell.kawhi.method} needs kawhi.signals.{option} in (0, 1]")
    if any("_log_probs" in name or name == "blank_entropy" for name in method.needs):
        _validate_seed(f"kawhi.method={cell.kawhi.method} needs kawhi.signals.seed", signals.get("seed"))
    if "nucleus_entropy" in method.needs and trains(cell) and settings(cell).actor_rollout_ref.model.use_fused_kernels:
        raise CellError(
            f"kawhi.method={cell.kawhi.method} needs logits: set verl.actor_rollout_ref.model.use_fused_kernels=false"
        )
    if "alignment" in method.needs:
        _validate_alignment(cell, kawhi)


def validate_grounding(cell: DictConfig) -> None:
    """Raises:
    CellError: a condition that does not exist, or a method without the alignment that it is about.
    """
    if cell.study.image not in IMAGES:
        raise CellError(f"study.image={cell.study.image} is not one of {', '.join(IMAGES)}")
    if "alignment" not in cell.kawhi:
        raise CellError(
            f"credit={cell.credit.name} has no alignment to control; choose credit=kawhi or a variant of it"
        )


def _validate_numbers(kawhi: Mapping[str, Any]) -> None:
    """What the methods say is a number must be one."""
    from kawhi.credit.methods import METHODS

    options = {("options", kawhi["method"]): kawhi["options"] or {}}
    options |= {(f"also.{name}", name): its or {} for name, its in (kawhi.get("also") or {}).items()}
    for (block, name), given in options.items():
        method = METHODS.get(name)
        numbers = {field.name for field in fields(method) if field.type == "float"} if is_dataclass(method) else set()
        for key in sorted(numbers & given.keys()):
            if not is_number(given[key]) or not math.isfinite(given[key]):
                raise CellError(f"kawhi.{block}.{key} must be a finite number, not {given[key]!r}")


def _validate_alignment(cell: DictConfig, kawhi: dict[str, Any]) -> None:
    from kawhi.credit.alignment import AlignmentOptions

    if "regions" not in kawhi or "alignment" not in kawhi:
        raise CellError(f"kawhi.method={kawhi['method']} needs the blocks kawhi.regions and kawhi.alignment")
    validate_heads(cell, kawhi["alignment"].get("heads"))
    try:
        AlignmentOptions(**kawhi["alignment"])
    except (TypeError, ValueError) as error:
        raise CellError(f"kawhi.alignment: {error}") from error
    _validate_regions(kawhi["regions"])
    if trains(cell) and kawhi["regions"]["strategy"] != "visionzip":
        loop = settings(cell).actor_rollout_ref.rollout.agent.default_agent_loop
        if loop in WITHOUT_REGIONS:
            raise CellError(
                f"verl.actor_rollout_ref.rollout.agent.default_agent_loop={loop} selects no regions, which "
                f"kawhi.method={kawhi['method']} needs: set it to kawhi"
            )


def _validate_regions(regions: Mapping[str, Any]) -> None:
    from kawhi.regions.selectors import STRATEGIES

    wanted, known = {*REGIONS, "strategy", "seed"}, (*STRATEGIES, "visionzip")
    if odd := sorted(regions.keys() ^ wanted):
        raise CellError(f"kawhi.regions needs {', '.join(sorted(wanted))} and nothing else: see to {', '.join(odd)}")
    if regions["strategy"] not in known:
        raise CellError(f"kawhi.regions.strategy={regions['strategy']} is not one of {', '.join(known)}")
    for key, most in REGIONS.items():
        value, low = regions[key], "(" if key == "keep_ratio" else "["
        if not is_number(value) or not 0 <= value <= most or value in (math.inf, 0 if low == "(" else None):
            raise CellError(f"kawhi.regions.{key}={value!r} is outside {low}0, {most}{']' if most == 1 else ')'}")
    _validate_seed("kawhi.regions needs kawhi.regions.seed", regions["seed"])


def _validate_seed(needed: str, seed: Any) -> None:
    if type(seed) is not int or seed < 0:
        raise CellError(f"{needed}, a whole number of at least 0, not {seed!r}")
