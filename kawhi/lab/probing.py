"""Runs the gradient probe: on a study's methods with sampled rollouts of its world, or with rollouts from a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from kawhi.lab.gradients import Probe, Probed, Recorder, Said, Share
from kawhi.lab.losses import BoxedReward, Objective
from kawhi.lab.policy import Policy
from kawhi.lab.rollouts import Rollouts, item_of, sample
from kawhi.lab.signals import Gatherer
from kawhi.lab.study import Row, Study, compose
from kawhi.lab.study_figures import draw_shares
from kawhi.regions.seeds import stable_seed
from kawhi.runs.verl_settings import settings
from kawhi.tiny.worlds import named, problems_of

Batch = tuple[Rollouts, list[str]]
"""Rollouts of a step, and the kind of paragraph that each of their tokens is in."""


@dataclass(frozen=True)
class Findings:
    """What a probe found.

    Attributes:
        prompts: how many were looked at.
        clear: whether uniform credit has a signal beyond its interval.
    """

    methods: dict[str, Said]
    kinds: dict[str, Share]
    prompts: int
    clear: bool

    def first_line(self, what: str) -> str:
        """What the tables are about, and whether they say anything."""
        if self.clear:
            return f"{what}: gain a step beside uniform credit, from {self.prompts} prompts"
        return f"{what}: {self.prompts} prompts show no signal of uniform credit, so the gains say nothing: take more"


PROMPTS, SHARE = 300, 0.05
"""Unless somebody asks otherwise: prompts of a probe, and the share of all weights whose gradients are kept."""

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


def sampled(policy: Policy, cell: DictConfig, prompts: int) -> Iterator[Batch]:
    """Rollouts of the training split of a cell's world, as many prompts at a time as a step has."""
    found, size = settings(cell), cell.model.image_size
    per_step, group = found.data.train_batch_size, found.actor_rollout_ref.rollout.n
    drawn = enumerate(problems_of(named(cell.data), "train", SEED))
    reward, limit = BoxedReward(cell), found.data.max_response_length
    for first in range(0, prompts, per_step):
        items = [item_of(index, problem, size) for index, problem in islice(drawn, min(per_step, prompts - first))]
        rollouts = sample(policy, items, group, limit, stable_seed(SEED, first), reward)
        yield rollouts, token_kinds(rollouts, policy.tokenizer, known_kinds(rollouts))


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


def run_probe(
    policy: Policy,
    methods: Sequence[Probed],
    batches: Iterator[Batch],
    per_step: int,
    share: float,
    told: Callable[[int], None],
) -> Findings:
    """What the gradients of all batches say of methods and of kinds of paragraphs.

    Raises:
        CellError: too few prompts have a gradient.
    """
    recorder = Recorder(policy, share, SEED)
    for step, (rollouts, kinds) in enumerate(batches):
        recorder.add(rollouts, methods, kinds, step)
        told(len(rollouts.items))
    try:
        probe = Probe(recorder.found, per_step)
    except ValueError as error:
        raise CellError(str(error)) from error
    return Findings(probe.methods(), probe.kinds(), recorder.found.prompts, probe.clear)


def probe_study(study: Study, family: str, prompts: int, share: float, told: Callable[[int], None]) -> Findings:
    """The probe of a study's methods from its warm start."""
    torch.set_num_threads(1)
    cells = {row.label: compose(study, row, family) for row in rows_of(study)}
    first = next(iter(cells.values()))
    policy = Policy(resolve_package_paths(first.model.path))
    per_step = settings(first).data.train_batch_size
    return run_probe(policy, probed(policy, cells), sampled(policy, first, prompts), per_step, share, told)


def write_probe(found: Findings, what: str, folder: Path) -> str:
    """Writes tables and a figure into a folder; returns what is printed."""
    methods, kinds = found.methods, found.kinds
    first = pd.DataFrame(
        {
            "method": label,
            "signal to noise of a step": f"{said.signal_to_noise:.3f}",
            "gain a step, SGD [95 %]": "1" if label == UNIFORM else str(said.sgd),
            "gain a step, Adam [95 %]": "1" if label == UNIFORM else str(said.adam),
        }
        for label, said in methods.items()
    )
    second = pd.DataFrame(
        {"paragraph": kind, "share of the signal [95 %]": str(own.signal), "share of the noise [95 %]": str(own.noise)}
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
    draw_shares(kinds, what, [folder / f"signal-{name}.{kind}" for kind in ("png", "pdf")])
    return text
