"""`kawhi status` beside a real Slurm: jobs that run, wait, fail, are killed, are cancelled; no real cells."""

from __future__ import annotations

import time

from kawhi.base.files import write_json
from kawhi.runs import survey
from tests.cells import status_file

NAMES = ("runs", "seven", "killed", "cancelled", "waits")
SCRIPT = """#!/bin/bash
# The diary that a job keeps, and the status that its cell would write.
cd "$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" cells)"
cat > jobs.json <<END
[{"job": "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID", "raw": "$SLURM_JOB_ID", "part": "train", "node": "here",
  "submission": "one", "log": "$PWD/job.log", "time": 1, "ended": null}]
END
exec > job.log 2>&1
[ "$SLURM_ARRAY_TASK_ID" = 1 ] || echo '{"stage": "train", "steps": 3, "time": 2}' > status.json
case $SLURM_ARRAY_TASK_ID in
    0) sleep 120 ;;
    1) echo "no such module"; exit 7 ;;
    2) kill -KILL $$ ;;
esac
"""


def submitted(lab, runs) -> str:
    folders = [runs / "exp" / f"{name}-0123456789ab" for name in NAMES]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "config.yaml").touch()
    (runs / "cells").write_text("\n".join(map(str, folders)) + "\n")
    cells = [str(folder.relative_to(runs)) for folder in folders]
    places = {"train": cells[:3], "gone": cells[3:4], "later": cells[4:]}
    arrays = {name: {"part": "train", "cells": its} for name, its in places.items()}
    arrays["table"] = {"part": "table", "cells": cells}
    content = {"id": "one", "time": time.time(), "folder": "exp", "arrays": arrays}
    write_json(runs / ".slurm" / "one" / "submission.json", content)
    (runs / "job.sh").write_text(SCRIPT)
    job = lab.submit("--array=0-2", "--no-requeue", "--comment=kawhi:one:train", "job.sh", cwd=runs)
    gone, later = (
        lab.submit("--begin=now+1hour", f"--comment=kawhi:one:{name}", "job.sh", cwd=runs) for name in ("gone", "later")
    )
    after = f"--dependency=afterok:{later}"
    table = lab.submit(after, "--kill-on-invalid-dep=no", "--comment=kawhi:one:table", "--wrap=true", cwd=runs)
    write_json(runs / ".slurm" / "one" / "jobs.json", {"train": job, "gone": gone, "later": later, "table": table})
    lab.run("scancel", gone)
    return job


def test_every_way_a_job_can_be(in_lab, tmp_path, monkeypatch):
    job = submitted(in_lab, tmp_path)

    def look():
        (cells,) = survey.survey(tmp_path).cells.values()
        return {cell.path.name.partition("-")[0]: cell for cell in cells}

    expected = {"runs": "running", "seven": "failed", "killed": "failed", "cancelled": "stopped", "waits": "queued"}
    in_lab.wait(lambda: {name: cell.state for name, cell in look().items()} == expected)
    cells = look()
    assert cells["runs"].note.startswith(f"job {job}_0 on node")
    assert cells["runs"].shown == "train"
    assert cells["seven"].note == f"before its first stage, job {job}_1: FAILED, exit code 7"
    assert cells["seven"].log is not None
    assert survey.last_lines(cells["seven"].log) == ["no such module"]
    assert cells["killed"].note == f"in train, job {job}_2: FAILED, signal 9"
    assert cells["cancelled"].note.startswith("never started, job ")
    assert cells["waits"].note.startswith("BeginTime (job ")
    assert [task.reason for task in survey.survey(tmp_path).tables] == ["Dependency"]

    status_file(cells["seven"].path, "done")
    write_json(cells["seven"].path / "record.json", {})
    assert look()["seven"].state == "done"

    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "nowhere.conf"))
    found = survey.survey(tmp_path)
    assert found.complaint
    assert look()["runs"].state == "running", "as its files say"
    in_lab.clear()
