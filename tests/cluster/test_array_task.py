"""A cell as a task of an array: which one, where, and the table after it."""

from __future__ import annotations

import fcntl
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from kawhi.runs.identity import directory_of

pytest.importorskip("hydra", reason="the training extra is not installed")

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.rundir import RunDirectory
from kawhi.cluster import array_task
from kawhi.cluster.array_task import chosen, main, make_table, site_overrides, table_cells
from kawhi.cluster.heads_task import heads_command, shares, table_models
from kawhi.cluster.judge_job import judge_block, stay


def places(folder: Path) -> list[str]:
    return [f"paths.{name}={folder / name}" for name in ("runs", "records", "data")]


def test_the_site_says_what_the_command_line_does_not():
    environment = {"KAWHI_SCALE": "cpu", "KAWHI_RUNS": "/shared/it's here", "KAWHI_DATA": ""}
    assert site_overrides(environment, ["steps=2"]) == ["scale=cpu", r"paths.runs='/shared/it\'s here'", "steps=2"]
    assert site_overrides(environment, ["scale=h200x8", "paths.runs=x"]) == ["scale=h200x8", "paths.runs=x"]


def test_the_cells_of_a_table_in_its_order():
    cells = table_cells(["visionzip", "chart_table"], ["scale=cpu"])
    names = [cell.config.credit.name if cell.config.study.name != "baseline" else "base" for cell in cells]
    # In the tiny world one data set stands for all, so the tables share a cell.
    assert names == ["kawhi", "kawhi_visionzip", "base", "uniform"]
    assert [cell.tables for cell in cells] == [("visionzip", "chart_table"), ("visionzip",), *[("chart_table",)] * 2]


