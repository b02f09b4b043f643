"""What tiny models are shown in a warm start, and how they learn from it.  All values are our choice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import get_args

from kawhi.tiny import reading_world, world
from kawhi.tiny.world import Problem

Lesson = tuple[Problem, str]
"""A problem, and the answer that is to be imitated."""


@dataclass(frozen=True)
class WarmStart:
    """The recipe of the tiny world, from nothing.

    Attributes:
        steps: optimiser steps.
        short_from: share of the steps after which half of the demonstrations are short.  Reading the image is learnt
            from worked answers only, so they come first.
        batch_size: problems per step.
        learning_rate: peak of a cosine schedule with ``warmup`` linear steps.
        digit_weight: loss weight of digit tokens, which carry what was read and computed.
        glyph_weight: weight of the auxiliary loss that names the glyph under each visual token, decayed to zero over
            ``glyph_steps``: a direct signal for the vision encoder, which otherwise hears only from the answers.
    """

    steps: int = 1200
    short_from: float = 0.75
    batch_size: int = 24
    learning_rate: float = 1.5e-3
    warmup: int = 60
    digit_weight: float = 4.0
    glyph_weight: float = 1.0
    glyph_steps: int = 1000
    weight_decay: float = 0.02
    seed: int = 0

    def lessons(self) -> Iterator[list[list[Lesson]]]:
        """For each step its lessons, in groups of answers of similar length: short ones, then worked ones."""
        stream, style = world.problems("warmup", seed=self.seed + 1), random.Random(self.seed)
        for step in range(self.steps):
            batch = list(islice(stream, self.batch_size))
            short = [step >= self.short_from * self.steps and style.random() < 0.5 for _ in batch]
            yield [
                [(problem, problem.short) for problem, is_short in zip(batch, short, strict=True) if is_short],
                [(problem, problem.worked) for problem, is_short in zip(batch, short, strict=True) if not is_short],
            ]


@dataclass(frozen=True)
class ReadingStart(WarmStart):
    """The recipe of the reading world, from the checkpoint of the tiny world.  All answers are worked out.

    Some demonstrations are careless: they misread numbers, and compute rightly with what they read.  So the model
    learns to compute with what it said, not with what it sees (without them it looks again, and says what it did not
    read), and to be unsure of what it sees.

    Attributes:
        careless: share of careless demonstrations.
        misread: probability of each number of a careless demonstration to be misread.
    """

    steps: int = 220
    learning_rate: float = 6e-4
    warmup: int = 10
    glyph_weight: float = 0.25
    glyph_steps: int = 220
    seed: int = 7
    careless: float = 0.5
    misread: float = 0.5

    def lessons(self) -> Iterator[list[list[Lesson]]]:
        """For each step as many plain answers as long ones."""
        difficulties = get_args(reading_world.Difficulty)
        streams = [reading_world.problems("warmup", self.seed, difficulty) for difficulty in difficulties]
        rng = random.Random(self.seed)
        for _ in range(self.steps):
            yield [
                [(problem, self._said(rng, problem)) for problem in islice(stream, self.batch_size // len(streams))]
                for stream in streams
            ]

    def _said(self, rng: random.Random, problem: reading_world.ReadingProblem) -> str:
        if rng.random() >= self.careless:
            return problem.worked
        said = [
            rng.choice([other for other in numbers if other != number]) if rng.random() < self.misread else number
            for number, numbers in zip(problem.readings, reading_world.choices(problem.task), strict=True)
        ]
        return "\n\n".join(reading_world.worked(rng, problem.task, said, problem.difficulty))
