"""Runs one cell, or with -m a sweep of cells.

python experiments/run.py -m ablation=region_selection
python experiments/run.py model=tiny_qwen3_vl credit=uniform steps=10
"""

import sys
from pathlib import Path

try:
    from kawhi.base.checkout import ROOT
    from kawhi.runs.command_line import main
except ModuleNotFoundError as error:
    sys.exit(
        f"error: {sys.executable} has no {error.name}: type `source .venv/bin/activate` first (`make setup` makes it)"
    )

if __name__ == "__main__":
    here = Path(__file__).resolve().parents[1]
    # This checkout's configuration with another one's code would give numbers of neither.
    if ROOT.resolve() != here and (ROOT / "experiments" / "run.py").is_file():
        sys.exit(f"error: this is {here}, and Python finds the kawhi of {ROOT}: use this checkout's environment")
    main(here / "conf")
