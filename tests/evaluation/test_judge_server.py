"""The judge's own servers: one for each replica, started side by side."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from omegaconf import OmegaConf

from kawhi.base.errors import CellError
from kawhi.evaluation import judge_server as module
from kawhi.evaluation.judge_settings import JudgeSettings
from kawhi.runs.composing import compose_cells
from tests.cells import CONF


@pytest.fixture
def servers(monkeypatch):
    """What was started, waited for and ended, in order, in the place of vLLM; on four free GPUs."""
    seen = []

    @contextmanager
    def started(model, *, port, environment, log, options, **_):
        seen.append(("start", environment.get("CUDA_VISIBLE_DEVICES"), log.name))
        assert "--data-parallel-size" not in options

        class Server:
            def ready(self):
                seen.append(("ready", port))
                return f"http://127.0.0.1:{port}/v1"

        try:
            yield Server()
        finally:
            seen.append(("end", port))

    monkeypatch.setattr(module, "started", started)
    monkeypatch.setattr(module, "gpus_free", lambda: ["2", "3", "6", "7"])
    return seen


def block(model, **serve):
    """The judge of full scale, read from a folder."""
    (cell,), _ = compose_cells(CONF, ["scale=h200x8", "model=qwen2_5_vl_7b", "data=geo3k", "benchmarks=math"])
    cell.judge.model = str(model)
    cell.judge.serve.update(serve)
    return OmegaConf.to_container(cell.judge, resolve=True)


def test_each_replica_is_a_server_of_its_own(servers, tmp_path):
    with module.judging(block(tmp_path, port=8000), log=tmp_path / "judge_server.log") as judge:
        assert judge.settings.addresses == tuple(f"http://127.0.0.1:{8000 + i}/v1" for i in range(4))
        assert {each.concurrency for each in judge.endpoint.endpoints} == {32}
    logs = ["judge_server.log", *(f"judge_server-{i}.log" for i in (1, 2, 3))]
    assert servers[:4] == [("start", gpu, log) for gpu, log in zip("2367", logs, strict=True)]
    assert servers[4:8] == [("ready", 8000 + i) for i in range(4)]
    assert sorted(servers[8:]) == [("end", 8000 + i) for i in range(4)]


def test_a_replica_may_take_several_gpus(servers, tmp_path):
    with module.judge_served(block(tmp_path, tensor_parallel=2), log=tmp_path / "log") as addresses:
        assert len(set(addresses)) == 2
    assert [each[1] for each in servers if each[0] == "start"] == ["2,3", "6,7"]
    large = module.judge_served(block(tmp_path, tensor_parallel=8), log=tmp_path / "log")
    with pytest.raises(CellError, match=r"needs 8 free GPU\(s\) and 4 are"), large:
        pass


def test_a_rehearsal_s_judge_needs_no_gpu(servers, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "gpus_free", lambda: pytest.fail("asked for GPUs"))
    with module.judging(block(tmp_path, device="cpu", port=8000), log=tmp_path / "log") as judge:
        assert judge.settings.addresses == ("http://127.0.0.1:8000/v1",)
    assert servers[0] == ("start", None, "log")


def test_a_list_of_addresses_can_be_typed():
    words = ["judge=endpoint", "judge.base_url=[http://a:8000/v1,http://10.0.0.2:8001/v1]"]
    words += ["judge.extra_body={chat_template_kwargs:{enable_thinking:false}}", "judge.on_refusal=wrong"]
    (cell,), _ = compose_cells(CONF, words)
    settings = JudgeSettings.from_config(OmegaConf.to_container(cell.judge, resolve=True))
    assert settings.addresses == ("http://a:8000/v1", "http://10.0.0.2:8001/v1")
    assert settings.extra_body == {"chat_template_kwargs": {"enable_thinking": False}}
    assert settings.on_refusal == "wrong"
