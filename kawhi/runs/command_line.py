"""The command that runs one cell, or with -m a sweep: ``experiments/run.py``, and ``kawhi-run`` without a checkout."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kawhi.base.errors import CellError, sentence
from kawhi.base.included import taken_from
from kawhi.base.table_blocks import products
from kawhi.runs.cell import run_cell
from kawhi.runs.own_methods import make_known
from kawhi.runs.plan import print_plan
from kawhi.runs.record import score_line
from kawhi.runs.table_rows import TableError


def main(conf: Path) -> None:
    """Runs what ``sys.argv`` asks for, with the configuration of a folder; exits with a sentence where it cannot."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `kill` and a scheduler's notice are Ctrl-C to us
    os.environ["HYDRA_FULL_ERROR"] = "1"  # a mistake in the configuration reaches us and becomes one sentence
    try:
        sys.argv[1:] = taken_from(sys.argv[1:])
        make_known()
        hydra.main(config_path=str(conf.resolve()), config_name="run", version_base="1.3")(one_cell)()
        if any(word.startswith(("experiment=", "ablation=")) for word in sys.argv) and {"--cfg", "-c"} & set(sys.argv):
            print("\n# The cells that -m would run:")
            print_plan([word for word in sys.argv[1:] if "=" in word], prefix="# ")
    except (HydraException, OmegaConfBaseException, TableError, CellError) as error:
        sys.exit(f"error: {sentence(error)}")


def one_cell(cell: DictConfig) -> None:
    """What Hydra calls without -m."""
    try:
        refuse_a_table()
        refuse_slurm()
        place = run_cell(cell, overrides=HydraConfig.get().overrides.task)
        print(f"done: {place.run.path}")
        for evaluation in place.evaluations:
            print(score_line(json.loads(evaluation.record.read_text())))
    except (CellError, OmegaConfBaseException) as error:
        print(f"error: {sentence(error)}", file=sys.stderr)
        sys.exit(getattr(error, "code", 1))
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


def refuse_a_table() -> None:
    """A table's file without -m would run one cell of defaults under the table's name.

    Raises:
        CellError: the command line does not say which cell of the table is meant.
    """
    job = HydraConfig.get()
    given = {override.split("=")[0] for override in job.overrides.task}
    rows = products(OmegaConf.to_container(job.sweeper).get("blocks", []))  # type: ignore[union-attr, arg-type]
    if rows and not any(set(row) <= given for row in rows):
        raise CellError("this is a table of several cells: add -m, or look at it with kawhi plan")


def refuse_slurm() -> None:
    """Hydra asks a launcher for sweeps only: without -m the cell would run here, on the login node.

    Raises:
        CellError: ``hydra/launcher=slurm`` without -m.
    """
    job = HydraConfig.get()
    if job.mode == RunMode.RUN and job.runtime.choices.get("hydra/launcher") == "slurm":
        raise CellError("hydra/launcher=slurm submits sweeps: add -m, for one cell, too")