def test_the_index_is_slurms(capsys):
    assert chosen(3, {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "3"}) == 2
    assert capsys.readouterr().out == ""
    assert chosen(3, {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "2"}) == 0
    assert capsys.readouterr().out == "warning: this array has 2 of 3 cells; --array=0-2 is all of them\n"
    with pytest.raises(CellError, match=r"there are 3 cells, 0 to 2, and this is task 3: say sbatch --array=0-2"):
        chosen(3, {"SLURM_ARRAY_TASK_ID": "3"})
    with pytest.raises(CellError, match=r"this is no task of an array"):
        chosen(3, {})


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "say which table"),
        (["no_table"], "no_table"),
        (["visionzip", "no.such=1"], "no.such"),
        (["visionzip", "credit=vppo"], "the table has no cell"),
    ],
)
def test_a_mistake_is_a_sentence(words, sentence, monkeypatch, capsys):
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    assert main([*words, *(["scale=cpu"] if words else [])]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert sentence in line


class Job:
    """Stands for the job around a cell, whose own tests run the real one."""

    made: ClassVar[list[Job]] = []

    def __init__(self, folder, part, attempts, baseline=None):
        self.folder, self.part, self.baseline = folder, part, baseline
        self.made.append(self)

    def main(self) -> int:
        assert (self.folder / "config.yaml").is_file()
        return 75


def test_a_prepared_run_directory_goes_to_the_job(tmp_path, monkeypatch):
    monkeypatch.setattr(array_task, "CellJob", Job)
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    Job.made.clear()
    assert main(["visionzip", "scale=cpu", "steps=3", *places(tmp_path)]) == 75  # the cell's own code, and no table
    (job,) = Job.made
    assert (job.part, job.baseline) == (None, None)
    config = RunDirectory(job.folder).load_config()
    assert (config.credit.name, config.steps, config.folder) == ("kawhi_visionzip", 3, "visionzip")
    assert not (tmp_path / "tables").exists()


def test_the_gate_is_handed_to_the_job_once_the_baseline_is_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(array_task, "CellJob", Job)
    gate = "+gate.scores={tiny-qwen2.5-vl:{kawhi_tiny:50.0}}"
    words = ["chart_table", "scale=cpu", gate, *places(tmp_path)]
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    Job.made.clear()
    main(words)
    assert Job.made[-1].baseline is None
    assert "has no record, so nobody knows whether the untrained model has the paper's score" in capsys.readouterr().out
    base = directory_of(table_cells(["chart_table"], words[1:])[0].config)
    write_json(base.record, {})
    main(words)
    assert Job.made[-1].baseline == base.path
    # The baseline itself is not run again.
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    assert main(words) == 0
    assert "it has a record already" in capsys.readouterr().out
    assert len(Job.made) == 2


@pytest.mark.slow
def test_the_table_after_the_last_cell(tmp_path, capfd):
    cells = table_cells(["visionzip"], ["scale=cpu", *places(tmp_path)])
    records, table = tmp_path / "records", tmp_path / "tables" / "visionzip.md"
    # A record that cannot be trusted: the table is made without it, and the last cell's job says so by its exit code.
    write_json(records / "x.json", {})
    for cell, done, code in zip(cells, (1, 2), (0, 1), strict=True):
        write_json(directory_of(cell.config).record, {})
        assert make_table("visionzip", cells, records) == code
        told = capfd.readouterr()
        assert f"table visionzip: {done} of 2 cells have a record" in told.out
        assert f"left out {records / 'x.json'}: " in told.err
        assert "error: the table visionzip lacks records, see above" in told.err
        assert table.is_file()
    (records / "x.json").unlink()
    table.unlink()
    # Tasks that finish together take turns, so whoever comes last sees the records of all.
    program = "import sys, pathlib; from kawhi.cluster.array_task import make_table\n"
    program += "sys.exit(make_table('visionzip', [], pathlib.Path(sys.argv[1])))"
    with open(table.parent / ".visionzip.lock", "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        waiting = subprocess.Popen([sys.executable, "-c", program, str(records)])
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(5)
        assert not table.exists()
    assert waiting.wait(600) == 0
    assert table.is_file()


def test_heads_of_the_tables_models(tmp_path):
    (tmp_path / "test-0.parquet").touch()
    first, second = table_models(["scale=h200x8", f"paths.runs={tmp_path}/runs"])
    assert (first.model.name, second.model.name) == ("qwen2.5-vl-7b", "qwen3-vl-4b")
    command = heads_command(first, f"{tmp_path}/test-*.parquet", ["--threshold", "50"])
    assert command[3:] == [
        *("heads", first.model.path, "--data", f"{tmp_path}/test-0.parquet"),
        *("--out", f"{tmp_path}/heads/{Path(first.model.path).name}", "--threshold", "50"),
    ]
    with pytest.raises(CellError, match="KAWHI_MME= names no file"):
        heads_command(second, None, [])
    tiny, _ = table_models(["scale=cpu"])
    assert heads_command(tiny, None, [])[4:7] == [
        str(array_task.ROOT / "kawhi/tiny/checkpoints/qwen2_5_vl_yes_no"),
        *("--data", "tiny"),
    ]


def test_heads_are_dealt_out_once():
    parts = shares(28, 8)
    assert len(parts) == 8
    assert sorted(",".join(parts).split(",")) == sorted(["whole", *map(str, range(28))])
    assert shares(2, 8) == ["whole", "0", "1"]


def test_the_judge_that_is_served(tmp_path):
    block, runs = judge_block(["scale=h200x8", f"paths.runs={tmp_path}"])
    assert (block["name"], runs) == ("qwen3-vl-30b-a3b", tmp_path)
    with pytest.raises(CellError, match="names no judge that is served"):
        judge_block(["scale=cpu"])


@contextmanager
def answering(block, *, log, host):
    """Stands for vLLM: answers /health until it is shut down."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    assert host == "0.0.0.0"
    server = http.server.ThreadingHTTPServer((host, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    block["stop"] = lambda: (server.shutdown(), server.server_close())
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        if not block.get("dead"):
            block["stop"]()


def test_the_judges_address_is_there_while_it_answers(tmp_path, capsys):
    file, block = tmp_path / ".slurm" / "judge.json", {"model": "a judge"}
    seen = {}

    def interrupt():
        while not file.exists():
            time.sleep(0.05)
        seen.update(json.loads(file.read_text()))
        time.sleep(1.5)  # longer than the patience: it answers
        seen["still"] = file.exists()
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as in the job
    try:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            stay(block, file, log=tmp_path / "log", server=answering, patience=0.6)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen["still"]
    assert seen["model"] == "a judge"
    assert f"judge=endpoint judge.base_url={seen['base_url']} judge.model=a judge" in capsys.readouterr().out
    assert not file.exists()


def test_a_judge_that_dies_ends_the_job(tmp_path):
    file, block = tmp_path / "judge.json", {"model": "a judge", "dead": True}

    def kill():
        while not file.exists():
            time.sleep(0.05)
        block["stop"]()

    threading.Thread(target=kill).start()
    with pytest.raises(CellError, match=r"the judge has not answered for 0.6 s"):
        stay(block, file, log=tmp_path / "log", server=answering, patience=0.6)
    assert not file.exists()
