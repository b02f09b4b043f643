"""What the file of a scale sets, with the files that it builds on; for whoever does not compose a whole cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.base.errors import CellError


def scale_settings(conf: Path, scale: str) -> DictConfig:
    """``conf/scale/NAME.yaml`` over the scales in its defaults list; without what ``conf/run.yaml`` shares.

    Raises:
        CellError: there is no such scale.
    """
    file = conf / "scale" / f"{scale}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(found.stem for found in file.parent.glob("*.yaml")))
        raise CellError(f"scale={scale} is not one of {known}")
    own: Any = OmegaConf.load(file)
    below = [each for each in own.pop("defaults", []) if isinstance(each, str) and each != "_self_"]
    found: Any = OmegaConf.merge(*(scale_settings(conf, each) for each in below), own)
    return found
