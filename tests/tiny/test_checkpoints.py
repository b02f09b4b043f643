"""The shipped checkpoints: what they are, and that the recipe that makes them is reproducible."""

import hashlib
from itertools import islice

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForImageTextToText, AutoProcessor

from kawhi.rewards.boxed import is_correct
from kawhi.tiny.architectures import FAMILIES
from kawhi.tiny.vision_batching import batch_vision_attention
from kawhi.tiny.warm_start import CHECKPOINTS, WarmStart, train
from kawhi.tiny.world import problems

FAMILY = pytest.mark.parametrize("family", sorted(FAMILIES))


@FAMILY
def test_between_one_and_two_million_parameters_in_bf16(family):
    (file,) = (CHECKPOINTS / family).glob("*.safetensors")
    with safe_open(file, "pt") as tensors:
        parameters = [tensors.get_tensor(name) for name in tensors.keys()]
    assert {p.dtype for p in parameters} == {torch.bfloat16}
    assert 1_000_000 < sum(p.numel() for p in parameters) < 2_000_000


@FAMILY
def test_several_query_heads_share_a_key_head(family):
    text = AutoModelForImageTextToText.from_pretrained(CHECKPOINTS / family).config.text_config
    assert text.num_attention_heads // text.num_key_value_heads == 2


@FAMILY
def test_the_processor_expands_a_prompt_as_training_does(family):
    processor = AutoProcessor.from_pretrained(CHECKPOINTS / family)
    image = next(problems("heldout", 0)).drawing.render(FAMILIES[family].image_size)
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "left out by the template"}]},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is the sum?"}]},
    ]
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    ids = processor(images=[image], text=[text], return_tensors="pt")["input_ids"][0].tolist()
    assert ids.count(processor.image_token_id) == 36
    assert "left out" not in text


@pytest.mark.slow
@FAMILY
def test_it_reads(family):
    """Greedy answers to 48 held-out problems: blind guessing is right in one of ten."""
    model = AutoModelForImageTextToText.from_pretrained(CHECKPOINTS / family, dtype=torch.float32).eval()
    batch_vision_attention(model)
    processor = AutoProcessor.from_pretrained(CHECKPOINTS / family)
    chosen = list(islice(problems("heldout", 1), 48))
    texts = [
        processor.apply_chat_template(
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": problem.question}]}],
            add_generation_prompt=True,
        )
        for problem in chosen
    ]
    images = [problem.drawing.render(FAMILIES[family].image_size) for problem in chosen]
    inputs = processor(images=images, text=texts, padding=True, padding_side="left", return_tensors="pt")
    output = model.generate(**inputs, do_sample=False, max_new_tokens=96)[:, inputs["input_ids"].shape[1] :]
    answers = processor.batch_decode(output, skip_special_tokens=True)
    assert sum(is_correct(a, p.answer) for a, p in zip(answers, chosen, strict=True)) / len(chosen) > 0.25


@pytest.mark.slow
@FAMILY
def test_the_same_recipe_gives_the_same_bytes(family, tmp_path):
    recipe = WarmStart(steps=6, short_from=0.5, batch_size=4, warmup=2)
    digests = set()
    for run in ("first", "second"):
        train(family, tmp_path / run, recipe)
        (file,) = (tmp_path / run).glob("*.safetensors")
        digests.add(hashlib.sha256(file.read_bytes()).hexdigest())
    assert len(digests) == 1
