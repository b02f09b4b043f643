"""Small studies of the lab: cells, and rollouts whose groups are mixed."""

from __future__ import annotations

from itertools import islice

import torch
from omegaconf import DictConfig

from kawhi.base.checkout import configuration_folder
from kawhi.lab.policy import Policy
from kawhi.lab.rollouts import Rollouts, item_of, sample
from kawhi.runs.composing import compose_cell
from kawhi.tiny.worlds import problems_of

SHIPPED = {"qwen2_5_vl": "tiny_qwen2_5_vl", "qwen3_vl": "tiny_qwen3_vl"}


def cell_of(family: str, *overrides: str) -> DictConfig:
    """A cell of the reading world on the family's first checkpoint, which knows no answer of that world well."""
    return compose_cell(configuration_folder(), [f"model={SHIPPED[family]}", "data=reading", *overrides])


def rollouts_of(policy: Policy, cell: DictConfig, prompts: int, group: int = 4, seed: int = 0) -> Rollouts:
    """Responses to readings, every second of which is called right, so that all groups have advantages."""
    problems = islice(problems_of("reading_plain", "train", seed), prompts)
    items = [item_of(index, problem, cell.model.image_size) for index, problem in enumerate(problems)]

    def alternating(texts, answers, lengths):
        right = torch.arange(len(texts)) % 2 == 0
        return right, right.float()

    return sample(policy, items, group, 48, seed, alternating)
