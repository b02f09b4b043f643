"""``kawhi doctor --cluster``: is this Slurm cluster ready?  Every finding comes with one thing to do."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from kawhi.base.checkout import configuration_folder
from kawhi.base.errors import CellError
from kawhi.doctor import attempts
from kawhi.doctor.machine import Finding, print_findings
from kawhi.doctor.needs import Needs
from kawhi.doctor.node_findings import attempted, clocks, gpus, ray, same_versions, shared, space
from kawhi.doctor.nodes import Nodes, NoNodes
from kawhi.doctor.probe import RAY_SECONDS
from kawhi.queue import slurm, submission
from kawhi.queue.site import SITE, use_site

ASK_SECONDS = 30

Tell = Callable[[str], None]
"""Called before whatever may take long."""


def examine(needs: Needs, nodes: int | None, runs: Path, tell: Tell) -> Iterator[Finding]:
    """All checks, in the order in which they can be made; those that need an earlier one are left out when it fails.

    Args:
        nodes: how many to look at; ``None`` for two, or the only one.
        runs: ``paths.runs``.
    """
    answers = _answers()
    yield answers
    if not answers.ok:
        return
    partition, number = _partition(nodes)
    yield partition
    if not partition.ok:
        return
    accepted = _accepted(needs, number)
    yield accepted
    yield from _settings()
    if not accepted.ok:
        return
    yield from _on_the_nodes(needs, number, runs, tell)


def _answers() -> Finding:
    if not slurm.installed():
        return Finding("Slurm", False, "no squeue and sbatch here", "type this on a login node of the cluster")
    try:
        said = slurm.ask("scontrol", "ping", timeout=ASK_SECONDS).partition("\n")[0]
    except CellError as error:
        said = str(error)
    remedy = "ask the cluster's administrators: slurmctld is down or cannot be reached from here"
    return Finding("Slurm", " is UP" in said, said, remedy)


def _partition(nodes: int | None) -> tuple[Finding, int]:
    """Whether the partition exists and is up, and how many nodes to look at."""
    try:
        found = slurm.partitions(timeout=ASK_SECONDS)
    except CellError as error:
        return Finding("partition", False, str(error), "ask the cluster's administrators why sinfo fails"), 0
    names = list(filter(None, os.environ.get("SBATCH_PARTITION", "").split(",")))
    names = names or [name for name, its in found.items() if its.default]
    missing = sorted(set(names) - found.keys())
    if missing or not names:
        seen = f"there is no {', '.join(missing)}" if missing else "none is named, and the cluster has no default"
        remedy = f"set SBATCH_PARTITION in slurm/site.env to one of {', '.join(sorted(found)) or 'none'}"
        return Finding("partition", False, seen, remedy), 0
    return _usable([found[name] for name in names], nodes)


def _usable(partitions: list[slurm.Partition], nodes: int | None) -> tuple[Finding, int]:
    usable = sum(its.usable for its in partitions if its.up)
    number = nodes or min(2, usable)
    enough = 0 < number <= usable
    remedy = f"wait until {number or 1} nodes are up, name another SBATCH_PARTITION, or ask for fewer: --nodes"
    return Finding("partition", enough, ", ".join(map(str, partitions)), remedy), number if enough else 0


def _accepted(needs: Needs, number: int) -> Finding:
    """Whether Slurm would take such a job from this user."""
    command = ["sbatch", "--test-only", f"--nodes={number}", "--ntasks-per-node=1", *needs.options(), "--wrap=true"]
    account = os.environ.get("SBATCH_ACCOUNT", "your default account")
    try:
        slurm.ask(*command, timeout=ASK_SECONDS)
    except CellError as error:
        said = str(error).partition("`: ")[2] or str(error)
        if "account" in said.lower() or "qos" in said.lower():
            remedy = (
                "set SBATCH_ACCOUNT and SBATCH_QOS in slurm/site.env; `sacctmgr show associations user=$USER` lists "
                "yours"
            )
        elif "time" in said.lower():
            remedy = "lower scale.slurm.minutes, or name a partition with a longer limit (SBATCH_PARTITION)"
        else:
            remedy = (
                f"scale={needs.scale} asks {number} nodes for {' '.join(needs.options())}: name another "
                "SBATCH_PARTITION or --scale, or change scale.slurm"
            )
        return Finding("job", False, said, remedy)
    return Finding("job", True, f"{number} nodes with {' '.join(needs.options())} would be given to {account}")


def _settings() -> Iterator[Finding]:
    """What of the controller's settings decides how runs end; none of it stops them."""
    try:
        found = slurm.settings(timeout=ASK_SECONDS)
    except CellError as error:
        yield Finding("settings", False, str(error), "ask the cluster's administrators why scontrol show config fails")
        return
    kept = not found.get("AccountingStorageType", "").endswith("none")
    without = "off: kawhi status cannot tell how a killed job ended, the rest works"
    yield Finding("accounting", True, "on" if kept else without)
    again = "on" if found.get("JobRequeue") == "1" else "off by default; our jobs ask for it"
    notice = "preempt_send_user_signal" in found.get("SlurmctldParameters", "")
    mode = found.get("PreemptMode", "unknown")
    told = "jobs are told before" if notice else "without notice: a cell goes on from its last checkpoint"
    preempted = "preemption off" if mode == "OFF" else f"preemption {mode}, {told}"
    yield Finding("requeue", True, f"{again}; {preempted}")


