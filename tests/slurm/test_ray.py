"""``slurm/ray.sh`` on a real Slurm: Ray on every node, the driver's exit code, nothing left, nothing else touched."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

pytest.importorskip("ray", reason="the training extra is not installed")

from tests.cells import ROOT, environment

DRIVER = """
import os, sys, ray
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy as On

ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False)
nodes = int(sys.argv[1])
group = placement_group([{"GPU": 8}] * nodes, strategy="STRICT_SPREAD")
ray.get(group.ready(), timeout=60)

@ray.remote(num_gpus=8, num_cpus=0)
def where():
    return os.environ["SLURMD_NODENAME"], len(ray.get_gpu_ids())

print(sorted(ray.get([where.options(scheduling_strategy=On(group, i)).remote() for i in range(nodes)])), flush=True)
sys.exit(int(sys.argv[2]))
"""
OTHER = """
import ray, sys
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)

@ray.remote
class Counter:
    def __init__(self): self.count = 0
    def add(self): self.count += 1; return self.count

counter = Counter.remote()
for line in sys.stdin:
    print(ray.get(counter.add.remote()), flush=True)
"""


@pytest.fixture
def job(lab, tmp_path):
    """Submits slurm/ray.sh with a driver, from a folder that is not the checkout; returns id and log when it ended."""
    (tmp_path / "driver.py").write_text(textwrap.dedent(DRIVER))
    environment = lab.environment | {"KAWHI_PYTHON": sys.executable, "KAWHI_RUNS": str(tmp_path / "runs")}

    def submit(*words: str, nodes: int = 2, wait: bool = True) -> tuple[str, Path]:
        log = tmp_path / f"{len(list(tmp_path.glob('*.log')))}.log"
        options = [f"--nodes={nodes}", f"--output={log}", f"--chdir={tmp_path}", "--mem=4000"]
        number = lab.submit(*options, str(ROOT / "slurm" / "ray.sh"), *words, env=environment, cwd=tmp_path)
        if wait:
            lab.wait(lambda: not lab.squeue(f"--jobs={number}"))
        return number, log

    return submit


def of_job(number: str) -> list[psutil.Process]:
    """Processes of a job's Ray: of some the environment can be read, of others the command line names its folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess):
            told = [environment(process).get("KAWHI_RAY_FOLDER", ""), *process.cmdline()]
            found += [process] * any(f"/ray-{number}-" in each for each in told)
    return found


def test_a_task_on_each_node_and_nothing_left(lab, job, tmp_path):
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        ask(other)
        assert other.stdout.readline() == "1\n"  # it is up before the job is
        folders = set(Path("/tmp").glob("ray-*"))  # of other Slurms on this machine
        number, log = job("python", "driver.py", "2", "7")
        text = log.read_text()
        assert "[('node1', 8), ('node2', 8)]" in text, text + logs(tmp_path)
        assert lab.wait(lambda: lab.sacct(number).get(number, ("RUNNING",))[0] != "RUNNING")
        assert lab.sacct(number)[number] == ("FAILED", "7:0")
        assert of_job(number) == []
        assert set(Path("/tmp").glob(f"ray-{number}-*")) <= folders
        assert not list((tmp_path / "runs" / ".slurm").glob("*.exit"))
        ask(other)
        assert other.stdout.readline() == "2\n"  # the same Ray, the same actor
    finally:
        other.stdin.close()
        other.wait(30)


def test_cancelled_it_leaves_nothing(lab, job, tmp_path):
    number, log = job("sleep", "1000", nodes=1, wait=False)
    lab.wait(lambda: log.exists() and "Ray is up" in log.read_text())
    assert of_job(number)
    (folder,) = {p.environ()["KAWHI_RAY_FOLDER"] for p in of_job(number) if "KAWHI_RAY_FOLDER" in p.environ()}
    assert Path(folder).is_dir()
    lab.run("scancel", number)
    lab.wait(lambda: not lab.squeue(f"--jobs={number}"))
    assert of_job(number) == []
    assert not Path(folder).exists()


def test_it_says_what_to_run(lab, job):
    number, log = job(nodes=1)
    assert log.read_text().strip() == "error: say what to run: sbatch --nodes=2 slurm/ray.sh python my_driver.py"
    assert lab.wait(lambda: lab.sacct(number).get(number) == ("FAILED", "1:0"))


def ask(other: subprocess.Popen) -> None:
    other.stdin.write("\n")
    other.stdin.flush()


def logs(folder: Path) -> str:
    """What Ray printed on the nodes, for messages of failures."""
    return "\n".join(f"--- {file.name}\n{file.read_text()[-2000:]}" for file in folder.rglob("ray-*.log"))
