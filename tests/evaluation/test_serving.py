"""A server is there when it is needed and gone afterwards, with all its processes."""

from __future__ import annotations

import io
import socket
import sys
import time
from base64 import b64encode
from importlib.resources import files
from pathlib import Path

import psutil
import pytest
from omegaconf import OmegaConf
from PIL import Image

from kawhi.base.errors import CellError
from kawhi.evaluation import judge_server, serving
from kawhi.evaluation.endpoint import Endpoint, EndpointError, run_all
from kawhi.evaluation.judge_server import judging
from kawhi.evaluation.serving import free_among, parallel_options, served, telling_line
from tests.cells import CONF, gone, until

# Python programs in vLLM's place: a server with a child in a session of its own and one in ours, and broken ones.
SERVER = """
import subprocess, sys, json
from http.server import BaseHTTPRequestHandler, HTTPServer
port, name = int(sys.argv[sys.argv.index("--port") + 1]), sys.argv[sys.argv.index("--served-model-name") + 1]
children = [subprocess.Popen(["sleep", "900"], start_new_session=own) for own in (False, True)]
print("CHILDREN", *(child.pid for child in children), flush=True)
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"data": [{"id": name}]}).encode())
HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
BROKEN = """
import sys
print("(Worker pid=1) INFO loading")
print("(EngineCore pid=2) ERROR 11-22 10:00:00 [core.py:1] torch.OutOfMemoryError: CUDA out of memory")
print("RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}")
sys.exit(3)
"""
SILENT = "import time; time.sleep(900)"


@pytest.fixture
def stand_in(monkeypatch):
    def put(code: str) -> None:
        monkeypatch.setattr(serving, "COMMAND", (sys.executable, "-c", code))

    return put


def start(tmp_path, **more):
    usual = dict(
        name="m", port=None, options=["--x", "1"], log=tmp_path / "logs" / "s.log", limit=300, limit_key="a.key"
    )
    return served("model", environment=None, **(usual | more))


def children(tmp_path) -> list[int]:
    return [int(each) for each in (tmp_path / "logs" / "s.log").read_text().split("CHILDREN")[-1].split()[:2]]


def all_gone(pids: list[int]) -> bool:
    return all(gone(pid) for pid in pids)


def test_a_server_is_ready_inside_and_gone_afterwards(tmp_path, stand_in):
    stand_in(SERVER)
    with start(tmp_path) as base_url:
        run_all([Endpoint(base_url, "m", concurrency=1, timeout=60, attempts=1, patience=5).check()])
        pids = children(tmp_path)
        assert all(psutil.pid_exists(pid) for pid in pids)
    until(lambda: all_gone(pids))


def test_a_server_that_was_killed_leaves_no_orphans(tmp_path, stand_in):
    stand_in(SERVER)
    with start(tmp_path):
        same_session, own_session = children(tmp_path)
        psutil.Process(same_session).parent().kill()
        time.sleep(0.1)
    until(lambda: all_gone([same_session]))
    psutil.Process(own_session).kill()  # nothing tied it to the dead server any more, and this test ends it


def test_the_shared_memory_of_a_server_goes_with_it(tmp_path, stand_in):
    """Also what a child holds that ends in no order, as vLLM's engine may."""
    holder = (
        "from multiprocessing.shared_memory import SharedMemory; import os, signal, time; "
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); held = SharedMemory(create=True, size=4096); "
        "os.system(f'echo HOLDS {held.name}'); time.sleep(900)"
    )
    stand_in(f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {holder!r}])\n{SERVER}")
    log = tmp_path / "logs" / "s.log"
    with start(tmp_path):
        until(lambda: "HOLDS" in log.read_text())
        segment = Path("/dev/shm", log.read_text().split("HOLDS")[-1].split()[0])
        assert segment.exists()
    assert not segment.exists()


def test_an_exception_inside_ends_the_server(tmp_path, stand_in):
    stand_in(SERVER)
    with pytest.raises(ZeroDivisionError), start(tmp_path):
        1 / 0  # noqa: B018
    until(lambda: all_gone(children(tmp_path)))


def test_a_server_that_dies_says_why(tmp_path, stand_in):
    stand_in(BROKEN)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "s.log").write_text("ValueError: of an older start\n")
    sentence = r"ended while it started \(exit code 3\): OutOfMemoryError: CUDA out of memory; see .*s\.log"
    with pytest.raises(CellError, match=sentence), start(tmp_path):
        pass


def test_a_server_that_never_answers_is_ended(tmp_path, stand_in):
    stand_in(SILENT)
    before = {process.pid for process in psutil.Process().children()}
    with pytest.raises(CellError, match=r"was not ready after 0\.5 s: .* raise a\.key$"), start(tmp_path, limit=0.5):
        pass
    assert {process.pid for process in psutil.Process().children()} <= before


def test_a_port_that_another_server_has_is_refused(tmp_path, stand_in):
    stand_in(SERVER)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(CellError, match="is taken"), start(tmp_path, port=other.getsockname()[1]):
            pass
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nerror: unrecognized arguments: --x\n", "error: unrecognized arguments: --x"),
        ("loading\nstill loading\n\n", "still loading"),
        ("", "it wrote nothing"),
        ("x ValueError: too long\nINFO bye\n", "ValueError: too long"),
        ("RuntimeError: Engine core initialization failed. See root cause above.", None),
        (
            "RuntimeError: Worker failed\n    raise RuntimeError(\nRuntimeError: See root cause above",
            "RuntimeError: Worker failed",
        ),
    ],
)
def test_the_line_that_tells_most(text, line):
    assert telling_line(text) == (line or text)


