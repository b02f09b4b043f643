"""What is known of every response token: its signals, the proxies of ToR's appendix C, and each method's weight.

Signals are gathered as for a training (:mod:`kawhi.lab.signals`): one forward pass with the image, one with it black,
and one with some of its patches black.  Everything that a pass tells comes from that pass.  Weights follow from signals
alone, of a whole batch, since methods rank its tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from kawhi.base.errors import CellError
from kawhi.credit.alignment import AlignmentOptions
from kawhi.credit.methods import CreditMethod, ResponseBatch, configured, weights_of
from kawhi.credit.readings import TRUTH
from kawhi.credit.segments import packed_segments
from kawhi.lab.alpha import AlphaWatcher, Looking
from kawhi.lab.policy import Policy
from kawhi.lab.rollouts import Rollouts
from kawhi.lab.signals import OF_THE_PASS, OTHER_IMAGES, Gatherer, looking

SIGNALS = OF_THE_PASS.union(*OTHER_IMAGES.values())
"""What every token has, whichever methods are asked for."""

PROXIES = ("logp_diff", "prob_diff", "entropy_diff")
"""What the image adds to a token's log-probability and probability, and how far it lowers the entropy before it."""

ATTENTION = ("attention_last", "attention_mean")
"""The part of the predicting state's attention that falls on the image: last layer, and the mean over layers."""

WEIGHT = "weight "
"""How the columns begin that have a method's weights; its label follows."""


@dataclass(frozen=True)
class Method:
    """A credit method, and the column that has its alpha."""

    credit: CreditMethod
    alpha: str


class TokenProbe:
    """Gathers rows of one policy for the methods of cells, by their labels.

    Args:
        base: settings of every signal, for what no cell sets; of a cell's ``kawhi`` block.

    Attributes:
        methods: by their labels.
        settings: all that rows depend on beside the policy, its responses and their seeds.

    Raises:
        CellError: methods that want one signal made in two ways.
        ValueError: a layer that the model does not have, or one whose attention sees a window alone.
    """

    def __init__(self, policy: Policy, cells: Mapping[str, DictConfig], base: Mapping[str, Any]):
        self._policy = policy
        blocks: dict[str, Any] = {
            label: OmegaConf.to_container(cell.kawhi, resolve=True) for label, cell in cells.items()
        }
        further: dict[str, Looking] = {f"layer {layer}": _whole(policy, layer) for layer in range(layers(policy))}
        alphas = {_way(base): "alignment"}
        self.methods: dict[str, Method] = {}
        for label, kawhi in blocks.items():
            method, alpha = configured(kawhi), "alignment"
            if "alignment" in method.needs:
                alpha = alphas.setdefault(_way(kawhi), f"alignment {label}")
                if alpha == f"alignment {label}":
                    further[alpha] = looking(policy, kawhi)
            self.methods[label] = Method(method, alpha)
        merged = {**base, "signals": _signals(blocks, base["signals"])}
        self.settings = {name: merged[name] for name in ("alignment", "regions", "signals")} | {
            "further": {column: way for way, column in alphas.items() if column != "alignment"}
        }
        self._gather, self._truth = Gatherer(policy, merged, SIGNALS, further), Gatherer(policy, {}, TRUTH)

    def __call__(self, rollouts: Rollouts, step: int) -> pd.DataFrame:
        """A row for each token, response after response; prompts are called as their items are.

        Args:
            step: seeds are made of it.
        """
        with torch.no_grad():
            _, signals = self._gather(rollouts, step, ())
        frame = pd.DataFrame(_places(rollouts, self._policy.tokenizer))
        by_layer = torch.stack([signals.pop(f"layer {layer}") for layer in range(layers(self._policy))])
        frame["attention_last"], frame["attention_mean"] = by_layer[-1].cpu().numpy(), by_layer.mean(0).cpu().numpy()
        for name, values in sorted(signals.items()):
            frame[name] = values.float().cpu().numpy()
        frame["logp_diff"] = frame.log_probs - frame.blank_log_probs
        frame["prob_diff"] = np.exp(frame.log_probs) - np.exp(frame.blank_log_probs)
        frame["entropy_diff"] = frame.blank_entropy - frame.entropy
        if all(item.readings is not None for item in rollouts.items):
            for name, values in self._truth.truth(rollouts).items():
                frame[name] = values.numpy()
        return frame


