"""KAWHI: which paragraph of an answer looked at the image, as a library and as a plug-in for verl.

The method itself needs neither verl nor Ray nor Hydra.  With a model of transformers and any trainer::

    import kawhi

    selected = kawhi.select_visual_tokens(image, processor)          # equations 5-11
    with torch.no_grad(), kawhi.capture(model, heads=[1, 2]) as seen:
        model(**inputs)                                              # a pass that runs anyway
    alpha = seen.alpha(mask, [selected] * len(mask))                 # equations 12-13, (B, T)
    segments = kawhi.padded_segments(token_ids, mask, tokenizer)
    weights = kawhi.padded_paragraph_weights(alpha, segments, mask)  # equations 14-15, (B, T)

Without a model, of one picture and one response::

    regions = kawhi.sguf(image, patch_size=28)
    selected = kawhi.select_tokens(regions, "sguf")
    alpha = kawhi.vision_alignment(queries, keys[selected], heads)
    weights = kawhi.paragraph_weights(alpha, kawhi.segment_response(token_ids, tokenizer))

The ``packed_`` forms take all responses of a batch, concatenated; the plug-in uses those.  ``capture``, ``views`` and
``select_visual_tokens`` need transformers, everything else does not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kawhi.credit.alignment import AlignmentOptions, packed_alignment, packed_head_alignment, vision_alignment
    from kawhi.credit.padded import padded_paragraph_weights, padded_segments
    from kawhi.credit.segments import packed_segments, segment_response
    from kawhi.credit.weights import packed_paragraph_weights, paragraph_weights
    from kawhi.models.families.view import View
    from kawhi.models.passes import Passes, capture
    from kawhi.models.visual_tokens import select_visual_tokens, views
    from kawhi.regions.seeds import stable_seed
    from kawhi.regions.selectors import select_attended, select_tokens
    from kawhi.regions.sguf import RegionMap, sguf

__version__ = "0.2.0"

# Imported on first use, so that `import kawhi` costs nothing where only a part is needed.
_HOME = {
    "AlignmentOptions": "kawhi.credit.alignment",
    "Passes": "kawhi.models.passes",
    "RegionMap": "kawhi.regions.sguf",
    "View": "kawhi.models.families.view",
    "capture": "kawhi.models.passes",
    "packed_alignment": "kawhi.credit.alignment",
    "packed_head_alignment": "kawhi.credit.alignment",
    "packed_paragraph_weights": "kawhi.credit.weights",
    "packed_segments": "kawhi.credit.segments",
    "padded_paragraph_weights": "kawhi.credit.padded",
    "padded_segments": "kawhi.credit.padded",
    "paragraph_weights": "kawhi.credit.weights",
    "segment_response": "kawhi.credit.segments",
    "select_attended": "kawhi.regions.selectors",
    "select_tokens": "kawhi.regions.selectors",
    "select_visual_tokens": "kawhi.models.visual_tokens",
    "sguf": "kawhi.regions.sguf",
    "stable_seed": "kawhi.regions.seeds",
    "views": "kawhi.models.visual_tokens",
    "vision_alignment": "kawhi.credit.alignment",
}

__all__ = [
    "AlignmentOptions",
    "Passes",
    "RegionMap",
    "View",
    "capture",
    "packed_alignment",
    "packed_head_alignment",
    "packed_paragraph_weights",
    "packed_segments",
    "padded_paragraph_weights",
    "padded_segments",
    "paragraph_weights",
    "segment_response",
    "select_attended",
    "select_tokens",
    "select_visual_tokens",
    "sguf",
    "stable_seed",
    "views",
    "vision_alignment",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'kawhi' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
