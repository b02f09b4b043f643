"""A tokenizer of the SentencePiece kind, trained on the tiny world's texts: BPE that falls back to bytes."""

from __future__ import annotations

import json
from itertools import islice

from tokenizers import Tokenizer, decoders, models, normalizers, trainers
from transformers import PreTrainedTokenizerFast

from kawhi.tiny.world import problems

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def train() -> PreTrainedTokenizerFast:
    """With the normalisation and the decoder of Llama's, but no space before the text, which would not come back."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    texts = (text for each in islice(problems("train", 0), 60) for text in (each.question, *each.paragraphs))
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=700, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    )
    # The bytes belong to the vocabulary, as in SentencePiece's files, and are no added tokens.
    state = json.loads(tokenizer.to_str())
    vocabulary = state["model"]["vocab"]
    for token in BYTES:
        vocabulary[token] = len(vocabulary)
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)), unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
