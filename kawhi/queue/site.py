"""``slurm/site.env``: what one cluster needs, for the launcher and every script of ``slurm/``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from kawhi.base.errors import CellError

SITE = Path("slurm/site.env")
"""Where it is looked for; a cluster can do without one."""


def gpus_option(number: int) -> tuple[str, str]:
    """Option of sbatch and its value with which this site asks for so many GPUs of each node.

    ``KAWHI_GRES`` names them where Slurm knows them as generic resources alone: ``gpu``, or ``gpu:h200``.
    """
    gres = os.environ.get("KAWHI_GRES")
    return ("gres", f"{gres}:{number}") if gres else ("gpus-per-node", str(number))


def read_site(file: Path) -> dict[str, str]:
    """What a bash file of exports sets or changes; empty when there is no such file.

    Raises:
        CellError: bash cannot read it.
    """
    if not file.is_file():
        return {}
    script = 'env -0; printf "\\0"; set -ae; source "$1" >&2; env -0'
    done = subprocess.run(["bash", "-c", script, "bash", str(file.resolve())], capture_output=True, text=True)
    if done.returncode:
        raise CellError(f"bash cannot read {file}: {' '.join(done.stderr.split()) or 'no message'}")
    before, after = (
        dict(entry.split("=", 1) for entry in part.split("\0") if "=" in entry) for part in done.stdout.split("\0\0", 1)
    )
    return {key: value for key, value in after.items() if before.get(key) != value and key not in ("_", "SHLVL")}


def use_site(file: Path = SITE) -> dict[str, str]:
    """Puts what the file sets into the environment, and returns it.

    What the shell sets already of the names that are ours or sbatch's wins; to others (PATH) the file may well add.

    Raises:
        CellError: bash cannot read the file.
    """
    site = read_site(file)
    os.environ.update({k: v for k, v in site.items() if not (k.startswith(("KAWHI_", "SBATCH_")) and k in os.environ)})
    return site


def use_folders(file: Path = SITE) -> None:
    """Puts the site's folders into the environment, where the shell has not set them: looking uses what launching used.

    Raises:
        CellError: bash cannot read the file.
    """
    site = read_site(file)
    for name in ("KAWHI_RUNS", "KAWHI_RECORDS", "KAWHI_DATA"):
        if name in site:
            os.environ.setdefault(name, site[name])
