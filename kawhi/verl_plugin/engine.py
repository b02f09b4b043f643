"""verl's FSDP2 engine, returning alpha per token from the old-log-prob pass it runs anyway.

Selected by ``VERL_ENGINE_VENDOR=kawhi``; imported by :mod:`kawhi.verl_plugin.worker` inside the actor's process.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from tensordict import TensorDict
from torch import Tensor
from verl.utils import tensordict_utils as tu
from verl.workers.engine.base import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

from kawhi.credit.alignment import AlignmentOptions, Layer
from kawhi.models.attention_capture import AttentionCapture
from kawhi.models.capture import unwrapped
from kawhi.models.response_alpha import Tokens, response_alpha
from kawhi.models.vision_attention import VisionAttentionCapture
from kawhi.regions.selectors import select_attended
from kawhi.verl_plugin.added_loss import with_added_loss
from kawhi.verl_plugin.engine_signals import blacken_images, nucleus_of_responses, request, response_rows
from kawhi.verl_plugin.wire import (
    ALIGN_SECONDS,
    ALIGNMENT_REQUEST,
    ALPHA,
    IMAGE_REQUEST,
    LOSS_REQUEST,
    NUCLEUS_ENTROPY,
    NUCLEUS_REQUEST,
    NUCLEUS_SECONDS,
    SELECTED_TOKENS,
)


@EngineRegistry.register(model_type="language_model", backend="fsdp2", device=["cuda", "npu"], vendor="kawhi")
class KawhiEngine(FSDPEngineWithLMHead):
    """Returns alpha and the entropy of the nucleus, blackens images, and adds to the loss, each when asked."""

    capture: AttentionCapture | None = None
    vision: VisionAttentionCapture | None = None

    def initialize(self):
        super().initialize()
        if self.engine_config.forward_only:
            return  # the reference policy is never asked
        if self.use_ulysses_sp:
            raise ValueError("KAWHI needs whole sequences: set ulysses_sequence_parallel_size=1")
        self.captures: dict[Layer, AttentionCapture] = {}
        self.capture = self._capture_of("last")
        self.vision = VisionAttentionCapture(self.module)

    def prepare_model_inputs(self, micro_batch: TensorDict):
        prepared = super().prepare_model_inputs(micro_batch)
        if self.capture is not None and self.vision is not None:
            self.capture.disarm()
            self.vision.disarm()
            alignment = request(micro_batch, ALIGNMENT_REQUEST)
            if alignment is not None:
                self.capture = self._capture_of(AlignmentOptions(**alignment["alignment"]).layer)
                self.capture.arm()
                if alignment["keep_ratio"] is not None:
                    self.vision.arm()
            others = request(micro_batch, IMAGE_REQUEST)
            if others is not None:
                fields = _extra_fields(micro_batch, micro_batch["input_ids"].size(0))
                blacken_images(prepared[0], micro_batch, others, fields, self.model_config.processor, self._image_token)
        return prepared

    def prepare_model_outputs(self, output, output_args, micro_batch: TensorDict, logits_processor_func):
        p = request(micro_batch, NUCLEUS_REQUEST)
        packed = tu.get_non_tensor_data(micro_batch, key="use_remove_padding", default=True)
        # Before verl divides the logits by the temperature, which it does in place where it can.
        start = _now() if p is not None else 0.0
        nucleus = None if p is None else nucleus_of_responses(output.get("logits"), micro_batch, p, packed=packed)
        seconds = _now() - start if p is not None else 0.0
        result = super().prepare_model_outputs(output, output_args, micro_batch, logits_processor_func)
        offsets = micro_batch["input_ids"].offsets()
        if nucleus is not None:
            result[NUCLEUS_ENTROPY] = torch.nested.nested_tensor_from_jagged(nucleus, offsets)
            result[NUCLEUS_SECONDS] = _spread(seconds, offsets)
        if self.capture is not None and self.vision is not None and self.capture.armed:
            start = _now()
            alpha = micro_batch_alpha(self.capture, self.vision, micro_batch, self._image_token, packed=packed)
            result[ALPHA] = torch.nested.nested_tensor_from_jagged(alpha, offsets)
            result[ALIGN_SECONDS] = _spread(_now() - start, offsets)
        return result

    def forward_step(self, micro_batch: TensorDict, loss_function, forward_only):
        asked = request(micro_batch, LOSS_REQUEST)
        if asked is not None:
            loss_function = with_added_loss(loss_function, asked)
        return super().forward_step(micro_batch, loss_function, forward_only)

    def _capture_of(self, layer: Layer) -> AttentionCapture:
        """The hooks of a layer, put there once."""
        if layer not in self.captures:
            self.captures[layer] = AttentionCapture(self.module, layer)
        return self.captures[layer]

    @property
    def _image_token(self) -> int:
        return unwrapped(self.module).config.image_token_id


def _now() -> float:
    """Seconds, after everything the device was given to do: kernels run behind the Python that starts them."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _spread(seconds: float, offsets: Tensor) -> Tensor:
    """Seconds of a micro-batch, in equal parts over its sequences: jagged, one entry each."""
    count = len(offsets) - 1
    parts = torch.full((count,), seconds / count, device=offsets.device)
    return torch.nested.nested_tensor_from_jagged(parts, torch.arange(count + 1, device=offsets.device))


