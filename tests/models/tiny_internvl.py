"""A tiny random InternVL: the real classes of transformers, tiles of 56 pixels with 2 x 2 tokens each."""

from __future__ import annotations

import torch
from transformers import (
    GotOcr2ImageProcessorPil,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    PreTrainedTokenizerFast,
)

from kawhi.tiny.tokenizer import train_tokenizer

TILE, TOKENS = 56, 4
SPECIAL = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}


def build_processor() -> InternVLProcessor:
    """With up to six tiles for an image."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=train_tokenizer().backend_tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=SPECIAL,
    )
    images = GotOcr2ImageProcessorPil(
        size={"height": TILE, "width": TILE}, crop_to_patches=True, min_patches=1, max_patches=6
    )
    return InternVLProcessor(images, tokenizer, InternVLVideoProcessor(), image_seq_length=TOKENS)


def build_model(processor: InternVLProcessor, text: str, seed: int = 0) -> InternVLForConditionalGeneration:
    """In float32, on a language model ``text`` of transformers; two query heads share each key head."""
    torch.manual_seed(seed)
    language = {
        "model_type": text,
        "vocab_size": len(processor.tokenizer),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "initializer_range": 0.1,
        "eos_token_id": processor.tokenizer.eos_token_id,
        "pad_token_id": processor.tokenizer.pad_token_id,
        "bos_token_id": None,
    }
    vision = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "image_size": [TILE, TILE],
        "patch_size": [14, 14],
        "initializer_range": 0.1,
    }
    config = InternVLConfig(
        vision_config=vision, text_config=language, image_token_id=processor.image_token_id, image_seq_length=TOKENS
    )
    return InternVLForConditionalGeneration(config).eval()
