"""Where a model is read from: a folder, or the snapshot of one commit of the hub in its cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from kawhi.base.checkout import resolve_package_paths
from kawhi.base.errors import CellError

_WEIGHTS = "*.safetensors"
_FILES = (_WEIGHTS, "*.json", "*.jinja", "*.txt", "*.model")


def model_place(model: str, revision: str | None) -> str:
    """A model's folder as far as it is on this machine, the hub's name of it otherwise; nothing is downloaded.

    Args:
        model: a folder, one of a package (``pkg://``), or the hub's name.
        revision: the hub's commit; ``None`` is what ``main`` is there, and of a folder it says nothing.
    """
    from huggingface_hub import snapshot_download

    place = resolve_package_paths(model)
    if revision is None or Path(place).is_dir():
        return str(place)
    try:
        return snapshot_download(model, revision=revision, local_files_only=True)
    except (OSError, ValueError):
        return model


def fetched_model(model: str, revision: str | None) -> str:
    """Its folder, downloaded where the hub's cache has not all of it, so that the processes of a stage need no network.

    Raises:
        CellError: it cannot be had; the message says what to type.
    """
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RevisionNotFoundError

    place = resolve_package_paths(model)
    if Path(place).is_dir():
        return str(place)
    try:
        folder = snapshot_download(model, revision=revision, allow_patterns=list(_FILES))
    except RevisionNotFoundError as error:
        raise CellError(f"{model} has no commit {revision}: set its revision to one that it has, or to null") from error
    except (OSError, ValueError, httpx.HTTPError) as error:  # no network; perhaps all of it is here
        try:
            folder = snapshot_download(model, revision=revision, allow_patterns=list(_FILES), local_files_only=True)
        except (OSError, ValueError):
            reason = next(iter(str(error).splitlines()), "no reason given")
            raise CellError(f"{model} cannot be had ({reason}): {_type(model, revision)}") from error
    if not any(Path(folder).glob(_WEIGHTS)):
        raise CellError(f"the hub's cache has {model} without its weights: {_type(model, revision)}")
    return folder


def pinned(model: str, conf: Path) -> str | None:
    """The commit that ``conf/model`` names for a model of the hub; ``None`` where it names none."""
    files: Any = (OmegaConf.load(file) for file in sorted((conf / "model").glob("*.yaml")))
    return next((each.model.get("revision") for each in files if each.model.path == model), None)


def _type(model: str, revision: str | None) -> str:
    commit = f" --revision {revision}" if revision else ""
    return f"`hf download {model}{commit}` where there is a network, or set its path to a folder"
