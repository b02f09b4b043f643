"""`kawhi doctor --cluster` on a real Slurm: a healthy one, and one fault after the other."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from kawhi.doctor import nodes
from tests.cells import ROOT, environment
from tests.doctor import gpu_world

SCALE = """
scale:
  device: {device}
  attention: sdpa
  slurm: {{cpus: 1, memory_gib: 1}}
  needs: {{disk_gib: 0.1}}
verl: {{trainer: {{n_gpus_per_node: {gpus}}}}}
"""


@pytest.fixture
def place(tmp_path):
    """A folder with scales for the lab's small nodes, in which the command is typed."""
    (tmp_path / "conf" / "scale").mkdir(parents=True)
    (tmp_path / "conf" / "run.yaml").touch()
    for name, device, gpus in (("plain", "cpu", 1), ("two", "cuda", 2), ("many", "cuda", 99)):
        (tmp_path / "conf" / "scale" / f"{name}.yaml").write_text(SCALE.format(device=device, gpus=gpus))
    (tmp_path / "slurm").mkdir()
    return tmp_path


def doctor(lab, place: Path, *arguments: str, site: str = "", **environment: str) -> subprocess.CompletedProcess:
    (place / "slurm" / "site.env").write_text(site)
    environment = {**lab.environment, "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-m", "kawhi", "doctor", "--cluster", "--runs", str(place / "runs"), *arguments]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=280)


def problems(done: subprocess.CompletedProcess) -> list[str]:
    """Names of the findings that are not all right."""
    return [line[4:].partition(":")[0] for line in done.stdout.splitlines() if line.startswith("NO  ")]


def marked() -> list[psutil.Process]:
    """Processes of a check's Ray, on all nodes of the lab."""
    return [process for process in psutil.process_iter() if "KAWHI_DOCTOR" in environment(process)]


@pytest.mark.slow
def test_a_healthy_cluster_is_ready(lab, place):
    made_up = gpu_world.make(place / "gpus")
    made_up["PYTHONPATH"] = f"{place / 'gpus'}:{ROOT}"
    done = doctor(lab, place, "scale=two", **made_up)
    assert (done.returncode, problems(done)) == (0, []), done.stdout + done.stderr
    assert "torch: 2.13.0 multiplied on cuda:0, cuda:1, on each" in done.stdout
    assert done.stdout.splitlines()[-1] == "ready"
    assert "GPUs: node1: 2, node2: 2" in done.stdout
    assert "Ray: a task on each of 2 nodes" in done.stdout
    assert "... starting Ray on 2 nodes" in done.stderr, "what takes long is announced"
    assert marked() == []
    assert list((place / "runs" / ".slurm").iterdir()) == []
    assert lab.squeue() == []


def test_what_differs_on_one_node_is_found_there(lab, place):
    fake = place / "fake" / "verl-0.0.1.dist-info"
    fake.mkdir(parents=True)
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: verl\nVersion: 0.0.1\n")
    (place / "there.sh").write_text(f"""
if [ "$SLURM_NODEID" = 1 ]; then
    export PYTHONPATH={fake.parent}:$PYTHONPATH CUDA_VISIBLE_DEVICES=0
    ulimit -f 0  # no file can grow: as on a file system that this node cannot write to
fi
""")
    done = doctor(lab, place, "--scale", "two", site=f"export KAWHI_SETUP='source {place}/there.sh'\n")
    assert done.returncode == 1
    assert problems(done) == ["GPUs", "versions", "shared folder"], done.stdout + done.stderr
    assert "node2: verl 0.0.1, here 0.9.1" in done.stdout
    assert "node2 cannot write: [Errno 27] File too large" in done.stdout
    assert "GPUs: jobs on node2 see fewer than the 2 GPUs they are given" in done.stderr
    assert "versions: let all nodes use one environment" in done.stderr
    assert "KAWHI_RUNS" in done.stderr
    assert lab.squeue() == []


@pytest.mark.parametrize(
    ("arguments", "site", "problem", "remedy"),
    [
        (["--scale", "many"], "", "job", "--gpus-per-node=99: name another SBATCH_PARTITION or --scale"),
        ([], "export SBATCH_PARTITION=nope\n", "partition", "one of main, scavenge, urgent"),
        (["--nodes", "3"], "", "partition", "wait until 3 nodes are up"),
        ([], "export KAWHI_PYTHON=/no/such/python\n", "nodes", "the nodes must be able to start that Python"),
        ([], "no such command\n", "site", "it is a bash file of exports"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_fault_of_the_settings_is_named(lab, place, arguments, site, problem, remedy):
    done = doctor(lab, place, "--scale", "plain", *arguments, site=site)  # the last --scale counts
    if problem == "site":
        assert done.stderr.startswith("error: bash cannot read slurm/site.env")
    else:
        assert problems(done) == [problem], done.stdout + done.stderr
        assert remedy in done.stderr
    assert done.returncode == 1


def test_a_folder_that_cannot_be_made_is_named(lab, place):
    (place / "runs").write_text("a file")
    done = doctor(lab, place, "--scale", "plain")
    assert problems(done) == ["shared folder"]
    assert "set KAWHI_RUNS in slurm/site.env to a folder that you may write" in done.stderr


def test_a_controller_that_is_not_there_is_named(lab, place):
    lines = (lab.folder / "slurm.conf").read_text().splitlines()
    elsewhere = ["SlurmctldPort=1" if line.startswith("SlurmctldPort=") else line for line in lines]
    (place / "slurm.conf").write_text("\n".join(elsewhere) + "\n")
    done = doctor(lab, place, "--scale", "plain", SLURM_CONF=str(place / "slurm.conf"))
    assert problems(done) == ["Slurm"]
    assert "is DOWN" in done.stdout
    assert "ask the cluster's administrators: slurmctld is down" in done.stderr


def test_full_nodes_are_not_waited_for_long(in_lab, tmp_path, monkeypatch):
    monkeypatch.setattr(nodes, "_WAIT_SECONDS", 2)
    in_lab.submit("--nodes=2", "--exclusive", "--wrap", "sleep 600", cwd=tmp_path)
    in_lab.wait(lambda: any("RUNNING" in line for line in in_lab.squeue()))
    with nodes.Nodes(2, [], tmp_path, "kawhi-doctor-test") as found, pytest.raises(nodes.NoNodes) as refused:
        found.facts()
    assert str(refused.value) == "no 2 nodes were free within 2 s"
    assert "--nodes 1" in refused.value.remedy


def test_a_node_that_says_nothing_is_not_waited_for_long(in_lab, tmp_path, monkeypatch):
    """And its job is ended."""
    monkeypatch.setattr(nodes, "_FACTS_SECONDS", 0)
    monkeypatch.setattr(nodes, "_WAIT_SECONDS", 20)  # in which the first node must have answered
    monkeypatch.setattr(nodes, "_END_SECONDS", 1)
    monkeypatch.setenv("KAWHI_SETUP", '[ "$SLURM_NODEID" = 0 ] || sleep 600')
    threads = threading.active_count()
    with nodes.Nodes(2, [], tmp_path, "kawhi-doctor-test") as found, pytest.raises(nodes.NoNodes) as refused:
        found.facts()
    assert str(refused.value) == "1 of 2 nodes did not answer within 20 s (answered: node1)"
    in_lab.wait(lambda: not in_lab.squeue() and threading.active_count() <= threads)
