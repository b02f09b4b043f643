"""What ``conf/model/own.yaml`` says of a checkpoint of one's own: read from its files, whatever its size.

And its critical heads: those of the record that ``kawhi heads`` has written of these very weights.
"""

from __future__ import annotations

import json
from functools import cache
from math import isqrt
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from kawhi.base.checkpoint_weights import UNMEASURED, local_model, measured_heads
from kawhi.base.errors import CellError

_TOKENS = 16  # of a side of a drawn picture, as in conf/model


def own_model(path: str, key: str) -> Any:
    """``${own_model:PATH,KEY}``: a fact of a checkpoint; ``None``, or a name, where the checkpoint is not here."""
    folder = _here(path)
    facts = _facts(folder) if folder else {}
    found = facts.get(key, (Path(path).name or "own") if key == "name" else None)
    return OmegaConf.create(found) if isinstance(found, dict) else found


def heads_of_cell(path: str, revision: str | None, records: str) -> Any:
    """``${measured_heads:PATH,REVISION,RECORDS}``: the critical heads of these weights, ``None`` for all of them."""
    if _here(path) is None:
        return None  # there is no such model, which is refused for that reason
    try:
        return measured_heads(path, revision, Path(records))
    except CellError:  # no weights, which an identity refuses
        return UNMEASURED


def _here(path: str) -> Path | None:
    """The same of a checkpoint that may be wrong: what is wrong with it is said by the checks of a cell."""
    try:
        return checkpoint_folder(path)
    except CellError:
        return None


def checkpoint_folder(path: str) -> Path | None:
    """A model's folder, or its snapshot in the hub's cache; ``None`` where it has no ``config.json`` here.

    Raises:
        CellError: a folder that does not exist.
    """
    if not path:
        return None
    folder = local_model(path)
    if folder is None:
        from huggingface_hub import try_to_load_from_cache

        file = try_to_load_from_cache(path, "config.json")
        folder = Path(file).parent if isinstance(file, str) else None
    return folder if folder and (folder / "config.json").is_file() else None


@cache
def _facts(folder: Path) -> dict[str, Any]:
    """The block ``model`` of a checkpoint, and its processor's limits."""
    from kawhi.runs.disk import parameters_of
    from kawhi.runs.model_settings import PATCH

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    family, text = config["model_type"], config.get("text_config") or config
    facts: dict[str, Any] = {"name": _name(folder), "family": family, "query_heads": text.get("num_attention_heads")}
    if family not in PATCH:
        return facts  # refused by its family
    token = 2 * PATCH[family]
    least, most = _pixels(folder, token)
    width = text.get("head_dim") or text["hidden_size"] // text["num_attention_heads"]
    sizes = {
        "parameters": parameters_of(str(folder)),
        "layers": text["num_hidden_layers"],
        "hidden": text["hidden_size"],
        "intermediate": text["intermediate_size"],
        "query_width": text["num_attention_heads"] * width,
        "key_width": text["num_key_value_heads"] * width,
        "vocabulary": text["vocab_size"],
        "vision_layers": config["vision_config"]["depth"],
        "vision_hidden": config["vision_config"]["hidden_size"],
        "image_tokens": most // token**2,
    }
    side = token * max(1, min(_TOKENS, isqrt(most) // token))
    return facts | {
        "sizes": sizes if sizes["parameters"] else None,  # of a model whose weights are not here yet
        "patch": PATCH[family],
        "min_pixels": least,
        "max_pixels": most,
        "image_size": side,
    }


def _name(folder: Path) -> str:
    """Its folder's, but for a snapshot of the hub, whose folder is called like its commit."""
    parents = folder.parts
    if "snapshots" in parents:
        return parents[parents.index("snapshots") - 1].rpartition("--")[2]
    return folder.name


def _pixels(folder: Path, token: int) -> tuple[int, int]:
    """The fewest and the most pixels of an image, as the processor's file says it; else what the families have."""
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            told = json.loads((folder / name).read_text(encoding="utf-8"))
            told = told.get("image_processor") or told
            size = told.get("size") or {}
            least = told.get("min_pixels") or size.get("shortest_edge")
            most = told.get("max_pixels") or size.get("longest_edge")
            if least and most:
                return int(least), int(most)
    return 4 * token**2, 16384 * token**2
