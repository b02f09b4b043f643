"""The log-probs of a step's responses and the signals that a credit method needs, as the trainer through verl gathers.

What a method may need is listed in ``docs/adding_a_method.md``; here all of it comes from the pass with gradients, and
from one more pass for each kind of other images.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from kawhi.base.errors import CellError
from kawhi.credit.alignment import AlignmentOptions
from kawhi.credit.entropy import nucleus_entropy
from kawhi.credit.readings import TRUTH, truth_signals
from kawhi.lab.alpha import AlphaWatcher, Looking, Selector, Together
from kawhi.lab.policy import PER_PATCH, Policy, entropies, token_log_probs
from kawhi.lab.rollouts import Rollouts, part_of
from kawhi.models.blacken import blacken, random_rows
from kawhi.regions.seeds import stable_seed

OF_THE_PASS = frozenset({"log_probs", "entropy", "nucleus_entropy", "alignment"})
OTHER_IMAGES = {
    "perturbed": frozenset({"perturbed_log_probs"}),
    "blank": frozenset({"blank_log_probs", "blank_entropy"}),
}
KNOWN = OF_THE_PASS | TRUTH | frozenset().union(*OTHER_IMAGES.values())


def looking(policy: Policy, kawhi: Mapping[str, Any]) -> Looking:
    """Alpha as the blocks ``alignment`` and ``regions`` of a cell describe it."""
    regions = kawhi["regions"]
    watcher = AlphaWatcher(policy, AlignmentOptions(**kawhi["alignment"]), regions["keep_ratio"])
    return Looking(watcher, Selector(policy.processor, regions))


class Gatherer:
    """Gathers what one configuration needs, from one policy.

    Args:
        kawhi: the block of a cell: ``alignment``, ``regions`` and ``signals`` are read where a signal needs them.
        needs: signals.
        further: columns beside the signals that come of looking at the true image, in the pass that is run anyway.

    Raises:
        CellError: a signal that nobody can gather.
    """

    def __init__(
        self,
        policy: Policy,
        kawhi: Mapping[str, Any],
        needs: Collection[str],
        further: Mapping[str, Looking] | None = None,
    ):
        if unknown := sorted(set(needs) - KNOWN):
            raise CellError(f"nobody can gather the signal {unknown[0]}; known: {', '.join(sorted(KNOWN))}")
        self._policy, self.needs, self._options = policy, frozenset(needs), kawhi.get("signals") or {}
        self._looks = dict(further or {})
        self._columns = [*self.needs, *self._looks]
        if "alignment" in self.needs:
            self._looks["alignment"] = own = looking(policy, kawhi)
            self.select = own.select

    @property
    def tokenizer(self) -> Any:
        return self._policy.tokenizer

    def __call__(self, rollouts: Rollouts, step: int, trained: Collection[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """Log-probs of all tokens, with gradients in the groups ``trained``, and the signals, each ``(S,)``.

        Args:
            step: seeds are made of it.
            trained: prompts; a group whose advantages are all 0 has no gradient to wait for.
        """
        others = [prompt for prompt in range(len(rollouts.items)) if prompt not in trained]
        places, found = [], []
        for prompts, context in ((sorted(trained), nullcontext()), (others, torch.no_grad())):
            for chunk in rollouts.chunks(prompts):
                with context:
                    found.append(self._pass(rollouts, chunk, step))
                places.append(rollouts.places(chunk))
        order = torch.cat(places).argsort()
        columns = {name: torch.cat([part[name] for part in found])[order] for name in found[0]}
        log_probs = columns["log_probs"]
        for prefix, names in OTHER_IMAGES.items():
            if names & self.needs:
                columns |= self._beside_other_images(rollouts, prefix, step)
        if self.needs & TRUTH:
            columns |= self.truth(rollouts)
        return log_probs, {name: columns[name].detach() for name in self._columns}

    def _pass(self, rollouts: Rollouts, chunk: Sequence[int], step: int) -> dict[str, Tensor]:
        prompts, tokens, mask = part_of(rollouts, chunk)
        for look in self._looks.values():
            look.choose(prompts, [rollouts.items[i].index for i in chunk], step)
        watchers = Together([look.watcher for look in self._looks.values()]) if self._looks else None
        logits = self._policy.logits(prompts, tokens, mask, watchers)
        found = {"log_probs": token_log_probs(logits, tokens[mask])}
        found |= {name: look.watcher.alpha for name, look in self._looks.items()}
        if "entropy" in self.needs:
            found["entropy"] = entropies(logits.detach())
        if "nucleus_entropy" in self.needs:
            found["nucleus_entropy"] = nucleus_entropy(logits.detach(), float(self._options["nucleus_p"]))
        return found

    @torch.no_grad()
    def _beside_other_images(self, rollouts: Rollouts, prefix: str, step: int) -> dict[str, Tensor]:
        """Log-probs and entropies beside images of which some patches, or all, are black."""
        share = 1.0 if prefix == "blank" else float(self._options["perturbed_share"])
        places, log_probs, entropy = [], [], []
        for chunk in rollouts.chunks(range(len(rollouts.items))):
            prompts, tokens, mask = part_of(rollouts, chunk)
            counts = prompts.inputs["image_grid_thw"].prod(dim=1).tolist()
            seeds = [stable_seed(int(self._options["seed"]), rollouts.items[i].index, step) for i in chunk]
            rows = torch.cat([random_rows(count, share, seed) for count, seed in zip(counts, seeds, strict=True)])
            images = self._policy.processor.image_processor
            pixels = blacken(prompts.inputs[PER_PATCH], rows, mean=images.image_mean, std=images.image_std)
            logits = self._policy.logits(prompts.showing(pixels), tokens, mask)
            places.append(rollouts.places(chunk))
            log_probs.append(token_log_probs(logits, tokens[mask]))
            entropy.append(entropies(logits))
        order = torch.cat(places).argsort()
        return {
            f"{prefix}_log_probs": torch.cat(log_probs)[order],
            f"{prefix}_entropy": torch.cat(entropy)[order],
        }

    def truth(self, rollouts: Rollouts) -> dict[str, Tensor]:
        """The signals of :data:`kawhi.credit.readings.TRUTH`.

        Raises:
            CellError: nobody knows what has to be read.
        """
        if rollouts.judged is not None:
            return dict(rollouts.judged)
        readings = [item.readings for item in rollouts.items for _ in range(rollouts.group)]
        if any(each is None for each in readings):
            raise CellError("controls need data whose readings are known")
        return truth_signals(
            [each or () for each in readings],
            rollouts.token_ids.cpu(),
            rollouts.offsets.cpu(),
            self._policy.tokenizer,
        )
