"""What a scale asks of a machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kawhi.base.attention_choice import AUTO, chosen
from kawhi.base.scales import scale_settings
from kawhi.doctor import attempts
from kawhi.queue.site import gpus_option

GIB = 2**30
SHM_ALONE = 0.25  # GiB: measured for one cell of the tiny world, with room
SHM_PER_GPU = 4  # GiB, our choice: as much as a vLLM keeps of images by default


@dataclass(frozen=True)
class Needs:
    """What a scale asks of a node.

    Attributes:
        scale: its name.
        gpus: per node; 0 where it needs none.
        cpus, memory_gib: of a job; 0 GiB is all of the node's.
        disk_gib: free under ``paths.runs``.
        attention: as transformers names it.
        host_memory_gib: what a cell itself takes of the machine, beside its GPUs.
    """

    scale: str
    gpus: int
    cpus: int
    memory_gib: int
    disk_gib: float
    attention: str = "sdpa"
    host_memory_gib: float = 0

    @classmethod
    def of(cls, conf: Path, scale: str) -> Needs:
        """From ``conf/scale``.

        Raises:
            CellError: there is no such scale.
        """
        found = scale_settings(conf, scale)
        job, needs = found.scale.slurm, found.scale.needs
        gpus = 0 if found.scale.device == "cpu" else found.verl.trainer.n_gpus_per_node
        attention = found.scale.attention
        if attention == AUTO:  # of what is installed here, which is what nodes have, or are told that they lack
            attention = chosen(AUTO, found.scale.device)
        memory = needs.get("memory_gib", 0)
        return cls(scale, gpus, job.cpus, job.memory_gib, needs.disk_gib, attention, memory)

    @property
    def kind(self) -> str:
        """``gpu`` or ``cpu``: which lock of ``requirements`` it wants."""
        return "gpu" if self.gpus else "cpu"

    @property
    def shm_gib(self) -> float:
        """Free in /dev/shm: what vLLM keeps of images and Ray of its objects."""
        return self.gpus * SHM_PER_GPU or SHM_ALONE

    def attempts(self, *checks: str) -> dict[str, Any]:
        """What ``attempts.py`` is asked for; without ``checks`` all that the device has."""
        device = "cuda" if self.gpus else "cpu"
        asked = {"scale": self.scale, "device": device, "gpus": self.gpus, "attention": self.attention}
        return asked | {"checks": checks or attempts.OF_DEVICE[device]}

    def options(self) -> list[str]:
        """For sbatch and srun."""
        memory = f"{self.memory_gib}G" if self.memory_gib else "0"
        gpus = ["--{}={}".format(*gpus_option(self.gpus))] if self.gpus else []
        return [f"--cpus-per-task={self.cpus}", f"--mem={memory}", *gpus]
