"""Models that stand in the place of published ones: their heads, vocabulary and special tokens; few, narrow layers.

All weights are random but those of one layer, by which the model says sentences that it was given.  A model that says
noise would earn no reward, and a training without rewards shows nothing.
"""

from __future__ import annotations

import itertools
import lzma
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForImageTextToText, PreTrainedModel, Qwen2Tokenizer

from kawhi.tiny.architectures import VISION_HIDDEN, Family, build_model, build_processor

TOKENIZER = Path(__file__).with_name("qwen_tokenizer")
LAYERS, HEAD_WIDTH, INTERMEDIATE = 2, 32, 256  # heads of 32: vLLM 0.27.1 has no CPU attention kernel for 16
_SHARP = 60.0
"""Logit of a certain next token: far above 150,000 random ones, and within what bf16 tells apart."""


@dataclass(frozen=True)
class Published:
    """What of a published model stays as it is.

    Attributes:
        query_heads, key_heads: of a layer.
        vocabulary: rows of its embedding, more than its tokenizer has tokens.
        hidden: width of the stand-in; a head of Qwen2.5-VL is as wide as the model divided by their number.
    """

    family: Family
    query_heads: int
    key_heads: int
    vocabulary: int
    hidden: int


PUBLISHED = {
    "Qwen/Qwen2.5-VL-7B-Instruct": Published("qwen2_5_vl", 28, 4, 152064, 28 * HEAD_WIDTH),
    "Qwen/Qwen2.5-VL-3B-Instruct": Published("qwen2_5_vl", 16, 2, 151936, 16 * HEAD_WIDTH),
    "Qwen/Qwen3-VL-4B-Instruct": Published("qwen3_vl", 32, 8, 151936, 256),
}
"""By ``model.path``; measured: ``config.json`` of each."""


def sizes(published: str) -> dict[str, int]:
    """What ``model.sizes`` says of a stand-in, where it differs from what the published model has."""
    like = PUBLISHED[published]
    return {
        "parameters": 2
        * like.vocabulary
        * like.hidden,  # at most: the embedding, and less than that of everything else
        "layers": LAYERS,
        "hidden": like.hidden,
        "intermediate": INTERMEDIATE,
        "query_width": like.query_heads * HEAD_WIDTH,
        "key_width": like.key_heads * HEAD_WIDTH,
        "vision_layers": 3,  # at most
        "vision_hidden": VISION_HIDDEN,
    }


TEMPLATE = (
    "{% for m in messages %}"
    "SYSTEM"
    "<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for part in m['content'] %}"
    "{% if part['type'] in ('image', 'image_url') %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SYSTEM = {
    "qwen2_5_vl": "{% if loop.first and m['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant."
    "<|im_end|>\n{% endif %}",
    "qwen3_vl": "",
}
"""What the families' own templates put before a conversation that has no system message."""


def tokenizer(family: Family) -> Qwen2Tokenizer:
    """Qwen's own, with the parts of the family's chat template that prompts of ours have."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(TOKENIZER / "tokenizer_config.json", folder)
        packed = (TOKENIZER / "tokenizer.json.xz").read_bytes()
        (Path(folder) / "tokenizer.json").write_bytes(lzma.decompress(packed))
        found = Qwen2Tokenizer.from_pretrained(folder)
    found.chat_template = TEMPLATE.replace("SYSTEM", _SYSTEM[family])
    return found


def write_stand_in(folder: Path, published: str, pixels: tuple[int, int], says: Sequence[str]) -> None:
    """Writes a checkpoint that is loaded as the published one is.

    Args:
        published: a key of :data:`PUBLISHED`.
        pixels: fewest and most of an image, as the published processor has them.
        says: sentences; where two have a token in common, the model goes on with either.
    """
    like = PUBLISHED[published]
    words = tokenizer(like.family)
    model = _random_model(like, words)
    _teach(model, _followers(words, says))
    model.to(torch.bfloat16).save_pretrained(folder)
    processor = build_processor(like.family, words)
    processor.image_processor.size = {"shortest_edge": pixels[0], "longest_edge": pixels[1]}
    processor.save_pretrained(folder)


def _random_model(like: Published, words: Qwen2Tokenizer) -> PreTrainedModel:
    config = build_model(like.family, words).config
    text = config.text_config
    text.vocab_size, text.hidden_size, text.intermediate_size = like.vocabulary, like.hidden, INTERMEDIATE
    text.num_attention_heads, text.num_key_value_heads = like.query_heads, like.key_heads
    text.num_hidden_layers, text.layer_types = LAYERS, ["full_attention"] * LAYERS
    text.max_position_embeddings = 32768
    text.initializer_range = 0.01  # below what embeddings are made of, which is what a sentence is recognised by
    config.vision_config.out_hidden_size = like.hidden
    if like.family == "qwen2_5_vl":
        config.vision_config.window_size = 112
    else:
        config.vision_config.num_position_embeddings = 2304
    torch.manual_seed(0)
    return AutoModelForImageTextToText.from_config(config)


def _followers(words: Qwen2Tokenizer, says: Iterable[str]) -> dict[int, set[int]]:
    """Which tokens may follow a token; an answer begins after the line break that ends the prompt."""
    found: dict[int, set[int]] = {}
    for sentence in says:
        tokens = words(f"\n{sentence}")["input_ids"] + [words.eos_token_id]
        for token, following in itertools.pairwise(tokens):
            found.setdefault(token, set()).add(following)
    return found


@torch.no_grad()
def _teach(model: PreTrainedModel, followers: dict[int, set[int]]) -> None:
    """One unit of the first layer for each token that something follows: it knows the token and adds its followers.

    Tokens of the sentences are orthogonal to each other, so that of several followers none is likelier than the others.
    """
    embedding: Tensor = model.get_input_embeddings().weight
    width = embedding.shape[1]
    directions = torch.nn.functional.normalize(torch.randn_like(embedding), dim=1)
    taught = sorted(set(followers).union(*followers.values()))
    directions[taught] = torch.linalg.qr(torch.randn(width, len(taught)))[0].T
    embedding.copy_(directions * _SHARP / sqrt(width))
    layer = model.model.language_model.layers[0].mlp
    for unit, (token, following) in enumerate(sorted(followers.items())):
        layer.gate_proj.weight[unit] = layer.up_proj.weight[unit] = directions[token]
        layer.down_proj.weight[:, unit] = embedding[sorted(following)].sum(dim=0) / width * 20
