"""``kawhi-run``: what ``python experiments/run.py`` is in a checkout, for whoever has the package alone."""

from __future__ import annotations

import sys

from kawhi.base.checkout import configuration_folder


def main() -> None:
    """Runs the cells that ``sys.argv`` asks for."""
    try:
        from kawhi.runs.command_line import main as run
    except ModuleNotFoundError as error:
        remedy = "type `make setup`, or pip install -e '.[train,evaluation,analysis]' in the checkout"
        sys.exit(f"error: kawhi-run needs {error.name}: {remedy}")
    run(configuration_folder())
