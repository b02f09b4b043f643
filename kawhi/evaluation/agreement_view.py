"""What ``kawhi judge-agreement`` prints."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kawhi.base.errors import CellError
from kawhi.base.rundir import RunDirectory
from kawhi.evaluation.agreement import Agreement, Compared, agreement, pair, rule_and_judge
from kawhi.evaluation.results import samples_of
from kawhi.evaluation.samples import Sample

QUESTION, TAIL = 160, 240
"""Characters that are shown of a question and of the end of a response."""


@dataclass(frozen=True)
class Comparison:
    """One benchmark in two runs.

    Attributes:
        names: judge and run of both sides.
        judges: agreement of the two judges.
        rules: agreement of the rule with the judge, in each run.
    """

    task: str
    names: tuple[str, str]
    compared: Compared
    judges: Agreement
    rules: tuple[Agreement, Agreement]


def compare(first: Mapping[str, RunDirectory], second: Mapping[str, RunDirectory]) -> list[Comparison]:
    """Every benchmark that was evaluated in both, where judges decided samples in both.

    Args:
        first, second: task -> evaluation.

    Raises:
        CellError: there is none, or the responses differ.
    """
    shared = sorted(first.keys() & second.keys())
    if not shared:
        raise CellError(f"{', '.join(first)} and {', '.join(second)}: no benchmark with samples in common")
    found = []
    for task in shared:
        a, b = samples_of(first[task]), samples_of(second[task])
        compared = pair(a, b, (_name(first[task]), _name(second[task])))
        if compared.pairs:
            judges = agreement([(x.verdict, y.verdict) for x, y in compared.pairs])
            rules = agreement(rule_and_judge(a)), agreement(rule_and_judge(b))
            found.append(Comparison(task, (_label(first[task]), _label(second[task])), compared, judges, rules))
    if not found:
        raise CellError(f"no sample of {', '.join(shared)} has the verdict of a judge in both runs")
    return found


def _name(evaluation: RunDirectory) -> str:
    return f"{evaluation.evaluated.path.name}/{evaluation.path.name}"


def _label(evaluation: RunDirectory) -> str:
    """The judge's model and what it judged."""
    judge = evaluation.load_config().get("judge")
    return f"{judge.model} ({_name(evaluation)})" if judge else _name(evaluation)


def print_comparison(comparisons: Sequence[Comparison], show: int) -> None:
    """Tables, then up to ``show`` disagreements of each benchmark."""
    console = Console() if sys.stdout.isatty() else Console(width=160)  # a pipe has no width to fit into
    for each in comparisons:
        title = f"{each.task}\nA: {each.names[0]}\nB: {each.names[1]}"
        console.print(_summary(each, title))
        console.print(_crossed(each.judges))
        if left_out := _left_out(each.compared):
            console.print(left_out)
        differing = each.compared.disagreements
        for a, b in differing[:show]:
            console.print(_disagreement(a, b))
        if len(differing) > show:
            console.print(f"{len(differing) - show} more disagreements; --show {len(differing)} shows all")
        console.print()


def _summary(each: Comparison, title: str) -> Table:
    table = Table(title=escape(title), title_justify="left")
    for column in ("", "samples", "same verdict", "kappa", "95 % interval"):
        table.add_column(column, justify="left" if not column else "right")
    for name, found in (
        ("judge A, judge B", each.judges),
        ("rule, judge A", each.rules[0]),
        ("rule, judge B", each.rules[1]),
    ):
        kappa = "–" if found.kappa is None else f"{found.kappa:.3f}"
        interval = "–" if found.interval is None else f"{found.interval[0]:.3f} to {found.interval[1]:.3f}"
        table.add_row(name, str(found.n), f"{100 * found.observed:.1f} %", kappa, interval)
    return table


def _crossed(found: Agreement) -> Table:
    table = Table("", *(f"B: {verdict}" for verdict in found.verdicts))
    for verdict, counts in zip(found.verdicts, found.table, strict=True):
        table.add_row(f"A: {verdict}", *map(str, counts))
    return table


def _left_out(compared: Compared) -> str:
    reasons = {
        "decided by the rule alone": compared.by_rule,
        "without a verdict in one of the runs": compared.undecided,
        "in only one of the runs": compared.unpaired,
    }
    said = [f"{count} {reason}" for reason, count in reasons.items() if count]
    return f"not counted: {', '.join(said)}" if said else ""


def _disagreement(a: Sample, b: Sample) -> str:
    question = " ".join(a.facts["question"].split())
    response = " ".join(a.response.split())
    lines = [
        f"[bold]{escape(a.id)}[/]  A: {a.verdict}, B: {b.verdict}, rule: {a.rule_score:g}, "
        f"expected: {escape(a.facts['answer'])}",
        f"  question: {escape(question[:QUESTION])}{'…' if len(question) > QUESTION else ''}",
        f"  response: {'…' if len(response) > TAIL else ''}{escape(response[-TAIL:])}",
    ]
    for name, sample in (("A", a), ("B", b)):
        lines += [f"  judge {name}: {escape(' '.join(reply.text.split()))}" for reply in sample.replies]
    return "\n".join(lines)
