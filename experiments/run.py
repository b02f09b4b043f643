"""Runs one cell, or with -m a sweep of cells.

python experiments/run.py -m ablation=region_selection
python experiments/run.py model=tiny_qwen3_vl credit=uniform steps=10
"""

import os
import signal
import sys

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from kawhi.runs.cell import run_cell
from kawhi.runs.identity import CellError


@hydra.main(config_path="../conf", config_name="run", version_base="1.3")
def main(cell: DictConfig) -> None:
    try:
        print(f"done: {run_cell(cell).record}")
    except CellError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(getattr(error, "code", 1))
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `kill` and a scheduler's notice are Ctrl-C to us
    os.environ["HYDRA_FULL_ERROR"] = "1"  # a mistake in the configuration reaches us and becomes one sentence
    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
        sentence = str(error).split("Config search path")[0]
        sys.exit(f"error: {' '.join(sentence.split())}")
