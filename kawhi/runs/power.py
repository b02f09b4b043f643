"""``kawhi plan --power``: how many training seeds a table needs for a verdict, and what they cost.

The variance of a difference of two methods' mean over K benchmarks, with S training seeds each, is taken as

    V = Σ_k d · (1 + (m_k − 1) ρ) / n_k · (q + (1 − q) / S) / K²  +  2 σ² / S

d is the share of the n_k items on which two trainings disagree, m_k the items of a cluster and ρ their correlation, q
the part of the disagreement that is the methods' and not the seeds', σ the standard deviation between training seeds.
The block ``power`` of the configuration states them all.  The test is the tables' own (``analysis/spread.py``): t with
Welch's degrees of freedom, as they are where every variance is estimated as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf
from scipy.stats import nct, t

from kawhi.base.checkout import configuration_folder
from kawhi.base.errors import CellError
from kawhi.base.stage import trains
from kawhi.evaluation.task_runs import task_runs
from kawhi.runs.composing import compose_cells
from kawhi.runs.plan import TABLES, make_plan

MOST = 200
"""Seeds beyond which nobody looks."""


@dataclass(frozen=True)
class Design:
    """What the power of a comparison depends on, in points.

    Attributes:
        lasting: variance by items that further seeds do not lessen.
        passing: variance by items with one seed each, which they do.
        comparisons: of the table; Holm's correction takes the first of them at level / comparisons.
    """

    lasting: float
    passing: float
    comparisons: int
    level: float

    def power(self, effect: float, deviation: float, seeds: int) -> float:
        """Of the two-sided test, at the level of Holm's first step."""
        luck = (2 * deviation**2 + self.passing) / seeds
        weighted = (1 + 5 / (seeds - 1)) * luck
        df = (self.lasting + weighted) ** 2 / (weighted**2 / 2 / (seeds + 1)) - 2
        away = effect / math.sqrt(self.lasting + luck)
        limit = float(t.ppf(1 - self.level / self.comparisons / 2, df))
        return float(nct.sf(limit, df, away) + nct.cdf(-limit, df, away))

    def seeds(self, effect: float, deviation: float, power: float) -> int | None:
        """The fewest for this power; ``None`` where more than :data:`MOST` are needed."""
        return next((count for count in range(2, MOST + 1) if self.power(effect, deviation, count) >= power), None)

    def detectable(self, deviation: float, seeds: int, power: float) -> float:
        """The smallest effect that is found with this power, to a hundredth of a point."""
        return next(effect / 100 for effect in range(1, 10_001) if self.power(effect / 100, deviation, seeds) >= power)


@dataclass(frozen=True)
class Cost:
    """GPU-hours of a table: of its trainings and their evaluations with one seed, and of its untrained models."""

    seed: float
    once: float

    def of(self, seeds: int) -> float:
        return self.seed * seeds + self.once


def print_power(overrides: Sequence[str]) -> None:
    """Prints the seeds and hours of each table that is asked for.

    Raises:
        CellError, TableError, hydra.errors.HydraException: as :func:`kawhi.runs.plan.make_plan`; nothing is compared.
    """
    tables = [word for word in overrides if word.startswith(TABLES)] or [""]
    others = [word for word in overrides if not word.startswith(TABLES)]
    for number, table in enumerate(tables):
        print(end="\n" if number else "")
        print("\n".join(_told([table] * bool(table) + others)))


def _told(overrides: list[str]) -> Iterator[str]:
    cells, _ = compose_cells(configuration_folder(), overrides)
    first = [i for i, cell in enumerate(cells) if cell.seeds == cells[0].seeds]
    trained = [cells[i] for i in first if trains(cells[i])]
    references = 0 if len(trained) < len(first) else len({cell.model.name for cell in trained})
    if (comparisons := len(trained) - references) < 1:
        raise CellError("power is that of a comparison: ask for a table, or for two methods")
    cell, cost = trained[0], _cost(overrides, first)
    unit = "device-hours" if cell.scale.device == "cpu" else "GPU-hours"
    yield f"{' '.join(overrides)}: {comparisons} comparisons, benchmarks: {', '.join(b.title for b in cell.benchmarks)}"
    yield f"{unit}: {cost.seed:,.0f} for one seed of all trainings and its evaluations, {cost.once:,.0f} without seeds"
    corrected = design(cell, comparisons)
    for own, words in ((corrected, "after Holm's correction"), (design(cell, 1), "one comparison, named beforehand")):
        yield from ["", f"seeds of every training for {100 * cell.power.wanted:g} % power, and {unit}; {words}:"]
        yield from _seeds_table(own, cell.power, cost)
    yield from ["", *_protocol(corrected, cell.power, cost, unit), *_assumptions(cell.power)]
    seeds = ",".join(map(str, cell.power.seeds))
    yield f"to run it: python experiments/run.py -m {' '.join(overrides)} seeds.rollout={seeds}"


def design(cell: DictConfig, comparisons: int) -> Design:
    """Of the difference of two cells, with what the configuration assumes."""
    assumed, variance = cell.power, 0.0
    for benchmark in cell.benchmarks:
        runs = task_runs(OmegaConf.to_container(benchmark, resolve=True))  # type: ignore[arg-type]
        alike = assumed.cluster_sizes.get(benchmark.task, 1) * len(runs)
        effective = sum(run.problems for run in runs) / (1 + (alike - 1) * assumed.correlation)
        variance += 1e4 * assumed.discordance / effective / len(cell.benchmarks) ** 2
    lasting = variance * assumed.lasting
    return Design(lasting, variance - lasting, comparisons, assumed.level)


def _cost(overrides: list[str], first: Sequence[int]) -> Cost:
    """Of the cells ``first``, each training once."""
    trained, once = {}, {}
    plan = make_plan(configuration_folder(), overrides)
    for cell in (plan[i] for i in first):
        hours = sum(cell.evaluation_hours.values())
        if cell.device_hours is None:
            once[cell.path.name] = hours
        else:
            trained[cell.path.name] = hours + cell.device_hours
    return Cost(sum(trained.values()), sum(once.values()))


def _seeds_table(own: Design, assumed: DictConfig, cost: Cost) -> Iterator[str]:
    yield "effect" + "".join(f"{f'sd of seeds {deviation:g}':>20}" for deviation in assumed.deviations)
    for effect in assumed.effects:
        counts = [own.seeds(effect, deviation, assumed.wanted) for deviation in assumed.deviations]
        told = [f"over {MOST}" if count is None else f"{count} ({cost.of(count):,.0f} h)" for count in counts]
        yield f"{effect:+6.1f}" + "".join(f"{text:>20}" for text in told)


def _protocol(own: Design, assumed: DictConfig, cost: Cost, unit: str) -> Iterator[str]:
    count = len(assumed.seeds)
    pairs = ((own.detectable(sd, count, assumed.wanted), sd) for sd in assumed.deviations)
    yield f"the protocol's {count} seeds take {cost.of(count):,.0f} {unit}; after the correction they find an effect of"
    yield f"  {', '.join(f'{effect:.2f} (sd {sd:g})' for effect, sd in pairs)} points"


def _assumptions(assumed: DictConfig) -> Iterator[str]:
    yield (
        f"assumed (power in conf/run.yaml): two trainings disagree on {100 * assumed.discordance:g} % of the items, "
        f"{100 * assumed.lasting:g} % of that for good;"
    )
    yield f"  correlation within a cluster {assumed.correlation:g}, two-sided level {assumed.level:g}"
