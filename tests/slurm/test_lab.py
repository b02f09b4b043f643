"""The lab itself: two nodes that answer, and nothing left of a node that was killed."""

from __future__ import annotations

from contextlib import suppress

import psutil

from tests.cells import environment


def test_one_cell_of_the_tiny_world_fits_on_a_node(lab):
    jobs = [lab.submit("--mem=9000", "--output=/dev/null", "--wrap", "sleep 600") for _ in range(3)]
    lab.wait(lambda: len(lab.squeue("--states=running")) == 2)
    lines = lab.wait(lambda: [line for line in lab.squeue("--states=pending") if "Resources" in line])
    assert len(lines) == 1
    lab.run("scancel", *jobs)


def test_a_killed_node_leaves_no_process_and_its_job_starts_on_the_other(lab, tmp_path):
    script = f"""#!/bin/bash
    setsid sleep 1000 &
    (sleep 1001 &)
    echo $SLURMD_NODENAME $SLURM_RESTART_COUNT >>{tmp_path}/starts
    srun sleep 1002
    """
    job = lab.submit("--requeue", "--output=/dev/null", input=script)
    lab.wait(lambda: sorted(_sleeps(lab)) == ["1000", "1001", "1002"])
    first, other = (tmp_path / "starts").read_text().strip(), {"node1": "node2", "node2": "node1"}
    lab.kill_node(first)
    assert _sleeps(lab) == []
    lab.wait(lambda: len(_sleeps(lab)) == 3)
    assert (tmp_path / "starts").read_text().splitlines() == [first, f"{other[first]} 1"]
    lab.run("scancel", job)


def _sleeps(lab) -> list[str]:
    """The sleeping programs of this lab's jobs."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess):
            ours = environment(process).get("SLURM_CONF") == lab.environment["SLURM_CONF"]
            found += [process.cmdline()[-1]] if ours and process.name() == "sleep" else []
    return found
