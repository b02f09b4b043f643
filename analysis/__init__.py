"""From records to the tables, figures, report and cards of the paper."""

import sys
from importlib.util import find_spec

# Whoever types a script of this folder with another Python is told so before the first of many imports fails.
for _name in ("matplotlib", "numpy", "pandas", "pydantic", "rich", "scipy", "yaml"):
    if find_spec(_name) is None:
        raise SystemExit(
            f"error: {sys.executable} has no {_name}: type `source .venv/bin/activate` first (`make setup` makes it)"
        )
