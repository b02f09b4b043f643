"""Files of the drawn worlds: each is drawn when it is first asked for, and its name tells what is in it."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from kawhi.tiny.fingerprint import generator_fingerprint
from kawhi.tiny.world import Split
from kawhi.tiny.worlds import TINY


def tiny_file(cell: DictConfig, split: Split, count: int, seed: int, world: str = TINY, *, make: bool = True) -> Path:
    """A split of a drawn world at the model's image size; with ``make=False`` it may not be there yet."""
    from kawhi.tiny.dataset import write_split

    which = "" if world == TINY else f"{world}-"
    name = f"{which}{split}-{count}x{cell.model.image_size}px-s{seed}-{generator_fingerprint(world)}.parquet"
    path = Path(cell.paths.data) / "tiny" / name
    if make and not path.exists():
        write_split(path, split, count, cell.model.image_size, seed, world)
    return path
