"""What kawhi.queue.slurm reads, against a real Slurm."""

from __future__ import annotations

import pytest

from kawhi.base.errors import CellError
from kawhi.queue import slurm


def test_the_queue_has_every_task_of_an_array_with_its_comment(in_lab):
    array = in_lab.submit("--array=2-5%1", "--comment=kawhi:a1:train", "--output=/dev/null", "--wrap", "sleep 600")
    in_lab.wait(lambda: in_lab.squeue("--states=running"))
    tasks = {task.job_id: task for task in slurm.queue()}
    assert sorted(tasks) == [f"{array}_{index}" for index in (2, 3, 4, 5)]
    assert {task.comment for task in tasks.values()} == {"kawhi:a1:train"}
    assert [tasks[f"{array}_{index}"].index for index in (2, 3)] == [2, 3]
    assert {task.array_id for task in tasks.values()} == {array}
    running, waiting = tasks[f"{array}_2"], tasks[f"{array}_3"]
    assert running.state == "RUNNING"
    assert running.nodes in ("node1", "node2")
    assert (waiting.state, waiting.reason, waiting.nodes) == ("PENDING", "JobArrayTaskLimit", "")
    in_lab.run("scancel", array)
    in_lab.wait(lambda: slurm.queue() == [])


def test_comments_with_tabs_line_breaks_and_letters_of_another_encoding_hide_nobodys_jobs(in_lab):
    odd = in_lab.submit("--hold", "--comment", b"two\nlines\ta tab and a caf\xe9", "--wrap", "true")
    plain = in_lab.submit("--hold", "--wrap", "true")
    tasks = {task.job_id: task for task in slurm.queue()}
    assert sorted(tasks) == [odd, plain]
    assert tasks[odd].index is None
    assert tasks[odd].comment.startswith("two\nlines\ta tab")
    in_lab.run("scancel", odd, plain)


def test_the_users_settings_of_squeue_do_not_hide_jobs(in_lab, monkeypatch):
    job = in_lab.submit("--hold", "--wrap", "true")
    monkeypatch.setenv("SQUEUE_STATES", "RUNNING")
    monkeypatch.setenv("SQUEUE_FORMAT", "%i")
    assert [task.job_id for task in slurm.queue()] == [job]
    in_lab.run("scancel", job)


def test_requeueing_one_task_leaves_the_others_alone(in_lab, tmp_path, monkeypatch):
    """The last task of an array has the array's own number: by that number all tasks would start again."""
    script = f"""#!/bin/bash
    echo $SLURM_ARRAY_TASK_ID $SLURM_RESTART_COUNT >>{tmp_path}/starts
    echo $SLURM_JOB_ID >{tmp_path}/raw_$SLURM_ARRAY_TASK_ID
    [ $SLURM_ARRAY_TASK_ID = 0 ] || sleep 600
    """
    array = in_lab.submit("--array=0-2", "--requeue", "--output=/dev/null", input=script)
    in_lab.wait(lambda: (tmp_path / "raw_2").exists() and len(in_lab.squeue("--states=running")) == 2)
    assert (tmp_path / "raw_2").read_text().strip() == array, "this Slurm numbers tasks in another way"
    monkeypatch.setenv("SLURM_JOB_ID", array)
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", array)
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    slurm.requeue(slurm.this_job())
    in_lab.wait(lambda: "2 1" in (tmp_path / "starts").read_text().splitlines())
    assert sorted((tmp_path / "starts").read_text().splitlines()) == ["0", "1", "2", "2 1"]
    in_lab.run("scancel", array)


def test_a_refused_request_says_why(in_lab):
    with pytest.raises(CellError, match="Slurm refused `scontrol requeue 999999`: Invalid job id"):
        slurm.requeue("999999")


def test_accounting_has_the_programs_exit_code_by_task(in_lab):
    script = "#!/bin/bash\nsrun bash -c 'exit $((SLURM_ARRAY_TASK_ID * 7))'\n"
    array = in_lab.submit("--array=0-1", "--output=/dev/null", input=script)
    killed = in_lab.submit("--output=/dev/null", "--wrap", "kill -KILL $$")
    waiting = in_lab.submit("--array=0-3", "--hold", "--output=/dev/null", "--wrap", "true")
    found = in_lab.wait(lambda: _ended(array, killed, waiting))
    assert found[f"{array}_0"] == slurm.Accounted(f"{array}_0", "COMPLETED", 0, 0)
    assert found[f"{array}_1"] == slurm.Accounted(f"{array}_1", "FAILED", 7, 0)
    assert found[killed] == slurm.Accounted(killed, "FAILED", 0, 9)
    assert not [job for job in found if job.startswith(waiting)]
    in_lab.run("scancel", waiting)


@pytest.mark.parametrize("left_out", [range(0, 100, 2), [i for i in range(100) if i * i % 7 < 3]])
def test_tasks_that_never_ran_are_found_whichever_they_are(in_lab, left_out):
    """Slurm writes them as ``1-99:2``, or as a list that it cuts off."""
    array = in_lab.submit("--array=0-99", "--hold", "--output=/dev/null", "--wrap", "true")
    in_lab.run("scancel", *(f"{array}_{place}" for place in left_out))
    in_lab.run("scancel", array)
    wanted = {f"{array}_{place}" for place in range(100) if place not in left_out}
    in_lab.wait(lambda: slurm.accounting(wanted).keys() == wanted)


def test_nothing_is_asked_of_the_accounting_about_no_jobs(in_lab):
    assert slurm.accounting([]) == {}


def _ended(*jobs: str) -> dict[str, slurm.Accounted] | None:
    found = slurm.accounting(jobs)
    return found if sum(task.state in ("COMPLETED", "FAILED") for task in found.values()) == 3 else None
