"""The table of `make methods`: what each credit method does to the weights, and what it costs, per base algorithm."""

from __future__ import annotations

import itertools

import pandas as pd

from analysis.records import columns, one_each, source
from analysis.table import CAUTION, EMPTY, Group, Table, Value, empty_group, empty_line, plain

NAME = "methods"
COMMAND = "python experiments/run.py -m experiment=methods"
ALGORITHMS = {"grpo": "GRPO", "dapo": "DAPO", "dapo_no_kl": "DAPO without KL", "gspo": "GSPO", "sapo": "SAPO"}
METHODS = {
    "uniform": "uniform",
    "kawhi": "KAWHI",
    "ft_rl": "FT-RL",
    "vppo": "VPPO",
    "papo": "PAPO",
    "tor": "ToR",
    "step_grpo": "Step-GRPO",
    "kawhi_ft_rl": "KAWHI × FT-RL",
}
COLUMNS = ("Mean weight", "Weight 0 (%)", "Signals, weights (s)", "Other images (s)", "Step (s)", "Added (%)")
SIGNALS = tuple(
    f"timing_s/kawhi_{part}" for part in ("regions", "alignment", "nucleus_entropy", "weights")
)  # in verl's own passes
PASSES = ("timing_s/kawhi_perturbed_pass", "timing_s/kawhi_blank_pass")
NOTES = (
    "Weights are means over tokens and over all steps; seconds are means per step, the first step left out, which pays "
    "for start-up. Signals, weights: work inside verl's own passes, and region selection, which overlaps with "
    "generation. Other images: further forward passes. Added: both over the time of a step without them.",
)


def methods_table(every: pd.DataFrame) -> Table:
    """Every pair of base algorithm and credit method that was timed; a group per model and number of steps."""
    own = every[every.study == "timing"]
    timed = {*zip(own.algorithm, own.credit, strict=True)}
    pairs = [*itertools.product(ALGORITHMS, METHODS)]
    rows = {pair: _label(*pair) for pair in pairs if pair in timed or timed.isdisjoint(pairs)}
    groups = []
    for name, long, column in columns(own, ["provenance", "model", "steps"], "{provenance}: {model}, {steps} steps"):
        found = one_each(column, ["algorithm", "credit"])
        lines = [
            _texts(found[pair], label) if pair in found else empty_line(len(COLUMNS)) for pair, label in rows.items()
        ]
        groups.append(Group(name, COLUMNS, lines, f"{long}.", CAUTION[column.provenance.iloc[0]]))
    return Table(
        name=NAME,
        caption="Credit methods on every base algorithm: weights, and what they cost.",
        rows=[*rows.values()],
        groups=groups or [empty_group(COLUMNS, len(rows))],
        command=COMMAND,
        notes=NOTES,
    )


def _label(algorithm: str, credit: str) -> str:
    return f"{ALGORITHMS[algorithm]}, {METHODS[credit]}"


def _texts(row: pd.DataFrame, label: str) -> tuple[Value, ...]:
    (record,) = row.result
    curves = record.training.weight_mean, record.training.weight_zero_share
    weight, zero = (sum(value for value in curve if value is not None) / record.steps for curve in curves)
    seconds = record.run.timing_s
    inside, passes = (sum(seconds.get(name, 0.0) for name in names) for names in (SIGNALS, PASSES))
    step = seconds["timing_s/step"]
    return plain(
        f"{weight:.3f}",
        f"{100 * zero:.1f}",
        f"{inside:.3f}",
        EMPTY if seconds.keys().isdisjoint(PASSES) else f"{passes:.3f}",
        f"{step:.2f}",
        f"{100 * (inside + passes) / (step - inside - passes):.1f}",
        source=source(label, row, COMMAND),
    )
