"""Runs the gradient probe: on a study's methods with sampled rollouts of its world, or with rollouts from a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from omegaconf import DictConfig, OmegaConf

from kawhi.base.checkout import resolve_package_paths
from kawhi.base.errors import CellError
from kawhi.base.files import write_atomically, write_json
from kawhi.credit.methods import configured
from kawhi.credit.readings import TRUTH, truth
from kawhi.credit.segments import packed_segments
from kawhi.lab.comparison import UNIFORM
from kawhi.lab.gradients import Estimate, Gradients, Probe, Probed, Recorder, Said, Share
from kawhi.lab.losses import BoxedReward, Objective
from kawhi.lab.policy import Policy
from kawhi.lab.rollouts import Item, Rollouts, item_of, sample
from kawhi.lab.side_by_side import INHERITED, forked
from kawhi.lab.signals import Gatherer
from kawhi.lab.study import Row, Study, compose
from kawhi.lab.study_figures import draw_shares
from kawhi.regions.seeds import stable_seed
from kawhi.runs.verl_settings import settings
from kawhi.tiny.worlds import named, problems_of


@dataclass(frozen=True)
class Findings:
    """What a probe found.

    Attributes:
        prompts: how many were looked at.
        clear: by the names of columns, whether uniform credit has a signal beyond its interval there.
    """

    methods: dict[str, Said]
    kinds: dict[str, Share]
    prompts: int
    clear: dict[str, bool]

    def first_line(self, what: str) -> str:
        """What the tables are about, and which columns say nothing."""
        unclear = [name for name, clear in self.clear.items() if not clear]
        if len(unclear) == len(self.clear):
            return f"{what}: {self.prompts} prompts show no signal of uniform credit, so gains say nothing: take more"
        told = f"{what}: gain a step beside uniform credit, from {self.prompts} prompts"
        return told + "".join(f"; too few for {name}, where uniform credit has no signal" for name in unclear)

    def said(self, column: str, estimate: Estimate) -> str:
        """An estimate as a table prints it: a ratio to a signal that nobody saw is none."""
        return str(estimate) if self.clear[column] else "–"


PROMPTS, SHARE = 300, 0.05
"""Unless somebody asks otherwise: prompts of a probe, and the share of all weights whose gradients are kept."""

SGD, ADAM = "SGD", "Adam"

SEED = 1000
"""Of the prompts of a probe; no training of a study has it."""


def rows_of(study: Study) -> list[Row]:
    """The rows of a study that a probe can compare: those of its own algorithm, uniform credit first.

    Raises:
        CellError: uniform credit is not among them.
    """
    own = [row for row in study.rows if row.algorithm in (None, study.algorithm)]
    first = [row for row in own if row.credit == UNIFORM]
    if not first:
        raise CellError("a probe compares with uniform credit: add it to the methods")
    return [first[0], *(row for row in own if row is not first[0])]


def probed(policy: Policy, cells: Mapping[str, DictConfig]) -> list[Probed]:
    """The methods of cells, by their labels; the first one is uniform credit.  Those that look alike share a pass."""
    blocks: list[Any] = [OmegaConf.to_container(cell.kawhi, resolve=True) for cell in cells.values()]
    methods = [configured(kawhi) for kawhi in blocks]
    keys = [_looks(kawhi, method.needs) for kawhi, method in zip(blocks, methods, strict=True)]
    shared: dict[str, Gatherer] = {}
    for key, kawhi in zip(keys, blocks, strict=True):
        needs = frozenset[str]().union(*(own.needs for own, its in zip(methods, keys, strict=True) if its == key))
        shared.setdefault(key, Gatherer(policy, kawhi, needs))
    objectives = [Objective(cell) for cell in cells.values()]
    labels = [UNIFORM, *list(cells)[1:]]
    return [
        Probed(label, method, shared[key], objective)
        for label, method, key, objective in zip(labels, methods, keys, objectives, strict=True)
    ]


def _looks(kawhi: Mapping[str, Any], needs: frozenset[str]) -> str:
    """The settings that a method's signals depend on."""
    own = ["alignment", "regions"] if "alignment" in needs else []
    own += ["signals"] if needs - {"alignment", "log_probs", "entropy"} - TRUTH else []
    return json.dumps({name: kawhi.get(name) for name in own}, sort_keys=True)


def steps_of(cell: DictConfig, prompts: int) -> list[list[Item]]:
    """Problems of the training split of a cell's world, as many at a time as a step has."""
    size, per_step = cell.model.image_size, settings(cell).data.train_batch_size
    drawn = enumerate(islice(problems_of(named(cell.data), "train", SEED), prompts))
    items = [item_of(index, problem, size) for index, problem in drawn]
    return [items[first : first + per_step] for first in range(0, prompts, per_step)]


def known_kinds(rollouts: Rollouts) -> list[list[str]]:
    """Of each response, the kinds of its paragraphs, from the readings that the world knows.

    Raises:
        CellError: it knows none.
    """
    readings = [item.readings for item in rollouts.items for _ in range(rollouts.group)]
    if any(each is None for each in readings):
        raise CellError("nobody knows what has to be read: take data=reading, or judged rollouts (docs/bench.md)")
    return [
        [each.kind for each in truth(known or (), text)] for known, text in zip(readings, rollouts.texts, strict=True)
    ]


