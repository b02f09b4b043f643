"""What the launcher and its jobs rely on, as this Slurm does it."""

from __future__ import annotations

import signal
import sys

LISTENER = """
import os, signal, subprocess, sys, time
folder, role, restart = sys.argv[1], sys.argv[2], os.environ.get("SLURM_RESTART_COUNT", "0")
def heard(number, frame):
    with open(f"{folder}/{role}-heard", "a") as file:
        file.write(f"{restart} {signal.Signals(number).name}\\n")
    if role == "main" and number == signal.SIGUSR2:
        job = os.environ["SLURM_ARRAY_JOB_ID"] + "_" + os.environ["SLURM_ARRAY_TASK_ID"]
        subprocess.run(["scontrol", "requeue", job], check=True)
signal.signal(signal.SIGUSR2, heard)
if role == "main":
    subprocess.Popen([sys.executable, __file__, folder, "child"])
    subprocess.Popen([sys.executable, __file__, folder, "session"], start_new_session=True)
    subprocess.Popen(["sleep", "123"], preexec_fn=lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN))
    while not os.path.exists(f"{folder}/child-up-{restart}") or not os.path.exists(f"{folder}/session-up-{restart}"):
        time.sleep(0.1)
open(f"{folder}/{role}-up-{restart}", "w").close()
while True:
    time.sleep(0.1)
"""


def test_a_preempted_job_gets_its_signal_at_once_and_may_queue_itself_again(lab, tmp_path):
    """Every process of the steps gets it, whatever its session; the batch script is none of them."""
    program = tmp_path / "listener.py"
    program.write_text(LISTENER)
    script = f"#!/bin/bash\necho a start\nsrun {sys.executable} {program} {tmp_path} main\n"
    log = tmp_path / "log"
    job = lab.submit(
        "--partition=scavenge", "--requeue", "--array=0", "--signal=USR2@30", "--open-mode=append", "--mem=100",
        f"--output={log}", input=script,
    )  # fmt: skip
    lab.wait((tmp_path / "main-up-0").exists)
    urgent = [lab.submit("--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap", "sleep 2") for _ in "12"]
    lab.wait((tmp_path / "main-up-1").exists)
    heard = {path.name.removesuffix("-heard"): path.read_text() for path in tmp_path.glob("*-heard")}
    assert heard == {role: f"0 {signal.SIGUSR2.name}\n" for role in ("main", "child", "session")}
    assert log.read_text().count("a start") == 2
    lab.run("scancel", job, *urgent)


def test_a_chain_of_arrays_stops_where_a_task_failed_and_waits_for_one_that_is_queued_again(lab, tmp_path):
    train = """#!/bin/bash
    case $SLURM_ARRAY_TASK_ID in
    1) srun bash -c 'exit 7';;
    2) [ -n "$SLURM_RESTART_COUNT" ] || { scontrol requeue ${SLURM_ARRAY_JOB_ID}_2; sleep 60; };;
    esac
    """
    common = ("--mem=100", "--output=/dev/null", "--kill-on-invalid-dep=yes")
    first = lab.submit("--array=0-2", "--requeue", *common, input=train)
    second = lab.submit("--array=0-2", f"--dependency=aftercorr:{first}", *common, "--wrap", "true")
    whole = lab.submit(f"--dependency=afterok:{second}", *common, "--wrap", "true")
    partial = lab.submit(f"--dependency=afterany:{second}", *common, "--wrap", "true")
    lab.wait(lambda: lab.sacct(second).get(f"{second}_0") == ("COMPLETED", "0:0"))
    waiting = {line.split()[0] for line in lab.squeue()}
    assert {f"{second}_2", whole, partial} <= waiting, "the task that is queued again has not ended"
    lab.wait(lambda: not lab.squeue())
    lab.wait(lambda: lab.sacct(partial).get(partial) == ("COMPLETED", "0:0"))
    states = [lab.sacct(array)[f"{array}_{index}"] for array in (first, second) for index in range(3)]
    done, cancelled = ("COMPLETED", "0:0"), ("CANCELLED", "0:0")
    assert states == [done, ("FAILED", "7:0"), done, done, cancelled, done]
    assert lab.sacct(whole)[whole] == cancelled
