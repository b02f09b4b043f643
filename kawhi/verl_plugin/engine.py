"""verl's FSDP2 engine, returning alpha per token from the old-log-prob pass it runs anyway.

Selected by ``VERL_ENGINE_VENDOR=kawhi``; imported by :mod:`kawhi.verl_plugin.worker` inside the actor's process.
"""

from __future__ import annotations

import json
import time
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor
from verl.utils import tensordict_utils as tu
from verl.workers.engine.base import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

from kawhi.credit.alignment import packed_alignment
from kawhi.models.attention_capture import AttentionCapture
from kawhi.verl_plugin.wire import ALIGN_SECONDS, ALIGNMENT_REQUEST, ALPHA, SELECTED_TOKENS


@EngineRegistry.register(model_type="language_model", backend="fsdp2", device=["cuda", "npu"], vendor="kawhi")
class KawhiEngine(FSDPEngineWithLMHead):
    """Adds the fields :data:`ALPHA` and :data:`ALIGN_SECONDS` to a log-prob pass that asks for them."""

    capture: AttentionCapture | None = None

    def initialize(self):
        super().initialize()
        if self.engine_config.forward_only:
            return  # the reference policy is never asked
        if self.use_ulysses_sp:
            raise ValueError("KAWHI needs whole sequences: set ulysses_sequence_parallel_size=1")
        self.capture = AttentionCapture(self.module)

    def prepare_model_inputs(self, micro_batch: TensorDict):
        prepared = super().prepare_model_inputs(micro_batch)
        if self.capture is not None:
            if tu.get_non_tensor_data(micro_batch, key=ALIGNMENT_REQUEST, default=None):
                self.capture.arm()
            else:
                self.capture.disarm()
        return prepared

    def prepare_model_outputs(self, output, output_args, micro_batch: TensorDict, logits_processor_func):
        result = super().prepare_model_outputs(output, output_args, micro_batch, logits_processor_func)
        if self.capture is not None and self.capture.armed:
            start = time.perf_counter()
            packed = tu.get_non_tensor_data(micro_batch, key="use_remove_padding", default=True)
            options = json.loads(tu.get_non_tensor_data(micro_batch, key=ALIGNMENT_REQUEST, default=None))
            alpha = micro_batch_alpha(self.capture, micro_batch, self._image_token, packed=packed, **options)
            offsets = micro_batch["input_ids"].offsets()
            result[ALPHA] = torch.nested.nested_tensor_from_jagged(alpha, offsets)
            share = torch.full((len(offsets) - 1,), (time.perf_counter() - start) / (len(offsets) - 1))
            ones = torch.arange(len(offsets), device=offsets.device)
            result[ALIGN_SECONDS] = torch.nested.nested_tensor_from_jagged(share.to(offsets.device), ones)
        return result

    @property
    def _image_token(self) -> int:
        model: Any = getattr(self.module, "module", self.module)
        return model.config.image_token_id


def micro_batch_alpha(
    capture: AttentionCapture,
    micro_batch: TensorDict,
    image_token: int,
    *,
    packed: bool,
    heads: list[int] | None,
) -> Tensor:
    """alpha of every token of a micro-batch, in the jagged order of ``input_ids``.

    Args:
        packed: the pass ran on one row ``(1, total)``; otherwise on right-padded rows ``(B, S)``.
        heads: query heads to average over, ``None`` for all.

    Returns:
        ``(total,)`` float32; 0 for prompt tokens and for sequences without an image.

    Raises:
        RuntimeError: a sequence has image tokens but no selection travelled with it.
    """
    ids = micro_batch["input_ids"]
    offsets, tokens = ids.offsets(), ids.values()
    lengths = offsets.diff()
    sequences = len(lengths)
    sequence = torch.repeat_interleave(torch.arange(sequences, device=tokens.device), lengths)
    column = torch.arange(len(tokens), device=tokens.device) - offsets[:-1][sequence]
    row = torch.arange(len(tokens), device=tokens.device) if packed else sequence * int(lengths.max()) + column
    prompt = torch.as_tensor(micro_batch["prompts"].offsets().diff(), device=tokens.device)
    in_response = column >= prompt[sequence]

    chosen = []
    for i, fields in enumerate(_extra_fields(micro_batch, sequences)):
        where = torch.nonzero((tokens == image_token) & ~in_response & (sequence == i))[:, 0]
        if len(where) == 0:
            continue
        if SELECTED_TOKENS not in fields:
            raise RuntimeError(
                "a prompt with an image reached the engine without selected visual tokens: set "
                "actor_rollout_ref.rollout.agent.default_agent_loop=kawhi"
            )
        chosen.append(where[torch.tensor(fields[SELECTED_TOKENS], dtype=torch.long, device=tokens.device)])
    keys = torch.cat(chosen) if chosen else torch.zeros(0, dtype=torch.long, device=tokens.device)
    captured = capture.take(row[in_response], row[keys])
    alpha = torch.zeros(len(tokens), device=tokens.device)
    alpha[in_response] = packed_alignment(
        captured.queries, sequence[in_response], captured.keys, sequence[keys], sequences, heads
    )
    return alpha


def _extra_fields(micro_batch: TensorDict, sequences: int) -> list[dict]:
    if "extra_fields" not in micro_batch.keys():
        return [{}] * sequences
    return [getattr(fields, "data", fields) or {} for fields in micro_batch["extra_fields"]]
