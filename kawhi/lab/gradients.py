"""Where the gradient's signal lies, and what each credit method would gain a step: from rollouts, without training.

A prompt's gradient is that of verl's own loss, credited by a method, restricted to some coordinates that are drawn
once.  The mean gradient of uniform credit is the direction in which the expected reward rises.  A method's signal is
its mean gradient's part along it; its gain a step is that part of a step of fixed length, in units of uniform
credit's.  Products are taken between different prompts only, so that nobody's noise counts as signal, and what Adam
divides them by is taken from others again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kawhi.credit.methods import CreditMethod, ShapesRewards, credit
from kawhi.lab.losses import Objective, added_loss
from kawhi.lab.own_mistakes import mistakes_told
from kawhi.lab.policy import Policy, token_log_probs
from kawhi.lab.rollouts import Rollouts, part_of
from kawhi.lab.signals import Gatherer

UNIFORM = "uniform"
FOLDS = 10
"""Of the prompts, where a product's divisor is taken from the folds that its two prompts are not in."""
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Probed:
    """A credit method of the probe: how it weighs, where its signals come from, and what it minimises."""

    label: str
    method: CreditMethod
    gather: Gatherer
    objective: Objective


@dataclass(frozen=True)
class Estimate:
    """A ratio to uniform credit, with its 95 % interval over resampled prompts."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass
class Gradients:
    """Gradients of prompts, at some coordinates: of each method, and of uniform credit in each kind of paragraph.

    Attributes:
        prompts: how many were looked at, those without any advantage among them; their gradients are 0.
    """

    prompts: int = 0
    methods: dict[str, list[Vectors]] = field(default_factory=dict)
    kinds: dict[str, list[Vectors | None]] = field(default_factory=dict)

    def extend(self, other: Gradients) -> None:
        """Puts the prompts of ``other`` after these."""
        before = len(self.methods.get(UNIFORM, []))
        self.prompts += other.prompts
        for label, rows in other.methods.items():
            self.methods.setdefault(label, []).extend(rows)
        for kind, found in other.kinds.items():
            own = self.kinds.setdefault(kind, [])
            own += [None] * (before - len(own)) + found

    def of_method(self, label: str) -> Vectors:
        """``(n, D)`` of the prompts that have any."""
        return np.stack(self.methods[label])

    def of_kind(self, kind: str) -> Vectors:
        """``(n, D)``; 0 where a prompt's responses have no such paragraph."""
        rows, empty = self.kinds[kind], np.zeros_like(self.methods[UNIFORM][0])
        missing = len(self.methods[UNIFORM]) - len(rows)
        return np.stack([empty if row is None else row for row in (*rows, *[None] * missing)])


class Recorder:
    """Takes the gradients of one policy.

    Args:
        share: of the coordinates of each weight that are kept.
    """

    def __init__(self, policy: Policy, share: float, seed: int):
        self._policy = policy
        self._weights = [weight for weight in policy.model.parameters() if weight.requires_grad]
        generator = torch.Generator().manual_seed(seed)
        self._kept = []
        for weight in self._weights:
            count = max(1, round(share * weight.numel()))
            drawn = torch.randint(weight.numel(), (count,), generator=generator)
            self._kept.append(drawn.to(weight.device))

    def of(self, rollouts: Rollouts, probed: Sequence[Probed], kinds: Sequence[str], step: int) -> Gradients:
        """The gradients of every prompt of a step.

        Args:
            probed: uniform credit first.
            kinds: of each token's paragraph, response after response.
        """
        gatherers = dict.fromkeys(each.gather for each in probed)
        seen = {gather: gather(rollouts, step, ()) for gather in gatherers}
        coefficients = {each.label: token_coefficients(rollouts, each, *seen[each.gather]) for each in probed}
        of_kind = {
            kind: coefficients[UNIFORM] * torch.tensor([own == kind for own in kinds]) for kind in dict.fromkeys(kinds)
        }
        found = Gradients(len(rollouts.items))
        for prompt in range(len(rollouts.items)):
            places = rollouts.places([prompt])
            own = {label: values[places] for label, values in coefficients.items()}
            if not any(bool(values.any()) for values in own.values()):
                continue
            prompts, tokens, mask = part_of(rollouts, [prompt])
            log_probs = token_log_probs(self._policy.logits(prompts, tokens, mask), tokens[mask])
            methods = {label: [self._gradient(log_probs, values)] for label, values in own.items()}
            there = {kind: values[places] for kind, values in of_kind.items() if bool(values[places].any())}
            rows: dict[str, list[Vectors | None]] = {
                kind: [self._gradient(log_probs, values)] for kind, values in there.items()
            }
            found.extend(Gradients(0, methods, rows))
        return found

    def _gradient(self, log_probs: Tensor, coefficients: Tensor) -> Vectors:
        found = torch.autograd.grad(
            log_probs @ coefficients.to(log_probs), self._weights, retain_graph=True, allow_unused=True
        )
        rows = [
            torch.zeros(len(kept)) if each is None else each.reshape(-1)[kept].float().cpu()
            for each, kept in zip(found, self._kept, strict=True)
        ]
        return torch.cat(rows).numpy()


