"""The table of `make methods`: what each credit method does to the weights, and what it costs, per base algorithm."""

from __future__ import annotations

from analysis.records import TableError, Timing, source
from analysis.table import CAUTION, EMPTY, Group, Table, Value, empty_group, plain

NAME = "methods"
COMMAND = "python experiments/run.py -m experiment=methods"
ALGORITHMS = {"grpo": "GRPO", "dapo": "DAPO", "dapo_no_kl": "DAPO without KL", "gspo": "GSPO", "sapo": "SAPO"}
METHODS = {
    "uniform": "uniform",
    "kawhi": "KAWHI",
    "ft_rl": "FT-RL",
    "vppo": "VPPO",
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


def methods_table(records: list[Timing]) -> Table:
    """Every pair of base algorithm and credit method that was timed; a group per model and number of steps."""
    pairs = [(algorithm, credit) for algorithm in ALGORITHMS for credit in METHODS]
    rows = [pair for pair in pairs if any((r.algorithm, r.credit) == pair for r in records)] or pairs
    groups = []
    for column in sorted({r.column for r in records}):
        own: dict[tuple[str, str], Timing] = {}
        for record in (r for r in records if r.column == column):
            pair = record.algorithm, record.credit
            if twin := own.get(pair):
                raise TableError(f"{twin.file} and {record.file} are one row of one column but different hashes.")
            own[pair] = record
        provenance, model, steps = column
        name = f"{provenance}: {model}, {steps} steps"
        groups.append(Group(name, COLUMNS, [_texts(own.get(pair)) for pair in rows], f"{name}.", CAUTION[provenance]))
    return Table(
        name=NAME,
        caption="Credit methods on every base algorithm: weights, and what they cost.",
        rows=[f"{ALGORITHMS[algorithm]}, {METHODS[credit]}" for algorithm, credit in rows],
        groups=groups or [empty_group(COLUMNS, len(rows))],
        command=COMMAND,
        notes=NOTES,
    )


def _texts(record: Timing | None) -> tuple[Value, ...]:
    if record is None:
        return plain(*(EMPTY,) * len(COLUMNS))
    inside = sum(record.seconds.get(name, 0.0) for name in SIGNALS)
    passes = sum(record.seconds.get(name, 0.0) for name in PASSES)
    step = record.seconds["timing_s/step"]
    return plain(
        f"{record.weight_mean:.3f}",
        f"{100 * record.zero_share:.1f}",
        f"{inside:.3f}",
        f"{passes:.3f}" if any(name in record.seconds for name in PASSES) else EMPTY,
        f"{step:.2f}",
        f"{100 * (inside + passes) / (step - inside - passes):.1f}",
        source=source(f"{ALGORITHMS[record.algorithm]}, {METHODS[record.credit]}", [record], COMMAND),
    )
