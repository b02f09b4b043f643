"""The tiny tokenizer: Qwen2's format, one token where the tests and the warm start rely on one."""

from __future__ import annotations

import pytest

from kawhi.tiny.tokenizer import SPECIAL_TOKENS, VOCABULARY_SIZE, train_tokenizer
from tests.tiny.made import chat


def test_training_is_deterministic(tokenizer):
    assert train_tokenizer().get_vocab() == tokenizer.get_vocab()
    assert len(tokenizer) == VOCABULARY_SIZE


def test_special_tokens(tokenizer):
    ids = tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS))
    assert len(set(ids)) == len(SPECIAL_TOKENS)
    assert set(ids) == set(tokenizer.all_special_ids)
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert tokenizer("".join(SPECIAL_TOKENS))["input_ids"] == ids


@pytest.mark.parametrize("text", ["The area is 3 * 4 = 12.\n\nSo \\boxed{12}.", "été 图 🙂", " \n\n\t x"])
def test_round_trip_of_any_text(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_numbers_are_read_digit_by_digit(tokenizer):
    assert tokenizer.convert_ids_to_tokens(tokenizer("1234")["input_ids"]) == list("1234")


def test_chat_template(tokenizer):
    messages = [{"role": "system", "content": "Be brief."}, *chat("Q?")]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    # Training shows no system message, so evaluation's is dropped.
    assert text == (
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Q?<|im_end|>\n<|im_start|>assistant\n"
    )