@pytest.mark.parametrize(
    ("devices", "tensor_parallel", "expected"),
    [
        (1, 1, ["--tensor-parallel-size", "1"]),
        (8, 1, ["--tensor-parallel-size", "1", "--data-parallel-size", "8"]),
        (8, 2, ["--tensor-parallel-size", "2", "--data-parallel-size", "4"]),
        (3, 2, ["--tensor-parallel-size", "2"]),
    ],
)
def test_free_gpus_become_replicas(devices, tensor_parallel, expected):
    assert parallel_options(devices, tensor_parallel) == expected


LISTED = "0, GPU-aa1, 3, 81559\n1, GPU-bb2, 70000, 81559\n2, GPU-cc3, 512, 81559\n"


@pytest.mark.parametrize(
    ("visible", "free"),
    [(None, ["0", "2"]), ("", []), ("1,2", ["2"]), ("GPU-aa1", ["GPU-aa1"]), ("0, 1", ["0"]), ("GPU-cc", ["GPU-cc"])],
)
def test_a_gpu_is_free_when_it_may_be_used_and_nobody_does(visible, free):
    assert free_among(LISTED, visible) == free


def block(name, **more):
    return OmegaConf.to_container(OmegaConf.load(CONF / "judge" / f"{name}.yaml"), resolve=True)["judge"]


def test_no_judge_is_none_and_a_running_server_is_used_as_it_is(tmp_path):
    with judging(block("none"), log=tmp_path / "log") as judge:
        assert judge is None
    given = block("qwen3_vl_30b_a3b") | {"base_url": "http://127.0.0.1:9/v1"}
    with judging(given, log=tmp_path / "log") as judge:
        assert judge.settings.base_url == "http://127.0.0.1:9/v1"
        assert judge.settings.name == "qwen3-vl-30b-a3b"
    assert not (tmp_path / "log").exists()


def test_a_judge_is_started_on_the_free_gpus(tmp_path, stand_in, monkeypatch):
    stand_in("import os, sys; print(os.environ['CUDA_VISIBLE_DEVICES'], *sys.argv, flush=True)\n" + SERVER)
    monkeypatch.setattr(judge_server, "gpus_free", lambda: ["1", "3"])
    (folder := tmp_path / "judge").mkdir()
    model = str(folder)
    with judging(block("qwen3_vl_30b_a3b") | {"model": model}, log=tmp_path / "log") as judge:
        run_all([judge.endpoint.check()])
    for gpu, log in (("1", "log"), ("3", "log-1")):
        line = (tmp_path / log).read_text().splitlines()[0]
        assert line.startswith(f"{gpu} -c {model} --served-model-name {model}")
        assert "--tensor-parallel-size 1 --max-model-len 16384" in line


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("qwen3_vl_30b_a3b", r"needs 1 free GPU\(s\) and 0 are.*name a running"), ("endpoint", r"judge\.base_url")],
)
def test_a_judge_without_gpus_or_an_address_is_refused(tmp_path, monkeypatch, name, sentence):
    monkeypatch.setattr(judge_server, "gpus_free", list)
    with pytest.raises(CellError, match=sentence), judging(block(name), log=tmp_path):
        pass


@pytest.mark.slow
def test_the_real_vllm_serves_a_checkpoint_and_sees_an_image(tmp_path):
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    environment |= {"VLLM_WORKER_MULTIPROC_METHOD": "fork", "OMP_NUM_THREADS": "1"}
    options = ["--dtype", "float32", "--enforce-eager", "--max-model-len", "256", "--max-num-seqs", "16"]
    buffer = io.BytesIO()
    Image.new("RGB", (168, 168), "red").save(buffer, "PNG")
    url = f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"
    text = {"type": "text", "text": "Find the sum of A and B."}
    seen = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}, text]}]
    blind = [{"role": "user", "content": [text]}]
    with served(
        str(files("kawhi.tiny") / "checkpoints" / "qwen2_5_vl"),
        name="tiny",
        port=None,
        options=options,
        log=tmp_path / "log",
        limit=300,
        limit_key="evaluation.server.start",
        environment=environment,
    ) as base_url:
        endpoint = Endpoint(base_url, "tiny", concurrency=4, timeout=60, attempts=2, patience=5)
        run_all([endpoint.check()])
        greedy = dict(max_tokens=8, temperature=0.0, top_k=5, repetition_penalty=1.0)
        first, again, without = run_all(endpoint.chat(each, **greedy) for each in (seen, seen, blind))
        assert (first.finish_reason, first.tokens, first.attempts) == ("length", 8, 1)
        assert first.text == again.text != without.text
        with pytest.raises(EndpointError, match="HTTP 400"):  # longer than the model's 256 tokens
            run_all([endpoint.chat(blind, max_tokens=1000)])
        server = next(each for each in psutil.Process().children() if "vllm_server" in " ".join(each.cmdline()))
        pids = [server.pid, *(each.pid for each in server.children(recursive=True))]
        assert len(pids) > 2
        server.kill()  # its forked engine still holds the port for a while, and then nobody answers there
        short = Endpoint(base_url, "tiny", concurrency=1, timeout=20, attempts=2, patience=30)
        with pytest.raises(EndpointError, match=r"after 2 tries: no (connection|answer)"):
            run_all([short.chat(seen, **greedy)])
    until(lambda: all_gone(pids))
