"""The judge's server as a job of its own."""

from __future__ import annotations

import http.server
import json
import os
import signal
import threading
import time
from contextlib import contextmanager

import pytest

pytest.importorskip("hydra", reason="the training extra is not installed")

from kawhi.base.errors import CellError
from kawhi.cluster.judge_job import judge_block, stay
from tests.cells import until


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
        yield [f"http://127.0.0.1:{server.server_port}/v1"]
    finally:
        if not block.get("dead"):
            block["stop"]()


def test_the_judges_address_is_there_while_it_answers(tmp_path, capsys):
    file, block = tmp_path / ".slurm" / "judge.json", {"model": "a judge"}
    seen = {}

    def interrupt():
        until(file.exists)
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
        until(file.exists)
        block["stop"]()

    threading.Thread(target=kill).start()
    with pytest.raises(CellError, match=r"the judge has not answered for 0.6 s"):
        stay(block, file, log=tmp_path / "log", server=answering, patience=0.6)
    assert not file.exists()
