"""Alpha of a group's responses, from the pass that is run anyway: the prompt's keys are seen once for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from kawhi.credit.alignment import AlignmentOptions, attends
from kawhi.credit.statistics import Vectors, packed_head_statistic
from kawhi.lab.policy import Policy, Prompts, Watcher
from kawhi.models.attention_capture import AttentionCapture
from kawhi.models.seen import seen_by_model
from kawhi.models.vision_attention import VisionAttentionCapture
from kawhi.regions.seeds import stable_seed
from kawhi.regions.selectors import select_attended, select_tokens
from kawhi.regions.sguf import RegionMap, sguf


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
    """Watches a pass of :meth:`kawhi.lab.policy.Policy.logits`; afterwards ``alpha`` has one number for each token.

    Raises:
        ValueError: a layer that the model does not have, or attention of one that sees a window alone.
    """

    def __init__(self, policy: Policy, options: AlignmentOptions, keep_ratio: float):
        self.image_token, self._options, self._keep_ratio = policy.image_token, options, keep_ratio
        self._language = AttentionCapture(policy.model, options.layer)
        self._vision = VisionAttentionCapture(policy.model)
        if attends(options.statistic) and self._language.window is not None:
            raise ValueError(f"kawhi.alignment.statistic={options.statistic}: this layer does not see all tokens")
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
        chosen = self._chosen(prompts)
        seen = prompts.inputs["attention_mask"].bool() if attends(self._options.statistic) else chosen
        owner, column = torch.nonzero(seen, as_tuple=True)
        count, length = seen.shape
        last = torch.arange(1, count + 1, device=seen.device) * length - 1
        found = self._take(last, owner * length + column)
        self._keys = Vectors(found.keys, owner, column)
        self._is_chosen, self._last = chosen[seen], found.queries
        self._group, self._length = group, length

    @torch.no_grad()
    def saw_responses(self, mask: Tensor) -> None:
        response, column = torch.nonzero(mask, as_tuple=True)
        row, position = response * mask.shape[1] + column, self._length + column
        whole = attends(self._options.statistic)
        predicting = self._options.query_position == "predicting"
        found = self._take((row - int(predicting)).clamp_(min=0), row if whole else row[:0])
        queries = found.queries
        if predicting:
            first = self._last[response // self._group]
            queries = torch.where((column == 0)[:, None, None], first, queries)
        keys, chosen, sequence = self._keys, self._is_chosen, response // self._group
        if whole:  # each response has keys of its own behind those of its prompt
            keys, chosen = self._repeated(len(mask))
            keys = Vectors(
                torch.cat([keys.states, found.keys]),
                torch.cat([keys.sequence, response]),
                torch.cat([keys.position, position]),
            )
            chosen, sequence = torch.cat([chosen, chosen.new_zeros(len(row))]), response
        per_head = packed_head_statistic(
            self._options.statistic,
            Vectors(queries, sequence, position - int(predicting)),
            keys,
            len(mask),
            selected=chosen,
            metric=self._options.metric,
            query_heads=self._language.query_heads if self._options.heads is None else None,
        )
        self.alpha = per_head.mean(dim=1)
        self._vision.disarm()

    def _chosen(self, prompts: Prompts) -> Tensor:
        """``(P, L)`` bool, the selected visual tokens."""
        ids = prompts.inputs["input_ids"]
        received = self._vision.take() if self._vision.armed else []
        found = torch.zeros_like(ids, dtype=torch.bool)
        for number, chosen in enumerate(self.selected):
            if chosen is None:
                chosen = select_attended(received[number].cpu().numpy(), self._keep_ratio)
            visual = torch.nonzero(ids[number] == self.image_token)[:, 0]
            found[number, visual[torch.as_tensor(chosen, device=ids.device)]] = True
        return found

    def _repeated(self, responses: int) -> tuple[Vectors, Tensor]:
        """The prompts' keys once for each response, and which of them are selected."""
        of = torch.arange(responses, device=self._is_chosen.device)
        pairs = torch.nonzero(of[:, None] // self._group == self._keys.sequence)
        again = self._keys[pairs[:, 1]]
        return Vectors(again.states, pairs[:, 0], again.position), self._is_chosen[pairs[:, 1]]

    def _take(self, asking: Tensor, keys: Tensor) -> Any:
        own = self._options
        return self._language.take(asking, keys, metric=own.metric, rope=own.rope, heads=own.heads)


class Together:
    """Several watchers of one pass."""

    def __init__(self, watchers: Sequence[Watcher]):
        self._watchers = watchers

    def begin(self) -> None:
        for each in self._watchers:
            each.begin()

    def saw_prompts(self, prompts: Prompts, group: int) -> None:
        for each in self._watchers:
            each.saw_prompts(prompts, group)

    def saw_responses(self, mask: Tensor) -> None:
        for each in self._watchers:
            each.saw_responses(mask)


class Looking:
    """What a pass tells of looking: a watcher, and the visual tokens that it watches.

    Args:
        select: which visual tokens; ``None`` for all.
    """

    def __init__(self, watcher: AlphaWatcher, select: Selector | None):
        self.watcher, self.select = watcher, select

    def choose(self, prompts: Prompts, indices: Sequence[int], step: int) -> None:
        """The visual tokens of the next pass.

        Args:
            indices: of the prompts in the data, which seeds are made of.
        """
        own = self.select
        if own is None:
            counts = (prompts.inputs["input_ids"] == self.watcher.image_token).sum(dim=1).tolist()
            self.watcher.choose([np.arange(count) for count in counts])
        else:
            pairs = zip(prompts.images, indices, strict=True)
            self.watcher.choose([own(image, index, step) for image, index in pairs])