def token_coefficients(rollouts: Rollouts, probed: Probed, log_probs: Tensor, signals: Mapping[str, Tensor]) -> Tensor:
    """``(S,)`` by what the gradient of each token's log-prob is multiplied in the gradient of a method's loss.

    Args:
        log_probs, signals: of the policy that made the rollouts; signals that the method does not need stay out.

    Raises:
        CellError: of a method from elsewhere that fails.
    """
    with mistakes_told(probed.label, probed.method):
        return _coefficients(rollouts, probed, log_probs, signals)


def _coefficients(rollouts: Rollouts, probed: Probed, log_probs: Tensor, signals: Mapping[str, Tensor]) -> Tensor:
    rewards = rollouts.rewards
    tokenizer = probed.gather.tokenizer
    if isinstance(probed.method, ShapesRewards):
        rewards = probed.method.shaped_rewards(rollouts.batch(tokenizer, {}, rewards))
    mask = rollouts.mask.cpu()
    base = probed.objective.advantages(rollouts, rewards)
    own = {name: signals[name] for name in probed.method.needs}
    changed, weights = credit(probed.method, rollouts.batch(tokenizer, own, rewards), base[mask])
    variable = log_probs.detach().requires_grad_()
    weighted = base.masked_scatter(mask, changed * weights)
    added = added_loss(probed.method, variable, own)
    loss = probed.objective.loss(rollouts, variable, log_probs.detach(), weighted, added)
    (found,) = torch.autograd.grad(-loss, variable)
    return found.cpu()


@dataclass(frozen=True)
class Said:
    """What the probe says of a method, or of a kind of paragraph.

    Attributes:
        signal_to_noise: of a step: squared length of its mean gradient along uniform credit's over that of the rest.
        sgd, adam: gain a step of fixed length beside uniform credit, coordinates as they are, or each divided by the
            root mean square of the method's own gradients of prompts.  Adam's is that of steps, which differs by a
            constant where a coordinate's noise is larger than its signal.
    """

    signal_to_noise: float
    sgd: Estimate
    adam: Estimate


@dataclass(frozen=True)
class Share:
    """Shares of uniform credit's gradient that lie in one kind of paragraph.

    Attributes:
        signal, noise: of the gradient as it is.
        signal_adam, noise_adam: of the gradient whose coordinates are divided by their root mean squares.
    """

    signal: Estimate
    noise: Estimate
    signal_adam: Estimate
    noise_adam: Estimate


