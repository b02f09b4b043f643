"""How credit is computed: the defaults of the public functions, which are those of ``conf/credit/kawhi.yaml``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from kawhi.credit.alignment import AlignmentOptions, attends
from kawhi.credit.segments import Granularity
from kawhi.credit.weights import paragraph_weights
from kawhi.explain.content import ATTENTION, COSINE
from kawhi.regions.selectors import STRATEGIES, select_attended, select_tokens
from kawhi.regions.sguf import RegionMap, sguf

CHOICES = (*STRATEGIES, "visionzip")
SHIPPED = "pkg://kawhi.tiny/checkpoints/qwen2_5_vl"
"""The model where none is named."""

# The shipped checkpoints' critical heads, as in conf/model/, which an installed package does not have.
CRITICAL_HEADS = {
    SHIPPED: (1, 2),
    "pkg://kawhi.tiny/checkpoints/qwen3_vl": (0, 3),
    "pkg://kawhi.tiny/checkpoints/reading_qwen2_5_vl": (0, 3),
    "pkg://kawhi.tiny/checkpoints/reading_qwen3_vl": (0, 3),
}


def defaults(function: Callable[..., Any], without: Sequence[str] = ()) -> dict[str, Any]:
    """Default values of a function's options, by name."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty and p.name not in without}


@dataclass(frozen=True)
class Settings:
    """Everything between an image, a response and its weights.

    Attributes:
        alignment: None for a credit method without alignment.
        weights: options of :func:`kawhi.paragraph_weights`.
        regions: options of :func:`kawhi.sguf`.
        strategy: one of :data:`CHOICES`.
    """

    alignment: AlignmentOptions | None = field(default_factory=AlignmentOptions)
    granularity: Granularity = "paragraph"
    weights: dict[str, Any] = field(default_factory=lambda: defaults(paragraph_weights))
    regions: dict[str, Any] = field(default_factory=lambda: defaults(sguf))
    strategy: str = "sguf"
    skip_ratio: float = defaults(select_tokens)["skip_ratio"]
    keep_ratio: float = defaults(select_attended)["keep_ratio"]
    seed: int = defaults(select_tokens)["seed"]

    def __post_init__(self) -> None:
        if self.strategy not in CHOICES:
            raise ValueError(f"unknown region selection {self.strategy!r}; choose one of {', '.join(CHOICES)}")

    @property
    def heat_shows(self) -> str:
        """What a heat map is of."""
        return ATTENTION if self.alignment is not None and attends(self.alignment.statistic) else COSINE

    @classmethod
    def of_cell(cls, cell: DictConfig) -> Settings:
        """A run's own, from its configuration."""
        kawhi: Any = OmegaConf.to_container(cell.kawhi, resolve=True)
        options, alignment = dict(kawhi.get("options") or {}), kawhi.get("alignment")
        granularity = options.pop("granularity", "paragraph")
        if alignment is None:
            return cls(alignment=None, granularity=granularity, weights=options)
        regions = dict(kawhi["regions"])
        own = {name: regions.pop(name) for name in ("strategy", "skip_ratio", "keep_ratio", "seed") if name in regions}
        return cls(AlignmentOptions(**alignment), granularity, options, regions, **own)

    def select(self, region_map: RegionMap, received: NDArray[np.floating] | None = None) -> NDArray[np.int64]:
        """Visual tokens, sorted; ``received`` as in :func:`kawhi.select_attended`, for visionzip alone."""
        if self.strategy == "visionzip":
            assert received is not None
            return select_attended(received, self.keep_ratio)
        strategy: Any = self.strategy
        return select_tokens(region_map, strategy, self.skip_ratio, self.seed)

    def words(self) -> dict[str, str]:
        """Name -> value, for people."""
        if self.alignment is None:
            return {"weights": _listed(self.weights) or "1 for every token"}
        ratio = {"keep_ratio": self.keep_ratio} if self.strategy == "visionzip" else {"skip_ratio": self.skip_ratio}
        heads = self.alignment.heads
        return {
            "regions": _listed({"strategy": self.strategy, **ratio, **self.regions, "seed": self.seed}),
            "alignment": _listed(
                {
                    "heads": "all" if heads is None else ",".join(str(head) for head in heads),
                    "metric": self.alignment.metric,
                    "rope": self.alignment.rope,
                    "query_position": self.alignment.query_position,
                    "statistic": self.alignment.statistic,
                    "layer": self.alignment.layer,
                }
            ),
            "weights": _listed({"granularity": self.granularity, **self.weights}),
        }


def _listed(options: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in options.items()
    )
