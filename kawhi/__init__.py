"""KAWHI: which paragraph of an answer looked at the image, as a library and as a plug-in for verl.

The method itself needs neither verl nor Ray nor Hydra::

    import kawhi

    regions = kawhi.sguf(image, patch_size=28)                       # equations 5-10
    selected = kawhi.select_tokens(regions, "sguf")                  # equation 11
    alpha = kawhi.vision_alignment(queries, keys[selected], heads)   # equations 12-13
    segments = kawhi.segment_response(token_ids, tokenizer)
    weights = kawhi.paragraph_weights(alpha, segments)               # equations 14-15

The ``packed_`` forms take all responses of a batch, concatenated; the plug-in uses those.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kawhi.credit.alignment import packed_alignment, packed_head_alignment, vision_alignment
    from kawhi.credit.segments import packed_segments, segment_response
    from kawhi.credit.weights import packed_paragraph_weights, paragraph_weights
    from kawhi.regions.selectors import select_attended, select_tokens
    from kawhi.regions.sguf import RegionMap, sguf

__version__ = "0.2.0"

# Imported on first use, so that `import kawhi` costs nothing where only a part is needed.
_HOME = {
    "RegionMap": "kawhi.regions.sguf",
    "packed_alignment": "kawhi.credit.alignment",
    "packed_head_alignment": "kawhi.credit.alignment",
    "packed_paragraph_weights": "kawhi.credit.weights",
    "packed_segments": "kawhi.credit.segments",
    "paragraph_weights": "kawhi.credit.weights",
    "segment_response": "kawhi.credit.segments",
    "select_attended": "kawhi.regions.selectors",
    "select_tokens": "kawhi.regions.selectors",
    "sguf": "kawhi.regions.sguf",
    "vision_alignment": "kawhi.credit.alignment",
}

__all__ = [
    "RegionMap",
    "packed_alignment",
    "packed_head_alignment",
    "packed_paragraph_weights",
    "packed_segments",
    "paragraph_weights",
    "segment_response",
    "select_attended",
    "select_tokens",
    "sguf",
    "vision_alignment",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'kawhi' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