class Probe:
    """The estimates from a set of gradients.

    Args:
        per_step: prompts of a training step, of which a step's gradient is the mean.
        resamples: of the prompts, for the intervals.

    Raises:
        ValueError: fewer than three prompts with a gradient.
    """

    def __init__(self, found: Gradients, per_step: int, resamples: int = 1000, seed: int = 0):
        uniform = found.of_method(UNIFORM)
        if len(uniform) < 3:
            raise ValueError(f"{len(uniform)} of {found.prompts} prompts have a gradient: sample more of them")
        self._found, self._uniform, self._per_step = found, uniform, per_step
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(len(uniform), np.full(len(uniform), 1 / len(uniform)), size=resamples)
        self._weights = np.concatenate([np.ones((1, len(uniform))), drawn])  # the sample itself comes first

    def clear(self, *, adam: bool = False) -> bool:
        """Whether uniform credit has a signal beyond its interval; without one, ratios to it say nothing."""
        return float(np.percentile(self._gains(self._uniform, adam=adam)[1:], 2.5)) > 0

    def methods(self) -> dict[str, Said]:
        """Of each method, uniform credit first."""
        base = self._gains(self._uniform), self._gains(self._uniform, adam=True)
        said = {}
        for label in self._found.methods:
            own = self._found.of_method(label)
            sgd, adam = self._gains(own), self._gains(own, adam=True)
            said[label] = Said(self._signal_to_noise(own), _ratio(sgd, base[0]), _ratio(adam, base[1]))
        return said

    def kinds(self) -> dict[str, Share]:
        """Of each kind of paragraph; Adam's division is that of uniform credit's gradient for all of them."""
        uniform = self._uniform
        scale = _adam_scale((uniform.astype(np.float64) ** 2).sum(axis=0), len(uniform))
        signal, noise = self._cross(uniform), self._squares(uniform)
        signal_adam, noise_adam = self._cross(uniform, uniform), self._squares(uniform * scale)
        shares = {}
        for kind in self._found.kinds:
            own = self._found.of_kind(kind)
            shares[kind] = Share(
                _ratio(self._cross(own), signal),
                _ratio(self._squares(own), noise),
                _ratio(self._cross(own, uniform), signal_adam),
                _ratio(self._squares(own * scale), noise_adam),
            )
        return shares

    def _gains(self, own: Vectors, *, adam: bool = False) -> NDArray[np.float64]:
        """For each resample: the part of a step along uniform credit's mean gradient, over the step's length."""
        if adam:
            return self._cross(own, own)
        return self._cross(own) / np.sqrt(self._step_squares(own))

    def _cross(self, own: Vectors, divided_by: Vectors | None = None) -> NDArray[np.float64]:
        """Means of the products of different prompts' gradients, one's own and uniform credit's.

        Args:
            divided_by: coordinates are divided by the root mean square of these, as Adam does.  For a product that is
                taken over prompts of other folds: a prompt that is rare and large would else set its own divisor, and
                products of nothing but noise would not be 0 in the mean.
        """
        products = own @ self._uniform.T if divided_by is None else self._divided(own, divided_by)
        products = products.astype(np.float64)
        np.fill_diagonal(products, 0.0)
        weights = self._weights
        pairs = weights.sum(axis=1) ** 2 - (weights**2).sum(axis=1)
        return np.einsum("ri,ij,rj->r", weights, products, weights, optimize=True) / pairs

    def _divided(self, own: Vectors, divided_by: Vectors) -> Vectors:
        """``(n, n)`` products with uniform credit's, fold by fold."""
        count = len(own)
        folds = [np.arange(fold, count, FOLDS) for fold in range(min(FOLDS, count))]
        squares = [(divided_by[fold].astype(np.float64) ** 2).sum(axis=0) for fold in folds]
        products = np.zeros((count, count), np.float32)
        for i, first in enumerate(folds):
            for j, second in enumerate(folds):
                others = [k for k in range(len(folds)) if k not in (i, j)]
                scale = _adam_scale(sum(squares[k] for k in others), sum(len(folds[k]) for k in others))
                products[np.ix_(first, second)] = (own[first] * scale) @ self._uniform[second].T
        return products

    def _squares(self, own: Vectors) -> NDArray[np.float64]:
        """Mean squared length of a prompt's gradient."""
        lengths = np.einsum("nd,nd->n", own, own, dtype=np.float64)
        return self._weights @ lengths / self._weights.sum(axis=1)

    def _step_squares(self, own: Vectors) -> NDArray[np.float64]:
        """Mean squared length of a step's gradient: the signal, and the noise of so many prompts."""
        signal = self._along(own)
        return signal + np.maximum(self._squares(own) - signal, 0) / self._per_step

    def _along(self, own: Vectors) -> NDArray[np.float64]:
        """Squared length of the mean gradient along uniform credit's."""
        base = self._cross(self._uniform)
        return self._cross(own) ** 2 / np.maximum(base, 1e-30)

    def _signal_to_noise(self, own: Vectors) -> float:
        signal = float(self._along(own)[0])
        noise = (float(self._squares(own)[0]) - signal) / self._per_step
        return signal / noise if noise > 0 else float("nan")


def _adam_scale(squares: NDArray[np.float64], count: int) -> Vectors:
    """``(D,)`` by what Adam multiplies each coordinate: one over its root mean square; 0 where nothing was seen.

    Args:
        squares: ``(D,)`` their sums over ``count`` prompts.
    """
    root = np.sqrt(squares / count)
    return np.divide(1.0, root, out=np.zeros_like(root), where=root > 0).astype(np.float32)


def _ratio(own: NDArray[np.float64], base: NDArray[np.float64]) -> Estimate:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = own / base
    low, high = np.nanpercentile(ratios[1:], [2.5, 97.5])
    return Estimate(float(ratios[0]), float(low), float(high))
