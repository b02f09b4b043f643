"""A 480-token byte-level BPE tokenizer in Qwen2's format, trained on the tiny world's own sentences."""

from __future__ import annotations

import itertools
import json
import tempfile
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import Qwen2Tokenizer

from kawhi.tiny.world import problems

VOCABULARY_SIZE = 480

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

# System messages are dropped: lmms-eval inserts one that training never shows.
CHAT_TEMPLATE = (
    "{% for m in messages if m['role'] != 'system' %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for part in m['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# Qwen2's own pre-tokenizer: punctuation swallows the newlines after it, so ".\n\n" is one token here as it is there.
_QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_tokenizer() -> Qwen2Tokenizer:
    """Trains the tokenizer from nothing; deterministic.  ``len(tokenizer) == VOCABULARY_SIZE`` exactly, because vLLM
    masks a padded vocabulary tail and the trainer does not."""
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE - len(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_corpus(), trainer)
    with tempfile.TemporaryDirectory() as folder:
        bpe.model.save(folder)
        vocabulary = json.loads(Path(folder, "vocab.json").read_text())
        lines = Path(folder, "merges.txt").read_text().splitlines()[1:]
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=[tuple(line.split()) for line in lines],
        unk_token=None,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
        model_max_length=4096,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    if len(tokenizer) != VOCABULARY_SIZE:
        raise AssertionError(f"the tokenizer has {len(tokenizer)} tokens instead of {VOCABULARY_SIZE}")
    return tokenizer


def _corpus():
    for problem in itertools.islice(problems("warmup", seed=0), 2000):
        yield from ("user\n" + problem.question, "assistant\n" + problem.worked, "assistant\n" + problem.short)
