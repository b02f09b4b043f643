"""The GPUs of this machine, dealt out to cells that run side by side."""

from __future__ import annotations

import os
import shutil
import subprocess

from omegaconf import DictConfig

from kawhi.base.errors import CellError

VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them.

    Raises:
        CellError: the driver does not answer.
    """
    allowed = os.environ.get(VISIBLE)
    if allowed is not None:
        return [each.strip() for each in allowed.split(",") if each.strip() and each.strip() != "-1"]
    return ask_driver("index").split()


def ask_driver(fields: str) -> str:
    """nvidia-smi's line of each GPU with these fields, numbers without units; empty where there is no nvidia-smi.

    Raises:
        CellError: the driver does not answer.
    """
    if shutil.which("nvidia-smi") is None:
        return ""
    query = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True, timeout=60).stdout
    except (subprocess.SubprocessError, OSError) as error:
        raise CellError(
            f"nvidia-smi failed, so no GPU can be chosen ({error}): see whether the driver works"
        ) from error


def gpus_needed(cell: DictConfig) -> int:
    """How many GPUs of this machine a cell takes for itself."""
    return int(cell.verl.trainer.n_gpus_per_node) if cell.scale.device == "cuda" else 0


class Devices:
    """GPUs in disjoint sets: each belongs to one running cell until it is given back."""

    def __init__(self, names: list[str]):
        self.count = len(names)
        self._free = list(names)

    @classmethod
    def for_cells(cls, needs: list[int]) -> Devices:
        """This machine's GPUs, for cells that take so many each.

        Raises:
            CellError: there are too few for one of them.
        """
        devices = cls(visible_gpus() if any(needs) else [])
        if needs and max(needs) > devices.count:
            said = f"{VISIBLE}={os.environ[VISIBLE]}" if VISIBLE in os.environ else "nvidia-smi"
            raise CellError(
                f"a cell needs {max(needs)} GPUs (verl.trainer.n_gpus_per_node) and this machine shows {devices.count} "
                f"({said}): lower it, or run where there are as many"
            )
        return devices

    def take(self, count: int) -> list[str] | None:
        """``count`` GPUs, ``[]`` for none; ``None`` while fewer are free."""
        if count > len(self._free):
            return None
        taken, self._free = self._free[:count], self._free[count:]
        return taken

    def give_back(self, names: list[str]) -> None:
        self._free += names