def token_kinds(rollouts: Rollouts, tokenizer: Any, kinds: Sequence[Sequence[str]]) -> list[str]:
    """The kind of each token's paragraph, response after response.

    Raises:
        CellError: a response with more paragraphs than kinds.
    """
    segments = packed_segments(rollouts.token_ids.cpu(), rollouts.offsets.cpu(), tokenizer, "paragraph").tolist()
    found = []
    for own, (start, end) in zip(kinds, pairwise(rollouts.offsets.tolist()), strict=True):
        if end > start and segments[end - 1] >= len(own):
            raise CellError(f"a response has {segments[end - 1] + 1} paragraphs and kinds for {len(own)}")
        found += [own[segment] for segment in segments[start:end]]
    return found


def run_probe(gradients: Iterable[Gradients], per_step: int, told: Callable[[int], None]) -> Findings:
    """What the gradients of all steps say of methods and of kinds of paragraphs.

    Args:
        told: is called with the number of prompts of each.

    Raises:
        CellError: too few prompts have a gradient.
    """
    found = Gradients()
    for step in gradients:
        found.extend(step)
        told(step.prompts)
    try:
        probe = Probe(found, per_step)
    except ValueError as error:
        raise CellError(str(error)) from error
    clear = {SGD: probe.clear(), ADAM: probe.clear(adam=True)}
    return Findings(probe.methods(), probe.kinds(), found.prompts, clear)


def probe_study(
    study: Study, family: str, prompts: int, share: float, told: Callable[[int], None], *, jobs: int
) -> Findings:
    """The probe of a study's methods from its warm start, so many steps of prompts side by side; the same numbers."""
    torch.set_num_threads(1)
    cells = {row.label: compose(study, row, family) for row in rows_of(study)}
    first = next(iter(cells.values()))
    policy = Policy(resolve_package_paths(first.model.path))
    methods, recorder = probed(policy, cells), Recorder(policy, share, SEED)
    asked, reward, steps = settings(first), BoxedReward(first), steps_of(first, prompts)
    per_step, group, limit = (
        asked.data.train_batch_size,
        asked.actor_rollout_ref.rollout.n,
        asked.data.max_response_length,
    )

    def of_step(step: int) -> Gradients:
        rollouts = sample(policy, steps[step], group, limit, stable_seed(SEED, step * per_step), reward)
        return recorder.of(rollouts, methods, token_kinds(rollouts, policy.tokenizer, known_kinds(rollouts)), step)

    return run_probe(_side_by_side(of_step, len(steps), jobs), per_step, told)


def _side_by_side(work: Callable[[int], Gradients], count: int, jobs: int) -> Iterator[Gradients]:
    """Results of ``work`` in order, from forked processes, which have its policy and need not load it."""
    if jobs == 1:
        yield from map(work, range(count))
        return
    with forked(jobs, work) as pool:
        yield from pool.map(_do, range(count))


def _do(step: int) -> Gradients:
    found: Gradients = INHERITED[-1](step)
    return found


def write_probe(found: Findings, what: str, folder: Path) -> str:
    """Writes tables into a folder, and a figure where Adam's gradient has a signal; returns what is printed."""
    methods, kinds = found.methods, found.kinds
    first = pd.DataFrame(
        {
            "method": label,
            "signal to noise of a step": f"{said.signal_to_noise:.3f}",
            "gain a step, SGD [95 %]": "1" if label == UNIFORM else found.said(SGD, said.sgd),
            "gain a step, Adam [95 %]": "1" if label == UNIFORM else found.said(ADAM, said.adam),
        }
        for label, said in methods.items()
    )
    second = pd.DataFrame(
        {
            "paragraph": kind,
            "share of the signal, SGD [95 %]": found.said(SGD, own.signal),
            "share of the signal, Adam [95 %]": found.said(ADAM, own.signal_adam),
            "share of the noise, SGD [95 %]": str(own.noise),
            "share of the noise, Adam [95 %]": str(own.noise_adam),
        }
        for kind, own in kinds.items()
    )
    parts = [found.first_line(what), *(t.to_markdown(index=False) for t in (first, second))]
    text = "\n\n".join(parts) + "\n"
    name = what.replace(", ", "-")
    write_atomically(folder / f"probe-{name}.md", text)
    said = {
        "prompts": found.prompts,
        "clear": found.clear,
        "methods": {label: asdict(own) for label, own in methods.items()},
        "kinds": {kind: asdict(own) for kind, own in kinds.items()},
    }
    write_json(folder / f"probe-{name}.json", said)
    pictures = [folder / f"signal-{name}.{kind}" for kind in ("png", "pdf")]
    if found.clear[ADAM]:
        draw_shares(kinds, what, pictures)
    else:
        for each in pictures:  # of a run that had one
            each.unlink(missing_ok=True)
    return text
