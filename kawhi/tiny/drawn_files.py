"""Files of the drawn worlds: each is drawn when it is first asked for, and its name tells what is in it.

``python -m kawhi.tiny.drawn_files FILE...`` draws those that are not there.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from kawhi.tiny.fingerprint import generator_fingerprint
from kawhi.tiny.world import Split
from kawhi.tiny.worlds import TINY, WORLDS

_NAME = re.compile(
    r"(?:(?P<world>\w+)-)?(?P<split>[a-z]+)-(?P<count>\d+)x(?P<pixels>\d+)px-s(?P<seed>\d+)-(?P<made>\w+)"
)


def tiny_file(cell: DictConfig, split: Split, count: int, seed: int, world: str = TINY, *, make: bool = True) -> Path:
    """A split of a drawn world at the model's image size; with ``make=False`` it may not be there yet."""
    from kawhi.tiny.dataset import write_split

    which = "" if world == TINY else f"{world}-"
    name = f"{which}{split}-{count}x{cell.model.image_size}px-s{seed}-{generator_fingerprint(world)}.parquet"
    path = Path(cell.paths.data) / "tiny" / name
    if make and not path.exists():
        write_split(path, split, count, cell.model.image_size, seed, world)
    return path


def is_drawn(path: Path) -> bool:
    """Whether a file's name says that a world of today draws it."""
    found = _NAME.fullmatch(path.stem)
    world = (found["world"] or TINY) if found else ""
    return path.parent.name == "tiny" and world in WORLDS and found["made"] == generator_fingerprint(world)  # type: ignore[index]


def draw(path: Path) -> None:
    """Draws the file that a name describes, where it is not there yet.

    Raises:
        ValueError: a name that no world of today has given.
    """
    from kawhi.tiny.dataset import write_split

    if not is_drawn(path):
        raise ValueError(f"{path} is no name of a drawn file of today: ask `kawhi plan` again")
    told: Any = _NAME.fullmatch(path.stem)
    if not path.exists():
        write_split(
            path, told["split"], int(told["count"]), int(told["pixels"]), int(told["seed"]), told["world"] or TINY
        )


if __name__ == "__main__":
    for file in sys.argv[1:]:
        draw(Path(file))
