"""Alpha of a group's responses, from the pass that is run anyway: the prompt's keys are seen once for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from kawhi.credit.alignment import AlignmentOptions, packed_alignment
from kawhi.lab.policy import Policy, Prompts
from kawhi.models.attention_capture import AttentionCapture
from kawhi.models.seen import seen_by_model
from kawhi.models.vision_attention import VisionAttentionCapture
from kawhi.regions.selectors import select_attended, select_tokens
from kawhi.regions.sguf import RegionMap, sguf
from kawhi.verl_plugin.seeds import stable_seed


class Selector:
    """Which visual tokens of an image alpha is about: equation 11 and its variants, with one region map an image."""

    def __init__(self, processor: Any, regions: Mapping[str, Any]):
        self._images, self.regions = processor.image_processor, regions

    def __call__(self, image: Image.Image, index: int, step: int) -> NDArray[np.int64] | None:
        """Seeded as in training through verl; ``None`` where the vision encoder chooses."""
        own = self.regions
        if own["strategy"] == "visionzip":
            return None
        seed = stable_seed(stable_seed(int(own["seed"]), index, step), 0)
        return select_tokens(self._map(image), own["strategy"], own["skip_ratio"], seed)

    def _map(self, image: Image.Image) -> RegionMap:
        thresholds = ("structure_threshold", "luminance_threshold", "energy_scale", "sigma")
        return sguf(
            seen_by_model(image, self._images),
            self._images.patch_size * self._images.merge_size,
            **{name: self.regions[name] for name in thresholds},
        )


class AlphaWatcher:
    """Watches a pass of :meth:`kawhi.lab.policy.Policy.logits`; afterwards ``alpha`` has one number for each token."""

    def __init__(self, policy: Policy, options: AlignmentOptions, keep_ratio: float):
        self._policy, self._options, self._keep_ratio = policy, options, keep_ratio
        self._language, self._vision = AttentionCapture(policy.model), VisionAttentionCapture(policy.model)
        self.selected: Sequence[NDArray[np.int64] | None] = ()
        self.alpha = torch.zeros(0)

    def choose(self, selected: Sequence[NDArray[np.int64] | None]) -> None:
        """The visual tokens of each prompt of the next pass."""
        self.selected = selected

    @torch.no_grad()
    def begin(self) -> None:
        # A pass with gradients may be watched, too: here no layer runs twice, which the capture guards against.
        self._language.arm()
        if any(each is None for each in self.selected):
            self._vision.arm()

    @torch.no_grad()
    def saw_prompts(self, prompts: Prompts, group: int) -> None:
        ids = prompts.inputs["input_ids"]
        count, length = ids.shape
        received = self._vision.take() if self._vision.armed else [None] * count
        rows, owners = [], []
        for number, (chosen, attended) in enumerate(zip(self.selected, received, strict=True)):
            if chosen is None:
                chosen = select_attended(attended.cpu().numpy(), self._keep_ratio)
            visual = torch.nonzero(ids[number] == self._policy.image_token)[:, 0]
            own = visual[torch.as_tensor(chosen, device=ids.device)]
            rows.append(own + number * length)
            owners.append(torch.full_like(own, number))
        last = torch.arange(1, count + 1, device=ids.device) * length - 1
        seen = self._take(last, torch.cat(rows))
        self._keys, self._owner = seen.keys, torch.cat(owners)
        self._last, self._group = seen.queries, group

    @torch.no_grad()
    def saw_responses(self, mask: Tensor) -> None:
        count, length = mask.shape
        sequence, column = torch.nonzero(mask, as_tuple=True)
        row = sequence * length + column
        none = row[:0]
        if self._options.query_position == "predicting":
            before = self._take((row - 1).clamp_(min=0), none).queries
            first = self._last[sequence // self._group]
            queries = torch.where((column == 0)[:, None, None], first, before)
        else:
            queries = self._take(row, none).queries
        self.alpha = packed_alignment(
            queries,
            sequence // self._group,  # all responses of a prompt meet its keys
            self._keys,
            self._owner,
            count // self._group,
            metric=self._options.metric,
            query_heads=self._language.query_heads if self._options.heads is None else None,
        )
        self._vision.disarm()

    def _take(self, asking: Tensor, keys: Tensor) -> Any:
        own = self._options
        return self._language.take(asking, keys, metric=own.metric, rope=own.rope, heads=own.heads)
