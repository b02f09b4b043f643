"""What is made of the nodes' answers: findings, each with one thing to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kawhi.doctor.machine import Finding
from kawhi.doctor.needs import GIB, Needs
from kawhi.doctor.probe import PACKAGES, versions

SKEW_SECONDS = 5  # our choice: file times and Ray's leases bear seconds, not minutes


def gpus(facts: list[dict[str, Any]], needs: Needs) -> Finding:
    """Whether each node's job sees as many GPUs as the scale asks for."""
    if not needs.gpus:
        return Finding("GPUs", True, f"scale={needs.scale} needs none")
    seen = {fact["node"]: fact["gpus"] for fact in facts}
    kinds = sorted({name for its in seen.values() for name in its["names"]})
    told = ", ".join(
        f"{node}: {its['visible']}{' ' + its['trouble'] if its['trouble'] else ''}" for node, its in seen.items()
    )
    told += f" ({'; '.join(kinds) or 'no nvidia-smi there'})"
    short = [node for node, its in seen.items() if its["visible"] < needs.gpus]
    remedy = (
        f"jobs on {', '.join(short)} see fewer than the {needs.gpus} GPUs they are given: look at `nvidia-smi` and "
        "CUDA_VISIBLE_DEVICES there, and at KAWHI_SETUP and KAWHI_SRUN_ARGS in slurm/site.env"
    )
    return Finding("GPUs", not short, told, remedy)


def space(facts: list[dict[str, Any]], key: str, name: str, least: float, remedy: str) -> Finding:
    """Whether every node has at least so many GiB free."""
    short = [fact["node"] for fact in facts if fact[key] / GIB < least]
    told = ", ".join(f"{fact['node']}: {fact[key] / GIB:.1f} GiB" for fact in facts)
    return Finding(name, not short, f"{told} free", f"{', '.join(short)}: {least:g} GiB are needed; {remedy}")


def same_versions(facts: list[dict[str, Any]]) -> Finding:
    """Whether every node has the packages that this machine has."""
    here = versions()
    others = [
        f"{fact['node']}: {package} {fact['versions'].get(package, 'missing')}, here {here.get(package, 'missing')}"
        for fact in facts
        for package in ("python", *PACKAGES)
        if fact["versions"].get(package) != here.get(package)
    ]
    if not others and "ray" not in here:
        return Finding("versions", False, "ray is missing, here and there", "run `make clean setup`")
    remedy = (
        "let all nodes use one environment: put it on the shared folder and name its Python in KAWHI_PYTHON "
        "(slurm/site.env)"
    )
    same = ", ".join(f"{package} {version}" for package, version in here.items())
    return Finding("versions", not others, "; ".join(others) or f"as here: {same}", remedy)


def clocks(facts: list[dict[str, Any]]) -> Finding:
    """Whether the nodes' clocks agree with this one's; what is measured holds the way of the answer, too."""
    skew = {fact["node"]: fact["time"] - fact["arrived"] for fact in facts}
    off = [node for node, seconds in skew.items() if abs(seconds) > SKEW_SECONDS]
    told = ", ".join(f"{node}: {seconds:+.1f} s" for node, seconds in skew.items())
    return Finding("clocks", not off, told, f"have the clock of {', '.join(off)} set (chrony, ntp)")


def shared(facts: list[dict[str, Any]], looks: list[dict[str, Any]], here: list[str], runs: Path) -> Finding:
    """Whether each node writes where this machine and every other node reads."""
    problems = list(_unshared(facts, looks, here))
    remedy = (
        f"{runs} must be one folder for all machines, writable by you: set KAWHI_RUNS in slurm/site.env to such a one"
    )
    return Finding("shared folder", not problems, "; ".join(problems) or str(runs), remedy)


def _unshared(facts: list[dict[str, Any]], looks: list[dict[str, Any]], here: list[str]) -> Iterator[str]:
    wrote = {fact["id"]: fact["node"] for fact in facts if not fact["unwritable"]}
    yield from (f"{fact['node']} cannot write: {fact['unwritable']}" for fact in facts if fact["unwritable"])
    yield from (f"what {node} writes is not seen here" for i, node in wrote.items() if f"node-{i}" not in here)
    for look in looks:
        if unseen := sorted(wrote.keys() - set(look["seen"])):
            yield f"{look['node']} does not see what {', '.join(wrote[i] for i in unseen)} writes"


def attempted(answers: list[dict[str, Any]]) -> Iterator[Finding]:
    """Whether each node could do what the scale does first.  What one did not come to has another attempt's fault."""
    names = {each["name"]: None for answer in answers for each in answer["found"]}
    for name in names:
        yield _of_all(name, {a["node"]: each for a in answers for each in a["found"] if each["name"] == name})


def _of_all(name: str, results: dict[str, dict[str, Any]]) -> Finding:
    """One finding of what the nodes say of one attempt."""
    seen = {result["seen"] for result in results.values()}
    told = "; ".join(f"{node}: {result['seen']}" for node, result in results.items())
    bad = {node: result["remedy"] for node, result in results.items() if not result["ok"]}
    remedy = f"on {', '.join(bad)}: {next(iter(bad.values()), '')}"
    return Finding(name, not bad, f"{seen.pop()}, on each" if len(seen) == 1 else told, remedy)


def ray(answer: dict[str, Any], number: int) -> Iterator[Finding]:
    """Whether a task ran on each node in time, and whether nothing of that Ray is left."""
    ok = len(answer["answered"]) == number
    seen = f"a task on each of {number} nodes after {answer['seconds']:.0f} s"
    if not ok:
        seen = f"{len(answer['answered'])} of {number} nodes answered; {answer['trouble'] or 'no message'}"
    remedy = (
        "let the nodes reach each other on all ports (firewall, network), or train on one node (verl.trainer.nnodes=1)"
    )
    yield Finding("Ray", ok, seen, remedy)
    left = answer["left"]
    yield Finding(
        "Ray's processes",
        not left,
        "; ".join(f"{count} left on {node}" for node, count in left.items()) or "all ended",
        f"end them on {', '.join(left)}: they have KAWHI_DOCTOR in their environment",
    )