def micro_batch_alpha(
    capture: AttentionCapture,
    vision: VisionAttentionCapture,
    micro_batch: TensorDict,
    image_token: int,
    *,
    packed: bool,
) -> Tensor:
    """alpha of every token of a micro-batch, in the jagged order of ``input_ids``.

    Args:
        packed: the pass ran on one row ``(1, total)``; otherwise on right-padded rows ``(B, S)``.

    Returns:
        ``(total,)`` float32; 0 for prompt tokens and for sequences without an image.

    Raises:
        RuntimeError: a sequence has image tokens but no selection travelled with it.
        ValueError: a head that the model does not have, or attention of a layer that sees a window alone.
    """
    asked = request(micro_batch, ALIGNMENT_REQUEST)
    assert asked is not None, "nobody asked for alpha"
    sequence, row, in_response = response_rows(micro_batch, packed=packed)
    ids = micro_batch["input_ids"]
    visual = torch.nonzero((ids.values() == image_token) & ~in_response)[:, 0]
    if asked["keep_ratio"] is None:
        chosen = _chosen_by_agent_loop(_extra_fields(micro_batch, ids.size(0)), sequence[visual])
    else:
        chosen = _chosen_by_vision_encoder(vision, len(visual), asked["keep_ratio"])
    tokens = Tokens(sequence, row, in_response, ids.size(0))
    return response_alpha(capture, AlignmentOptions(**asked["alignment"]), tokens, visual[chosen.to(visual.device)])


def _chosen_by_agent_loop(extra_fields: list[dict], owner: Tensor) -> Tensor:
    """Indices into the micro-batch's image tokens; ``owner (N,)`` is the sequence of each of them."""
    chosen = [torch.zeros(0, dtype=torch.long)]
    counts = torch.bincount(owner, minlength=len(extra_fields)).tolist()
    for first, count, fields in zip(np.cumsum([0, *counts]), counts, extra_fields, strict=False):
        if count and SELECTED_TOKENS not in fields:
            raise RuntimeError(
                "a prompt with an image reached the engine without selected visual tokens: set "
                "actor_rollout_ref.rollout.agent.default_agent_loop=kawhi"
            )
        if count:
            chosen.append(torch.tensor(fields[SELECTED_TOKENS], dtype=torch.long) + int(first))
    return torch.cat(chosen)


def _chosen_by_vision_encoder(vision: VisionAttentionCapture, visual_tokens: int, keep_ratio: float) -> Tensor:
    """Indices into the micro-batch's image tokens, which follow each other as its images do."""
    if not visual_tokens:
        return torch.zeros(0, dtype=torch.long)  # verl runs the encoder on a dummy image then
    chosen, first = [], 0
    for received in vision.take():
        chosen.append(torch.from_numpy(select_attended(received.cpu().numpy(), keep_ratio)) + first)
        first += len(received)
    if first != visual_tokens:
        raise RuntimeError(f"the vision encoder saw {first} visual tokens, the prompts have {visual_tokens}")
    return torch.cat(chosen)


def _extra_fields(micro_batch: TensorDict, sequences: int) -> list[dict]:
    if "extra_fields" not in micro_batch.keys():
        return [{}] * sequences
    return [getattr(fields, "data", fields) or {} for fields in micro_batch["extra_fields"]]
