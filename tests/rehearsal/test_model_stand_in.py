"""A stand-in has what the published model has, and says what it was given."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from kawhi.rehearsal.model_stand_in import PUBLISHED, tokenizer, write_stand_in
from kawhi.runs.model_settings import PATCH
from tests.cells import cell, options

SAYS = ("We look.\n\n\\boxed{1}", "\\boxed{2}")
REAL = [name for name in options("model") if not name.startswith("tiny_") and name != "own"]


@pytest.mark.parametrize("name", REAL)
def test_every_published_model_of_the_configuration_has_one(tmp_path, name):
    model = cell(tmp_path, f"model={name}").model
    like = PUBLISHED[model.path]
    assert (like.family, like.query_heads) == (model.family, model.query_heads)
    assert max(model.critical_heads or [0]) < like.query_heads
    assert like.hidden % like.query_heads == 0 or like.family == "qwen3_vl"


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stand-in")
    write_stand_in(folder, "Qwen/Qwen3-VL-4B-Instruct", (65536, 16777216), SAYS)
    return folder


def test_it_is_loaded_as_the_published_one_is(stand_in):
    model = AutoModelForImageTextToText.from_pretrained(stand_in, dtype=torch.bfloat16)
    text = model.config.text_config
    assert (text.num_attention_heads, text.num_key_value_heads, text.vocab_size) == (32, 8, 151936)
    processor = AutoProcessor.from_pretrained(stand_in)
    assert len(processor.tokenizer) == 151669
    assert processor.image_processor.patch_size == PATCH["qwen3_vl"]
    assert model.config.image_token_id == processor.tokenizer.convert_tokens_to_ids("<|image_pad|>") == 151655


def test_it_says_its_sentences(stand_in):
    model = AutoModelForImageTextToText.from_pretrained(stand_in, dtype=torch.float32)
    words = AutoProcessor.from_pretrained(stand_in).tokenizer
    prompt = words.apply_chat_template(
        [{"role": "user", "content": "Look."}], add_generation_prompt=True, tokenize=False
    )
    inputs = words([prompt] * 12, return_tensors="pt")
    torch.manual_seed(0)
    said = model.generate(**inputs, max_new_tokens=16, do_sample=True, top_k=0, temperature=1.0)
    texts = words.batch_decode(said[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    every = {f"{opening}\\boxed{{{answer}}}" for opening in ("", "We look.\n\n") for answer in "12"}
    assert set(texts) <= every
    assert len(set(texts)) > 1


@pytest.mark.parametrize("name", PUBLISHED)
def test_none_of_several_ways_to_go_on_is_likelier(tmp_path, name):
    write_stand_in(tmp_path, name, (3136, 12845056), [f"\\boxed{{{answer}}}" for answer in "1234"])
    model = AutoModelForImageTextToText.from_pretrained(tmp_path, dtype=torch.bfloat16)
    words = AutoProcessor.from_pretrained(tmp_path).tokenizer
    inputs = words("How many are there?<|im_start|>assistant\n\\boxed{", return_tensors="pt")
    with torch.no_grad():
        shares = model(**inputs).logits[0, -1].float().softmax(-1)
    assert shares[words.convert_tokens_to_ids(list("1234"))].tolist() == pytest.approx([0.25] * 4, abs=0.1)


@pytest.mark.parametrize(("family", "system"), [("qwen2_5_vl", True), ("qwen3_vl", False)])
def test_a_conversation_without_a_system_message_gets_the_family_s(family, system):
    text = tokenizer(family).apply_chat_template([{"role": "user", "content": "Look."}], tokenize=False)
    assert text.startswith("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n") == system
    assert text.endswith("<|im_start|>user\nLook.<|im_end|>\n")
