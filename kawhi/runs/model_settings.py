"""The model that a cell names: is its family one that we read, and does it have the heads?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig

from kawhi.base.attention_choice import chosen
from kawhi.base.checkpoint_weights import HEADS_COMMAND, UNMEASURED
from kawhi.base.errors import CellError
from kawhi.runs.own_model import checkpoint_folder

PATCH = {"qwen2_5_vl": 14, "qwen3_vl": 16}
"""Families whose queries and keys :mod:`kawhi.models` reads, as checkpoints call them; their patches in pixels."""


def validate_model(cell: DictConfig) -> None:
    """Raises:
    CellError: a family that is not supported, or a path with a model of another one, of another size or with none.
    """
    family = cell.model.family
    is_one = _configuration(cell).get("model_type", family)
    if is_one is None:
        raise CellError(_nothing_to_read(cell.model.path))
    for name, said in ((family, f"model.family={family}"), (is_one, f"model.path={cell.model.path}, of {is_one},")):
        if name not in PATCH:
            raise CellError(
                f"{said} is not supported: choose a model of {', '.join(PATCH)}, or see how a family is added "
                "(docs/adding_a_family.md)"
            )
    if is_one != family:
        raise CellError(f"model.path={cell.model.path} is a model of the family {is_one}, not model.family={family}")
    _validate_size(cell)
    size = cell.verl.data.get("image_patch_size")
    if size is not None and size != PATCH[family]:
        raise CellError(f"verl.data.image_patch_size={size} must be {PATCH[family]}, the patch of {family}")


def _nothing_to_read(path: str) -> str:
    if not path:
        return "model=own needs model.path: the folder of a checkpoint, or its name on the hub (docs/your_model.md)"
    return f"model.path={path} has no config.json on this machine: `hf download {path}`, or name a folder"


def _validate_size(cell: DictConfig) -> None:
    """Critical heads of one model say nothing of another, and neither does an estimate of its memory."""
    text, sizes = _text(cell), cell.model.get("sizes") or {}
    parts = {
        "layers": (text.get("num_hidden_layers"), sizes.get("layers")),
        "query heads": (text.get("num_attention_heads"), cell.model.get("query_heads")),
        "numbers a token": (text.get("hidden_size"), sizes.get("hidden")),
    }
    known = {what: pair for what, pair in parts.items() if None not in pair}
    if any(here != told for here, told in known.values()):
        here, told = (", ".join(f"{pair[i]} {what}" for what, pair in known.items()) for i in (0, 1))
        raise CellError(
            f"model.path={cell.model.path} has {here}, and {cell.model.name} has {told}, so its critical heads are not "
            f"this model's: say model=own model.path={cell.model.path}, and `{HEADS_COMMAND.format(cell.model.path)}` "
            "before it"
        )


def validate_attention(cell: DictConfig) -> None:
    """Raises:
    CellError: an attention that nobody knows, or that is not installed here.
    """
    chosen(cell.scale.attention, cell.scale.device)
    chosen(cell.evaluation.attention, cell.scale.device, cell.evaluation.dtype)


def validate_lora(cell: DictConfig) -> None:
    """Raises:
    CellError: adapters in the vision encoder, which vLLM would leave out.
    """
    model = cell.verl.actor_rollout_ref.model
    if model.get("lora_rank") and not model.get("exclude_modules"):
        raise CellError(
            f"verl.actor_rollout_ref.model.lora_rank={model.lora_rank} needs exclude_modules for the vision encoder: "
            "choose lora=r64, and another rank beside it"
        )


def validate_heads(cell: DictConfig, heads: Sequence[Any] | None) -> None:
    """
    Raises:
        CellError: a head that the model does not have, or critical heads that nobody has measured.
    """
    if heads is None:
        return
    if heads == UNMEASURED:
        raise CellError(
            f"the critical heads of {cell.model.name} are not known: `{HEADS_COMMAND.format(cell.model.path)}` finds "
            f"them (its record is looked for in {cell.paths.records}), or set model.critical_heads=null for all heads"
        )
    said = f"kawhi.alignment.heads={heads} (by default model.critical_heads)"
    if not heads or not all(type(head) is int and head >= 0 for head in heads) or len(set(heads)) < len(heads):
        raise CellError(f"{said} must be null for all heads, or a list of different numbers from 0")
    count = query_heads(cell)
    if count and max(heads) >= count:
        raise CellError(f"{said}: {cell.model.name} has {count} query heads, 0 to {count - 1}")


def validate_layer(cell: DictConfig, layer: Any) -> None:
    """
    Raises:
        CellError: a decoder layer that the model does not have.
    """
    count = _text(cell).get("num_hidden_layers") or (cell.model.get("sizes") or {}).get("layers")
    if type(layer) is int and count and not -count <= layer < count:
        raise CellError(
            f"kawhi.alignment.layer={layer}: {cell.model.name} has {count} decoder layers, 0 to {count - 1}"
        )


def query_heads(cell: DictConfig) -> int | None:
    """Of a layer: the checkpoint's where it is here, else what ``conf/model`` says; ``None`` where neither does."""
    return _text(cell).get("num_attention_heads") or cell.model.get("query_heads")


def longest_sequence(cell: DictConfig) -> int | None:
    """Tokens that the model was made for; ``None`` where its checkpoint is not here."""
    return _text(cell).get("max_position_embeddings")


def _text(cell: DictConfig) -> dict[str, Any]:
    found = _configuration(cell)
    return found.get("text_config") or found  # the published checkpoints of Qwen2.5-VL have no block of their own


def _configuration(cell: DictConfig) -> dict[str, Any]:
    """A checkpoint's ``config.json``, as far as it is on this machine; empty where there is none."""
    folder = checkpoint_folder(cell.model.path)
    return json.loads((folder / "config.json").read_text()) if folder else {}
