"""A sweep on the lab from its first launch to its table, with everything that a cluster does to it in between.

One cell cannot be run at first.  The other is preempted, loses its node and hits its time limit while it is trained.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kawhi.runs.cell_folders import place_of
from tests.cells import CONF
from tests.end_to_end.conftest import SMALL
from tests.slurm.lab import Lab

STEPS = 9  # more than are trained before the last interruption, however quick they are
OVERRIDES = (
    "table=region_selection",
    "credit=uniform,kawhi",
    *(word for word in SMALL if not word.startswith("steps=")),
    f"steps={STEPS}",
    "verl.trainer.save_freq=1",
    "scale.needs.memory_gib=4",  # other tests run beside this one
    "scale.slurm.cpus=1",
    "scale.slurm.notice=600",  # seconds before the time limit: a start beside other tests and a step fit
)


@dataclass
class Sweep:
    """A sweep with a folder of its own on a lab."""

    lab: Lab
    folder: Path
    seen: dict[str, Any] = field(default_factory=dict)

    @property
    def runs(self) -> Path:
        return self.folder / "results" / "runs"

    def launch(self, *more: str) -> subprocess.Popen:
        """The sweep as it is typed in its folder."""
        return self.lab.launch(self.folder, *OVERRIDES, *more, start_new_session=True)

    def launched(self, *more: str) -> str:
        """What a launch printed that ended well."""
        process = self.launch(*more)
        text, _ = process.communicate(timeout=300)
        assert process.returncode == 0, text
        return text

    def run_directory(self, credit: str) -> Path:
        (path,) = self.runs.glob(f"*/*_grpo_{credit}_tiny_*")
        return path

    def status(self, credit: str) -> dict[str, Any]:
        file = self.run_directory(credit) / "status.json"
        return json.loads(file.read_text()) if file.exists() else {"stage": "waiting"}

    def jobs(self, credit: str) -> list[dict[str, Any]]:
        file = self.run_directory(credit) / "jobs.json"
        return json.loads(file.read_text()) if file.exists() else []

    def command(self, *arguments: str) -> subprocess.CompletedProcess:
        """``kawhi ...``"""
        return self.lab.run(sys.executable, "-m", "kawhi", *arguments, check=False, cwd=self.folder)

    def until_step(self, credit: str, step: int, launches: int) -> None:
        """Until so many jobs have worked on the cell, the last of them trains, and one of them has logged this step."""

        def there() -> bool:
            status = self.status(credit)
            assert status["stage"] not in ("failed", "done", "trained"), status
            return len(self.jobs(credit)) == launches and status["stage"] == "train" and status.get("step", 0) >= step

        try:
            self.lab.wait(there)
        except AssertionError as error:
            logs = (path.read_text(errors="replace")[-3000:] for path in self.run_directory(credit).rglob("*.log"))
            raise AssertionError("\n--- ".join([str(error), json.dumps(self.status(credit)), *logs])) from error


def obstacle(folder: Path, runs: Path) -> Path:
    """A folder in the place of the first cell's ``data.json``, so that its first stage fails until it is removed."""
    from kawhi.runs.composing import compose_cells

    cells, _ = compose_cells(CONF, [*OVERRIDES, f"paths.runs={runs}"])
    place = place_of(cells[0]).run.path / "data.json"
    place.mkdir(parents=True)
    return place


def tell(lab: Lab, folder: Path) -> Sweep:
    """Lets it all happen; what can only be seen on the way is kept in ``seen``."""
    sweep = Sweep(lab, folder)
    (folder / "site.env").write_text("export SBATCH_PARTITION=scavenge\n")
    site = f"hydra.launcher.site={folder / 'site.env'}"
    place = obstacle(folder, sweep.runs)

    first = sweep.launch(site, "hydra.launcher.wait=true")
    sweep.seen["first"] = _kill_after(first, "stop:", signal.SIGKILL)  # the login session dies
    train = re.search(r"(\d+)  train:", sweep.seen["first"])[1]
    sweep.until_step("kawhi", 1, launches=1)
    urgent = lab.submit("--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap", "sleep 600")
    lab.wait(lambda: any(line.startswith(f"{urgent} RUNNING") for line in lab.squeue()))
    sweep.seen["preempted"] = [line for line in lab.squeue() if line.startswith(f"{train}_1")]
    lab.run("scancel", urgent)

    sweep.until_step("kawhi", 2, launches=2)
    node = sweep.jobs("kawhi")[-1]["node"]
    lab.kill_node(node)
    sweep.until_step("kawhi", 0, launches=3)
    lab.start_node(node)

    # Slurm looks at time limits twice a minute, and a start takes longer: the notice comes before the next step ends.
    job = sweep.jobs("kawhi")[-1]["job"]  # the plain number of an array's last task means all of the array
    used = lab.run("squeue", "--noheader", "--jobs", job, "--format", "%M").stdout.strip()
    minutes = int(used.split(":")[-2]) + 10 + (len(used.split(":")) > 2) * 60
    lab.run("scontrol", "update", f"JobId={job}", f"TimeLimit={minutes}")
    lab.wait(lambda: sweep.jobs("kawhi")[2]["ended"])
    # The same job goes on, and would be given its notice again.
    longer = ("scontrol", "update", f"JobId={job}", "TimeLimit=60")
    lab.wait(lambda: lab.run(*longer, check=False).returncode == 0)
    lab.wait(lambda: sweep.status("kawhi")["stage"] == "done" and not lab.squeue())
    sweep.seen["accounts"] = lab.sacct(train)
    sweep.seen["status"] = sweep.command("status", "region_selection")
    sweep.seen["tables before"] = list((folder / "results").glob("tables/*"))

    place.rmdir()
    (folder / "site.env").write_text("")
    second = sweep.launch(site)
    sweep.seen["second"] = _kill_after(second, "stop:", signal.SIGHUP)
    lab.wait(lambda: not lab.squeue())
    sweep.seen["second accounts"] = lab.sacct(re.search(r"(\d+)  train:", sweep.seen["second"])[1])
    sweep.seen["third"] = sweep.launched(site)
    sweep.seen["queue after third"] = lab.squeue()
    return sweep


def _kill_after(process: subprocess.Popen, word: str, number: int) -> str:
    """The launcher's output up to a line with ``word``; then its whole session gets the signal."""
    lines, end = [], time.monotonic() + 300
    while not lines or word not in lines[-1]:
        line = process.stdout.readline()
        assert line, f"the launcher ended with {process.wait()}: {''.join(lines)}"
        assert time.monotonic() < end
        lines.append(line)
    os.killpg(process.pid, number)
    process.wait(30)
    return "".join(lines)
