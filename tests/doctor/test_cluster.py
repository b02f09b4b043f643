"""What `kawhi doctor --cluster` makes of the nodes' answers; the checks themselves run in tests/slurm."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from kawhi.base.errors import CellError
from kawhi.doctor import cluster as doctor
from kawhi.doctor import nodes, probe
from kawhi.doctor.needs import GIB, Needs
from kawhi.doctor.node_findings import attempted, clocks, gpus, ray, same_versions, shared, space
from kawhi.queue import slurm
from tests.cells import CONF, options, until

NEEDS = Needs("test", gpus=2, cpus=1, memory_gib=1, disk_gib=10)


def answer(number: int, **other):
    """What a healthy node says."""
    seen = {"visible": 2, "names": ["NVIDIA H200, 143771 MiB"] * 2, "trouble": ""}
    space_ = {"disk": 50 * GIB, "shm": GIB}
    told = {"id": number, "node": f"node{number + 1}", "time": 100.0, "arrived": 100.1, "unwritable": ""}
    return told | space_ | {"versions": probe.versions(), "gpus": seen} | other


def tried(node: str, **seen: str) -> dict:
    """What a node says of its attempts; one that is at fault says so with a remedy after a bar."""
    words = {name: told.partition(" | ") for name, told in seen.items()}
    found = [{"name": name, "ok": not bar, "seen": a, "remedy": b} for name, (a, bar, b) in words.items()]
    return {"node": node, "found": found}


@pytest.fixture
def both():
    return [answer(0), answer(1)]


@pytest.mark.parametrize("scale", options("scale"))
def test_a_scale_says_what_it_needs(scale):
    needs = Needs.of(CONF, scale)
    gpus = re.fullmatch(r"(gpu80|gpu24|h200)x(\d)", scale)
    assert needs.gpus == (int(gpus[2]) if gpus else 0)
    assert f"--cpus-per-task={needs.cpus}" in needs.options()
    assert any(option.startswith("--mem=") for option in needs.options())
    assert [each for each in needs.options() if "gpus" in each] == ([f"--gpus-per-node={gpus[2]}"] if gpus else [])


def test_an_unknown_scale_is_told():
    with pytest.raises(CellError, match="scale=nope is not one of cpu, gpu24x1, gpu80x1, gpu80x4, gpu80x8, h200x8"):
        Needs.of(CONF, "nope")


def test_healthy_nodes(both):
    looks = [{"node": its["node"], "seen": [0, 1]} for its in both]
    found = [gpus(both, NEEDS), space(both, "disk", "disk", 10, "free some"), same_versions(both), clocks(both)]
    found.append(shared(both, looks, ["node-0", "node-1"], CONF))
    found += attempted([tried("node1", driver="580.1", torch="2.13"), tried("node2", driver="590", torch="2.13")])
    found += ray({"answered": ["a", "b"], "seconds": 20.0, "trouble": "", "left": {}}, 2)
    assert all(finding.ok and not finding.remedy for finding in found), found
    assert "node1: 2, node2: 2 (NVIDIA H200, 143771 MiB)" in found[0].seen


def faults(both):
    alone = {"visible": 1, "names": [], "trouble": ""}
    off, on = both
    full = off | {"disk": GIB}
    looks = [{"node": "node1", "seen": [0]}, {"node": "node2", "seen": [0, 1]}]
    broken, lost = {"answered": ["a"], "seconds": 60.0, "trouble": "no route", "left": {}}, {"node2": 3}
    return {
        "gpus": (gpus([off, on | {"gpus": alone}], NEEDS), "node2: 1", "jobs on node2 see fewer than the 2 GPUs"),
        "disk": (space([full, on], "disk", "disk", 10, "free some"), "node1: 1.0 GiB", "node1: 10 GiB are needed"),
        "versions": (
            same_versions([off, on | {"versions": {**on["versions"], "verl": "0.8.0"}}]),
            f"node2: verl 0.8.0, here {probe.versions()['verl']}",
            "KAWHI_PYTHON",
        ),
        "missing": (
            same_versions([off, on | {"versions": {"python": on["versions"]["python"]}}]),
            "node2: torch missing",
            "KAWHI_PYTHON",
        ),
        "clocks": (clocks([off, on | {"time": 700.0}]), "node2: +599.9 s", "have the clock of node2 set"),
        "torch": (
            next(iter(attempted([tried("node1", torch="2.13"), tried("node2", torch="none | install it")]))),
            "node1: 2.13; node2: none",
            "on node2: install it",
        ),
        "unwritable": (
            shared([off, on | {"unwritable": "Permission denied"}], [], ["node-0"], CONF),
            "node2 cannot write: Permission denied",
            "KAWHI_RUNS",
        ),
        "elsewhere": (shared(both, [], ["node-0"], CONF), "what node2 writes is not seen here", "KAWHI_RUNS"),
        "unseen": (
            shared(both, looks, ["node-0", "node-1"], CONF),
            "node1 does not see what node2 writes",
            "one folder for all machines",
        ),
        "ray": (next(iter(ray(broken, 2))), "1 of 2 nodes answered; no route", "reach each other on all ports"),
        "left": (list(ray(broken | {"left": lost}, 2))[1], "3 left on node2", "end them on node2"),
    }


@pytest.mark.parametrize("name", faults([answer(0), answer(1)]))
def test_each_fault_is_named_with_its_remedy(both, name):
    finding, seen, remedy = faults(both)[name]
    assert not finding.ok
    assert seen in finding.seen
    assert remedy in finding.remedy


def test_a_scale_without_gpus_looks_for_none(both):
    assert gpus(both, Needs("cpu", 0, 2, 8, 1)).ok


def driver(folder, script: str) -> None:
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "nvidia-smi").chmod(0o755)


@pytest.mark.parametrize(
    ("given", "names", "visible"),
    [(None, "a\nb\n", 2), ("0", "a\nb\n", 1), ("0,1", None, 2), ("", "a\n", 0), (None, None, 0)],
)
def test_gpus_are_those_that_the_job_may_use(tmp_path, monkeypatch, given, names, visible):
    """The driver lists what the node has; without one only the variable is left."""
    if names is not None:
        driver(tmp_path, f"printf '{names}'")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin" if names is not None else str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert probe.gpus()["visible"] == visible


def test_a_broken_driver_is_told(tmp_path, monkeypatch):
    driver(tmp_path, "echo 'NVML mismatch' >&2; exit 18")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert probe.gpus() == {"visible": 0, "names": [], "trouble": "NVML mismatch"}


def test_only_processes_of_its_own_are_ended():
    """Another Ray on the machine, or another check, is none of its business."""
    own = probe.Ray("kawhi-doctor-test")
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    other = subprocess.Popen(sleep, env={**os.environ, "KAWHI_DOCTOR": "kawhi-doctor-test2-0"})
    own.process = subprocess.Popen(sleep, env={**os.environ, "KAWHI_DOCTOR": own.mark})
    try:
        until(lambda: own.process.pid in own.own())  # it has its own environment
        assert own.end() == 0
        assert own.process.wait() == -15
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_the_probe_needs_the_standard_library_alone():
    code = "import sys; before = set(sys.modules); " + "exec(open(sys.argv[1]).read(), {'__name__': 'probe'}); "
    code += "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before} - sys.stdlib_module_names))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, probe.__file__], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def partition(**other):
    return slurm.Partition(**{"name": "main", "default": True, "up": True, "nodes": 4, "usable": 4, **other})


@pytest.mark.parametrize(
    ("found", "wanted", "nodes", "ok", "said"),
    [
        ([partition()], "", None, True, "main (up, 4 of 4 nodes)"),
        ([partition()], "nope", None, False, "to one of main"),
        ([partition(default=False)], "", None, False, "to one of main"),
        ([partition(up=False)], "", None, False, "wait until 1 nodes are up"),
        ([partition(usable=1)], "", None, True, "1 of 4 nodes"),
        ([partition(usable=1)], "", 2, False, "wait until 2 nodes are up"),
        ([partition(usable=1), partition(name="b", usable=3)], "main,b", 4, True, "b (up, 3 of 4 nodes)"),
    ],
)
def test_partitions(monkeypatch, found, wanted, nodes, ok, said):
    monkeypatch.setattr(slurm, "partitions", lambda timeout: {its.name: its for its in found})
    monkeypatch.setenv("SBATCH_PARTITION", wanted)
    finding, _ = doctor._partition(nodes)
    assert finding.ok is ok
    assert said in (finding.seen if ok else finding.remedy)


def test_states_of_nodes_are_read_as_slurm_writes_them(monkeypatch):
    lines = "main*|up|3|idle\nmain*|up|2|down*\nmain*|up|1|mixed-\nmain*|up|1|idle*\nold|inact|2|drained\n"
    monkeypatch.setattr(slurm, "ask", lambda *command, timeout: lines)
    main, old = slurm.partitions().values()
    assert (main.name, main.default, main.up, main.nodes, main.usable) == ("main", True, True, 7, 4)
    assert (old.default, old.up, old.usable) == (False, False, 0)


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("allocation failure: Invalid account or account/partition combination specified", "SBATCH_ACCOUNT"),
        ("allocation failure: Requested time limit is invalid", "scale.slurm.minutes"),
        ("allocation failure: Requested node configuration is not available", "asks 2 nodes for --cpus-per-task=1"),
    ],
)
def test_a_refused_job_says_what_to_change(monkeypatch, said, remedy):
    def ask(*command, timeout):
        raise CellError(f"Slurm refused `sbatch --test-only`: {said}")

    monkeypatch.setattr(slurm, "ask", ask)
    finding = doctor._accepted(NEEDS, 2)
    assert finding.seen == said
    assert remedy in finding.remedy


def test_nodes_that_speak_at_the_same_moment_are_told_apart():
    one, two = '{"id": 0}', '{"id": 1}'
    assert nodes.answers_in(f"{nodes.MARK}{one}{nodes.MARK}{two}\n") == [one, f"{two}\n"]
    assert nodes.answers_in("\n") == nodes.answers_in("a module says hello\n") == []