def _on_the_nodes(needs: Needs, number: int, runs: Path, tell: Tell) -> Iterator[Finding]:
    name = f"kawhi-doctor-{secrets.token_hex(4)}"
    folder = runs.resolve() / submission.FOLDER / name
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        remedy = "set KAWHI_RUNS in slurm/site.env to a folder that you may write and that all nodes share"
        yield Finding("shared folder", False, f"not writable here: {error}", remedy)
        return
    try:
        with Nodes(number, needs.options(), folder, name) as nodes:
            tell(f"waiting for {number} nodes of Slurm (at most {nodes.patience} s)")
            facts = nodes.facts()
            yield Finding("nodes", True, f"{', '.join(fact['node'] for fact in facts)} (job {facts[0]['job']})")
            found = [
                gpus(facts, needs),
                space(facts, "disk", "disk", needs.disk_gib, "free some there, or set KAWHI_RUNS to another disk"),
                space(
                    facts, "shm", "shared memory", needs.shm_gib, "enlarge /dev/shm there: weights travel through it"
                ),
                same_versions(facts),
                clocks(facts),
            ]
            yield from found
            tell("looking for each other's files (at most 30 s)")
            looks = nodes.look()
            found.append(shared(facts, looks, [path.name for path in folder.iterdir()], folder.parent.parent))
            yield found[-1]
            if not all(finding.ok for finding in found):
                return  # on such nodes the rest would fail for a reason that was told already
            tell(f"trying torch and what the scale needs beside it (at most {attempts.SECONDS} s)")
            found = list(attempted(nodes.attempt(needs.attempts())))
            yield from found
            if not all(finding.ok for finding in found):
                return
            tell(f"starting Ray on {number} nodes (at most {RAY_SECONDS} s)")
            yield from ray(nodes.ray(secrets.token_hex(32)), number)
    except NoNodes as error:
        yield Finding("nodes", False, str(error), error.remedy)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def report_cluster(scale: str | None, nodes: int | None, runs: Path | None, site: Path = SITE) -> int:
    """``kawhi doctor --cluster``; returns 0 when all is well, else 1.

    Args:
        scale, runs: what is not given comes from ``site``.
    """
    try:
        given = use_site(site)
        needs = Needs.of(configuration_folder(), scale or os.environ.get("KAWHI_SCALE", "h200x8"))
    except CellError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    runs = runs or Path(os.environ.get("KAWHI_RUNS", "results/runs"))
    seen = f"{site}: {', '.join(sorted(given)) or 'nothing'}" if site.is_file() else f"no {site}"
    with progress() as tell:
        return print_findings(chain([Finding("site", True, seen)], examine(needs, nodes, runs, tell)))


@contextmanager
def progress() -> Iterator[Tell]:
    """A clock on a terminal, a line elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: print(f"... {text}", file=sys.stderr, flush=True)
        return
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task("asking Slurm")
        yield lambda text: bar.reset(task, description=text)
