"""Which weights a model has: their fingerprint, and the critical heads that were measured of them."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Final, Literal

from kawhi.base.checkout import record_folders, resolve_package_paths
from kawhi.base.errors import CellError

UNMEASURED: Final = "not measured"
"""In the place of critical heads that nobody has found yet, which no run takes."""

HEADS_COMMAND = "kawhi heads {} --data MME/*.parquet"
"""What finds them, of a model's path."""

_SMALL = 256 * 2**20
_BLOCK, _BLOCKS = 2**18, 64  # training moves every weight, so that samples tell two models apart
_BESIDE_WEIGHTS = ("config.json", "generation_config.json", "tokenizer*", "*.jinja", "*chat_template*", "*processor*")


def weights_fingerprint(model: str, revision: str | None = None) -> str:
    """sha256 of a local model: its weights, above 256 MiB 64 blocks of each shard, and all that is read beside them.

    Its name and commit for a hub model.

    Raises:
        CellError: a local folder that does not exist or is no checkpoint.
    """
    folder = local_model(model)
    if folder is None:
        return f"hub:{model}@{revision}" if revision else f"hub:{model}"
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    if not weights:
        raise CellError(f"the model folder {folder} has no weights (*.safetensors); set model.path to one that has")
    if not (folder / "config.json").is_file():
        raise CellError(f"the model folder {folder} has no config.json; set model.path to a complete checkpoint")
    read = Path.read_bytes if sum(path.stat().st_size for path in weights) <= _SMALL else _sampled
    beside = sorted({file for pattern in _BESIDE_WEIGHTS for file in folder.glob(pattern)})
    digest = hashlib.sha256()
    for files, content in ((weights, read), (beside, Path.read_bytes)):
        for path in files:
            digest.update(path.name.encode())
            digest.update(content(path))
    return digest.hexdigest()


def local_model(model: str) -> Path | None:
    """The folder of a model; ``None`` for one of the hub, whose id is ``NAME`` or ``OWNER/NAME``.

    Raises:
        CellError: a folder that does not exist.
    """
    try:
        folder = Path(resolve_package_paths(model))
    except ModuleNotFoundError as error:
        raise CellError(f"{model} names a package that is not installed ({error.name}); set model.path") from error
    if folder.is_dir():
        return folder
    if model.startswith(("pkg://", "/", ".", "~")) or model.count("/") > 1:
        raise CellError(f"the model folder {folder} does not exist; set model.path")
    return None


def _sampled(path: Path) -> bytes:
    """Size and evenly spaced blocks of a large file, its first and last among them."""
    size = path.stat().st_size
    with path.open("rb") as file:
        blocks = []
        for i in range(_BLOCKS):
            file.seek(i * max(0, size - _BLOCK) // (_BLOCKS - 1))
            blocks.append(file.read(_BLOCK))
    return str(size).encode() + b"".join(blocks)


def measured_heads(path: str, revision: str | None, records: Path) -> list[int] | Literal["not measured"] | None:
    """The critical heads in the newest record that ``kawhi heads`` wrote of a model's very weights.

    Args:
        path: a folder, or the hub's name.
        records: the folder of records; the published ones are looked at, too.

    Returns:
        ``None`` for all of them, where none was found to be critical; :data:`UNMEASURED` where there is no record.

    Raises:
        CellError: as :func:`weights_fingerprint`.
    """
    weights = {_weights(path, revision), _weights(path, None)}
    found = [
        (file.stat().st_mtime, record)
        for folder in record_folders(records)
        for file in folder.glob("*_heads-*.json")
        if (record := json.loads(file.read_text(encoding="utf-8")))["model"].get("weights") in weights
    ]
    if not found:
        return UNMEASURED
    _, newest = max(found, key=lambda each: each[0])
    return newest["heads"]["critical_heads"] or None


@cache
def _weights(path: str, revision: str | None) -> str:
    """Read once: a cell asks often, and a large model has many shards."""
    return weights_fingerprint(path, revision)
