"""Opens a checkpoint for a page, or says in one sentence why it cannot."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from transformers.utils import logging as transformers_logging

from kawhi.base.checkout import resolve_package_paths
from kawhi.credit.alignment import AlignmentOptions
from kawhi.models.inspection import Inspector

FAMILIES = ("qwen2_5_vl", "qwen3_vl")


def model_folder(name: str) -> Path:
    """The folder of a checkpoint: itself, in a package (``pkg://``), or in the Hugging Face cache.

    Raises:
        ValueError: there is none.  Nothing is downloaded: a mistyped name should not wait for a network.
    """
    folder = Path(resolve_package_paths(name))
    if (folder / "config.json").is_file():
        return folder
    if folder.is_dir():
        raise ValueError(f"{name} is not a model folder: it has no config.json")
    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"there is no model folder {name}, and Hugging Face's cache has no model of that name "
            "(`hf download` puts one there)"
        ) from error


def open_inspector(name: str, alignment: AlignmentOptions | None) -> Inspector:
    """A model on the GPU in bfloat16 if there is one, else on the CPU in float32.

    Raises:
        ValueError: no such model, another architecture, or a head that it does not have.
    """
    folder = model_folder(name)
    kind = json.loads((folder / "config.json").read_text()).get("model_type")
    if kind not in FAMILIES:
        raise ValueError(f"{name} is of type {kind}; only {' and '.join(FAMILIES)} can be explained")
    transformers_logging.disable_progress_bar()
    # Loading a processor's options one by one is logged at this level; a page's reader has no use for it.
    logging.getLogger("transformers").setLevel(logging.ERROR)
    on_gpu = torch.cuda.is_available()
    inspector = Inspector(
        str(folder),
        alignment,
        device="cuda" if on_gpu else "cpu",
        dtype=torch.bfloat16 if on_gpu else torch.float32,
    )
    total = query_heads(inspector)
    if max(inspector.options.heads or [0]) >= total:
        raise ValueError(f"{name} has the heads 0 to {total - 1}, not {list(inspector.options.heads or [])}")
    return inspector


def query_heads(inspector: Inspector) -> int:
    """Heads of a layer of the language model."""
    return int(inspector.model.config.text_config.num_attention_heads)


def averaged_heads(inspector: Inspector) -> list[int]:
    """The heads that alpha averages over."""
    chosen = inspector.options.heads
    return list(range(query_heads(inspector))) if chosen is None else list(chosen)
