"""The judge's server as a job of its own: python -m kawhi.cluster.judge_job [OVERRIDES]

What ``slurm/judge.sh`` runs.  While the server answers, ``<runs>/.slurm/judge.json`` says where.  One server, whose
weights are loaded once, can so judge several tables.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from omegaconf import OmegaConf

from kawhi.base.checkout import ROOT
from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.evaluation.judge_server import judge_served
from kawhi.evaluation.serving import get
from kawhi.runs.composing import compose_cells

PATIENCE = 60
"""Seconds without an answer after which the server counts as dead."""

_POLL_SECONDS = 2.0


def judge_block(overrides: Sequence[str], conf: Path = ROOT / "conf") -> tuple[dict[str, Any], Path]:
    """The block ``judge`` that the overrides compose, and the folder of the runs.

    Raises:
        CellError: it names no judge that can be served.
    """
    (cell,), _ = compose_cells(conf, overrides)
    block: Any = OmegaConf.to_container(cell.judge, resolve=True) if cell.judge is not None else None
    if block is None or not block.get("serve"):
        raise CellError("this names no judge that is served here: say judge=qwen3_vl_30b_a3b, or scale=h200x8")
    return block, Path(cell.paths.runs).resolve()


def stay(
    block: dict[str, Any],
    file: Path,
    *,
    log: Path,
    server: Callable[..., AbstractContextManager[list[str]]] = judge_served,
    patience: float = PATIENCE,
) -> None:
    """Serves the judge until this process is interrupted; ``file`` says where for as long as it answers.

    Raises:
        CellError: the server does not start, or does not answer any more.
    """
    with server(block, log=log, host="0.0.0.0") as here:
        urls = [f"http://{_own_name()}:{urlsplit(each).port}/v1" for each in here]
        url = urls[0] if len(urls) == 1 else urls
        shown = urls[0] if len(urls) == 1 else f"'[{','.join(urls)}]'"
        job = os.environ.get("SLURM_JOB_ID")
        write_json(file, {"base_url": url, "model": block["model"], "job": job, "time": time.time()})
        print(f"the judge answers at {', '.join(urls)}; {file} says so.  Use it with", flush=True)
        print(f"  judge=endpoint judge.base_url={shown} judge.model={block['model']}", flush=True)
        try:
            answered = dict.fromkeys(here, time.monotonic())
            while time.monotonic() - min(answered.values()) < patience:
                time.sleep(min(_POLL_SECONDS, patience / 3))
                for each in here:
                    if get(f"{each.removesuffix('/v1')}/health", timeout=5 * _POLL_SECONDS) is not None:
                        answered[each] = time.monotonic()
            raise CellError(f"the judge has not answered for {patience:g} s: read {log}")
        finally:
            if file.exists() and json.loads(file.read_text())["base_url"] == url:  # else another job's
                file.unlink()


def _own_name() -> str:
    """What other nodes call this one: its host name, or its address where nobody knows the name."""
    name = socket.gethostname()
    try:
        socket.gethostbyname(name)
    except OSError:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("10.255.255.255", 1))  # sends nothing; the system chooses the address it would send from
            return probe.getsockname()[0]
    return name


def main(arguments: Sequence[str] | None = None) -> int:
    """130 when it was interrupted, as by scancel; 1 and one sentence when the server fails."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        block, runs = judge_block(words)
        stay(block, runs / ".slurm" / "judge.json", log=runs / ".slurm" / "judge-server.log")
    except (CellError, HydraException, OmegaConfBaseException) as error:
        print(f"error: {' '.join(str(error).split('Config search path')[0].split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
