"""What a page shows, as plain data: nothing here knows a model, HTML or matplotlib."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kawhi.probes.grounding import Comparison

COSINE, ATTENTION = "cosine", "attention"
"""What a heat map shows."""


@dataclass(frozen=True)
class Scene:
    """An image as the model sees it, on its grid of visual tokens.

    Attributes:
        image: the pixels, as a data URI.
        width, height: of these pixels as the model sees them.
        rows, columns: of the grid; 0 where no regions were asked for.
        labels: ``(rows * columns,)`` region of each visual token, row-major.
        key: whether each visual token lies in a key region.
        kept: the selected visual tokens.
    """

    image: str
    width: int
    height: int
    rows: int = 0
    columns: int = 0
    labels: list[int] = field(default_factory=list)
    key: list[bool] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Paragraph:
    """One paragraph (or sentence) of an answer.

    Attributes:
        text: decoded, without the white space around it.
        tokens: number of response tokens.
        weight: of its tokens, equation 15; their mean where they differ.
        alpha: mean over its tokens, equation 14; None for a method without alignment.
        head_alpha: the same for every head of the model, whether alpha averages over it or not.
        heat: ``(rows * columns,)`` cosine of equation 12 with each visual token, or the share of attention on it where
            alpha is made of that; mean over heads and tokens.
        measures: mean over its tokens of what else the method looks at, by the names of
            :data:`kawhi.credit.measures.MEASURES`.
    """

    text: str
    tokens: int
    weight: float
    alpha: float | None = None
    head_alpha: list[float] = field(default_factory=list)
    heat: list[float] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Tokens:
    """What a method looked at in training, and what it made of it, token by token.

    Attributes:
        texts: ``(T,)`` what each token says.
        weights: ``(T,)``.
        measures: ``(T,)`` values of each, by the names of :data:`kawhi.credit.measures.MEASURES`.
    """

    texts: list[str]
    weights: list[float]
    measures: dict[str, list[float]]


@dataclass(frozen=True)
class Course:
    """All tokens of a training, step by step, as :mod:`kawhi.verl_plugin.step_tokens` keeps them.

    Attributes:
        steps: those that were kept, ascending.
        shown: the step that the page is about, one of them.
        kept: what the file of each step says.
        uncertainty, perception: the measures whose means push and pull; the second is None for a method that asks
            nothing of the image.
    """

    steps: list[int]
    shown: int
    kept: list[dict[str, Any]]
    uncertainty: str
    perception: str | None


@dataclass(frozen=True)
class Control:
    """An answer read again under one condition of :data:`kawhi.probes.grounding.CONDITIONS`.

    Attributes:
        alpha: of each paragraph under the condition.
    """

    condition: str
    alpha: list[float]
    comparison: Comparison


@dataclass(frozen=True)
class Answer:
    """One response.

    Attributes:
        name: e.g. ``Greedy answer``.
        reward, advantage: as recorded in training, the advantage before weighting.
        notes: sentences a reader must know.
        tokens: of a training's response, where the method looks at more than alpha, or at tokens one by one.
        readable: whether the model can read such a picture at all.
    """

    name: str
    paragraphs: list[Paragraph]
    controls: list[Control] = field(default_factory=list)
    reward: float | None = None
    advantage: float | None = None
    notes: list[str] = field(default_factory=list)
    tokens: Tokens | None = None
    readable: bool = True


@dataclass(frozen=True)
class Explanation:
    """One page.

    Attributes:
        title: where this comes from: an image's name, or a run's and its step.
        heads: the heads that alpha averages over; empty without alignment.
        unit: what the paragraphs are: ``paragraph`` or ``sentence``.
        compared: what the controls rank: the unit of credit, ``paragraph``, ``sentence`` or ``token``.
        w_min: the lightest shade.
        wrong_image: what it shows, in words, and as a data URI; empty without controls.
        notes: sentences a reader must know.
        details: name -> value of everything that the numbers depend on.
        course: of the training that a step is of; None where it kept none.
    """

    title: str
    question: str
    scene: Scene
    answers: list[Answer]
    heads: list[int]
    unit: str
    compared: str
    w_min: float
    heat_shows: str = COSINE
    wrong_image: tuple[str, str] = ("", "")
    notes: list[str] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)
    course: Course | None = None

    @property
    def heat_limit(self) -> float:
        """The value with the fullest colour: one scale for all heat maps."""
        return max((abs(v) for a in self.answers for p in a.paragraphs for v in p.heat), default=0.0)

    @property
    def heat_least(self) -> float:
        """The other end of that scale: no share is below 0."""
        return -self.heat_limit if self.heat_shows == COSINE else 0.0

    @property
    def heat_digits(self) -> int:
        """Decimals of that scale: of many visual tokens each has a small share."""
        return 2 if self.heat_shows == COSINE else 4

    @property
    def heaviest(self) -> float:
        """The weight with the fullest shade: one scale for all answers."""
        return max(p.weight for a in self.answers for p in a.paragraphs)
