"""A credit method, its options, and what it needs of the cell."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.base.errors import CellError
from kawhi.base.plug_in import refuse_without_regions
from kawhi.base.stage import trains
from kawhi.data.schema import has_readings
from kawhi.runs.identity import drawn_world
from kawhi.runs.model_settings import validate_heads, validate_layer
from kawhi.runs.ranges import NOT_NEGATIVE, PART, SHARE, is_number
from kawhi.runs.verl_settings import settings
from kawhi.tiny.worlds import TINY

BLOCKS = ("method", "options", "also", "signals", "alignment", "regions")
REGIONS = {
    "structure_threshold": NOT_NEGATIVE,
    "luminance_threshold": NOT_NEGATIVE,
    "energy_scale": NOT_NEGATIVE,
    "sigma": NOT_NEGATIVE,
    "skip_ratio": SHARE,
    "keep_ratio": PART,
}
IMAGES = ("true_image", "blank", "wrong_image", "background_only")
"""What :mod:`kawhi.probes.grounding` shows a model."""


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
    _validate_signals(cell, kawhi.get("signals") or {}, method.needs)
    _validate_truth(cell, method.needs)
    if "nucleus_entropy" in method.needs and settings(cell).actor_rollout_ref.model.use_fused_kernels:
        raise CellError(
            "the entropy of the nucleus needs logits: set verl.actor_rollout_ref.model.use_fused_kernels=false"
        )
    if "alignment" in method.needs:
        _validate_alignment(cell, kawhi)


def _validate_truth(cell: DictConfig, needs: Collection[str]) -> None:
    from kawhi.credit.readings import TRUTH

    file = cell.data.get("train_file")
    known = Path(file).is_file() and has_readings(Path(file)) if file else drawn_world(cell.data) != TINY
    if not TRUTH.isdisjoint(needs) and not known:
        raise CellError(
            f"kawhi.method={cell.kawhi.method} compares what is read with the truth, and data={cell.data.name} does "
            "not say what has to be read: take data=reading, or files with extra_info.readings"
        )


def _validate_signals(cell: DictConfig, signals: Mapping[str, Any], needs: Collection[str]) -> None:
    said = f"kawhi.method={cell.kawhi.method} needs"
    for signal, option in (("nucleus_entropy", "nucleus_p"), ("perturbed_log_probs", "perturbed_share")):
        if signal in needs and not (is_number(signals.get(option)) and 0 < signals[option] <= 1):
            raise CellError(f"{said} kawhi.signals.{option} in (0, 1]")
    if any("_log_probs" in name or name == "blank_entropy" for name in needs):
        _validate_seed(f"{said} kawhi.signals.seed", signals.get("seed"))


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
    options = [("options", kawhi["method"], kawhi["options"] or {})]
    options += [(f"also.{name}", name, its or {}) for name, its in (kawhi.get("also") or {}).items()]
    for block, name, given in options:
        for key in _numbers(name) & given.keys():
            if not (is_number(given[key]) and math.isfinite(given[key])):
                raise CellError(f"kawhi.{block}.{key} must be a finite number, not {given[key]!r}")


def _numbers(name: str) -> set[str]:
    """Options of a method that are numbers."""
    from kawhi.credit.methods import METHODS

    method: Any = METHODS.get(name)
    return {field.name for field in fields(method) if field.type == "float"} if is_dataclass(method) else set()


def _validate_alignment(cell: DictConfig, kawhi: dict[str, Any]) -> None:
    from kawhi.credit.alignment import AlignmentOptions

    if "regions" not in kawhi or "alignment" not in kawhi:
        raise CellError(f"kawhi.method={kawhi['method']} needs the blocks kawhi.regions and kawhi.alignment")
    validate_heads(cell, kawhi["alignment"].get("heads"))
    validate_layer(cell, kawhi["alignment"].get("layer"))
    try:
        AlignmentOptions(**kawhi["alignment"])
    except (TypeError, ValueError) as error:
        raise CellError(f"kawhi.alignment: {error}") from error
    _validate_regions(kawhi["regions"])
    if trains(cell):
        refuse_without_regions(settings(cell), kawhi["method"], kawhi, "verl.")


def _validate_regions(regions: Mapping[str, Any]) -> None:
    from kawhi.regions.selectors import STRATEGIES
    from kawhi.regions.sguf import MEDIANS, SMOOTHED

    choices = {"strategy": (*STRATEGIES, "visionzip"), "median_over": MEDIANS, "smoothed": SMOOTHED}
    wanted = {*REGIONS, *choices, "seed"}
    if odd := sorted(regions.keys() ^ wanted):
        raise CellError(f"kawhi.regions needs {', '.join(sorted(wanted))} and nothing else: see to {', '.join(odd)}")
    for key, known in choices.items():
        if regions[key] not in known:
            raise CellError(f"kawhi.regions.{key}={regions[key]} is not one of {', '.join(known)}")
    for key, (inside, words) in REGIONS.items():
        if not (is_number(regions[key]) and inside(regions[key])):
            raise CellError(f"kawhi.regions.{key} must be a number {words}, not {regions[key]!r}")
    _validate_seed("kawhi.regions needs kawhi.regions.seed", regions["seed"])


def _validate_seed(needed: str, seed: Any) -> None:
    if type(seed) is not int or seed < 0:
        raise CellError(f"{needed}, a whole number of at least 0, not {seed!r}")