def layers(policy: Policy) -> int:
    """Decoder layers of the language model."""
    return len(policy.model.model.language_model.layers)


def _whole(policy: Policy, layer: int) -> Looking:
    """Attention to all visual tokens, of the state that predicts a token, in one layer."""
    last = layer == layers(policy) - 1
    options = AlignmentOptions(
        statistic="attention_mass", query_position="predicting", layer="last" if last else layer, heads=None
    )
    return Looking(AlphaWatcher(policy, options, 1.0), None)


def _way(kawhi: Mapping[str, Any]) -> str:
    return json.dumps({name: kawhi.get(name) for name in ("alignment", "regions")}, sort_keys=True)


def _signals(blocks: Mapping[str, Mapping[str, Any]], base: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of signals that all methods share."""
    found: dict[str, tuple[Any, str]] = {}
    for label, kawhi in blocks.items():
        for name, value in (kawhi.get("signals") or {}).items():
            other = found.setdefault(name, (value, label))
            if other[0] != value:
                raise CellError(
                    f"{other[1]} wants kawhi.signals.{name}={other[0]} and {label} {value}: ask for them in two probes"
                )
    return {**base, **{name: value for name, (value, _) in found.items()}}


def _places(rollouts: Rollouts, tokenizer: Any) -> dict[str, Any]:
    """Whose each token is, where it stands, what it says, and how its response was judged."""
    lengths = rollouts.lengths.cpu()
    ids, offsets = rollouts.token_ids.cpu(), rollouts.offsets.cpu()
    own = torch.arange(len(lengths)).repeat_interleave(lengths)
    index = torch.tensor([item.index for item in rollouts.items])
    return {
        "prompt": index[own // rollouts.group].numpy(),
        "response": (own % rollouts.group).numpy(),
        "position": (torch.arange(len(own)) - offsets[own]).numpy(),
        "token_id": ids.numpy(),
        "token": [tokenizer.decode([token]) for token in ids.tolist()],
        "paragraph": packed_segments(ids, offsets, tokenizer, "paragraph").numpy(),
        "correct": rollouts.correct[own].numpy(),
        "reward": rollouts.rewards.float()[own].numpy(),
    }


def weighed(frame: pd.DataFrame, methods: Mapping[str, Method], tokenizer: Any, prompts: int | None) -> pd.DataFrame:
    """The rows with a column ``weight LABEL`` for each method, whose weights are those of a training's step.

    Args:
        prompts: of a batch, whose tokens methods rank; ``None`` for all.

    Raises:
        RuntimeError: weights that are not one per token, or not finite.
    """
    parts = []
    for batch in _batches(frame, prompts):
        weights = {f"{WEIGHT}{label}": _weights(method, batch, tokenizer) for label, method in methods.items()}
        parts.append(batch.assign(**weights))
    return pd.concat(parts, ignore_index=True)


def _batches(frame: pd.DataFrame, prompts: int | None) -> Iterator[pd.DataFrame]:
    order = frame["prompt"].unique()
    size = prompts or len(order)
    for first in range(0, len(order), size):
        yield frame[frame["prompt"].isin(order[first : first + size])]


def _weights(method: Method, frame: pd.DataFrame, tokenizer: Any) -> np.ndarray:
    return weights_of(method.credit, response_batch(frame, method, tokenizer)).float().numpy()


def response_batch(frame: pd.DataFrame, method: Method, tokenizer: Any) -> ResponseBatch:
    """What a method sees of rows."""
    first = (frame["position"] == 0).to_numpy()
    heads = frame[first]
    starts: Sequence[int] = [*np.flatnonzero(first).tolist(), len(frame)]
    columns = {name: method.alpha if name == "alignment" else name for name in method.credit.needs}
    signals = {name: torch.tensor(frame[column].to_numpy()).float() for name, column in columns.items()}
    correct: Tensor = torch.tensor(heads["correct"].to_numpy())
    return ResponseBatch(
        torch.tensor(frame["token_id"].to_numpy()),
        torch.tensor(starts),
        signals,
        tokenizer,
        groups=heads["prompt"].tolist(),
        correct=correct,
        rewards=torch.tensor(heads["reward"].to_numpy()),
    )
