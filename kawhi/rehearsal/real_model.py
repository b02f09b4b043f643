"""A published model and rows of a published data set instead of stand-ins, where there are a hub and a GPU."""

from __future__ import annotations

from kawhi.base.devices import visible_gpus
from kawhi.base.errors import CellError

REAL = {"3b": "qwen2_5_vl_3b"}
"""By what ``--real`` calls a model: its file in ``conf/model``."""
ROWS = 16
"""Our choice: two batches of a step on eight GPUs, and few enough to be prepared in seconds."""


def require(name: str, path: str, revision: str | None) -> None:
    """Asks, before anything starts, for what a rehearsal with a published model needs.

    Args:
        name: a key of :data:`REAL`.
        path, revision: of the model on the hub.

    Raises:
        CellError: neither the hub nor its cache here has the model, or there is no GPU.
    """
    import httpx
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(path, revision=revision, allow_patterns=["config.json"])
    except (OSError, ValueError, httpx.HTTPError) as error:
        raise CellError(
            f"--real {name} takes {path} from the Hugging Face hub, which cannot be had here "
            f"({str(error).splitlines()[0]}): check the network, or rehearse without --real, with a stand-in"
        ) from error
    if not visible_gpus():
        raise CellError(f"--real {name} needs a GPU, and there is none: rehearse without --real, with a stand-in")
