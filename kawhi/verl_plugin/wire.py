"""Names under which data travels between agent loop, engine and trainer."""

from __future__ import annotations

ALIGNMENT_REQUEST = "kawhi_alignment_request"
"""Non-tensor batch entry that asks the engine for alpha: JSON of ``alignment`` (the options) and ``keep_ratio`` (the
share of tokens that VisionZip keeps, or null where the agent loop has selected tokens)."""

NUCLEUS_REQUEST = "kawhi_nucleus_request"
"""Non-tensor batch entry that asks the engine for the entropy of the nucleus: JSON of its ``p``."""

IMAGE_REQUEST = "kawhi_image_request"
"""Non-tensor batch entry that asks the engine for a pass with other images: JSON of ``share`` (of the patches that are
made black, 1 for a blank image), ``seed`` and ``step``."""

LOSS_REQUEST = "kawhi_loss_request"
"""Non-tensor batch entry that asks the engine for a credit method's own loss beside verl's: JSON of its name
(``method``) and its ``options``."""

ADDED_LOSS = "actor/kawhi_added_loss"
"""Metric of an update: what that loss was."""

PERTURBED, BLANK = "kawhi_perturbed", "kawhi_blank"
"""Prefixes of the TransferQueue fields ``<prefix>_log_probs`` and ``<prefix>_entropy`` of such a pass."""

NUCLEUS_ENTROPY = "kawhi_nucleus_entropy"
"""TransferQueue field: entropy of the nucleus per token of prompt + response, jagged."""

ALPHA = "kawhi_alpha"
"""TransferQueue field: alpha per token of prompt + response, jagged."""

ALIGN_SECONDS = "kawhi_align_seconds"
"""TransferQueue field: seconds the engine spent on alpha, one entry per sequence, jagged."""

NUCLEUS_SECONDS = "kawhi_nucleus_seconds"
"""TransferQueue field: seconds the engine spent on the entropy of the nucleus, as :data:`ALIGN_SECONDS`."""

SELECTED_TOKENS = "kawhi_selected_tokens"
"""Key of ``extra_fields``: indices of the selected visual tokens among the prompt's image tokens."""

PROMPT_DRAW = "kawhi_prompt_draw"
"""Field of a prompt, and key of ``extra_fields``: how often the step has drawn this prompt before (dynamic sampling may
go through the data more than once)."""

IMAGES = "kawhi_images"
"""Key of ``extra_fields``: how many images the prompt shows."""

READINGS = "kawhi_readings"
"""Key of ``extra_fields``: the numbers that have to be read off the image, where the data says which."""

PROMPT_INDEX = "kawhi_prompt_index"
"""Key of ``extra_fields``: the prompt's index in its data file."""

REGION_SECONDS = "kawhi_region_seconds"
"""Key of ``extra_fields``: seconds spent on region selection for this prompt, 0 where the result was reused."""
