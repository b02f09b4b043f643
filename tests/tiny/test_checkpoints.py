"""The shipped checkpoints: what they are, and that the recipe that makes them is reproducible."""

from itertools import islice

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForImageTextToText, AutoProcessor

from kawhi.rewards.boxed import is_correct
from kawhi.tiny import reading_probability, reading_world, recipes, warm_start, yes_no
from kawhi.tiny.architectures import FAMILIES
from kawhi.tiny.batching import Batcher
from kawhi.tiny.vision_batching import batch_vision_attention
from kawhi.tiny.warm_start import CHECKPOINTS
from kawhi.tiny.world import problems
from tests.tiny.made import chat, pictures, prompts

SHIPPED = pytest.mark.parametrize("name", [*sorted(FAMILIES), *(f"reading_{family}" for family in sorted(FAMILIES))])
FAMILY = pytest.mark.parametrize("family", sorted(FAMILIES))


@SHIPPED
def test_between_one_and_two_million_parameters_in_bf16(name):
    (file,) = (CHECKPOINTS / name).glob("*.safetensors")
    with safe_open(file, "pt") as tensors:
        parameters = [tensors.get_tensor(name) for name in tensors.keys()]
    assert {p.dtype for p in parameters} == {torch.bfloat16}
    assert 1_000_000 < sum(p.numel() for p in parameters) < 2_000_000


@SHIPPED
def test_several_query_heads_share_a_key_head(name):
    text = AutoModelForImageTextToText.from_pretrained(CHECKPOINTS / name).config.text_config
    assert text.num_attention_heads // text.num_key_value_heads == 2


@FAMILY
def test_the_reading_checkpoint_differs_from_the_one_it_starts_from_in_its_weights_alone(family):
    taught, start = CHECKPOINTS / f"reading_{family}", CHECKPOINTS / family
    files = {file.name for file in start.iterdir()}
    assert {file.name for file in taught.iterdir()} == files
    differ = [name for name in sorted(files) if (taught / name).read_bytes() != (start / name).read_bytes()]
    assert differ == ["model.safetensors"]


@FAMILY
def test_the_processor_expands_a_prompt_as_training_does(family):
    processor = AutoProcessor.from_pretrained(CHECKPOINTS / family)
    images = pictures(family, 1, 0, "heldout")
    system = {"role": "system", "content": [{"type": "text", "text": "left out by the template"}]}
    messages = [system, *chat("What is the sum?")]
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    ids = processor(images=images, text=[text], return_tensors="pt")["input_ids"][0].tolist()
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
    inputs = prompts(processor, family, chosen)
    output = model.generate(**inputs, do_sample=False, max_new_tokens=96)[:, inputs["input_ids"].shape[1] :]
    answers = processor.batch_decode(output, skip_special_tokens=True)
    assert sum(is_correct(a, p.answer) for a, p in zip(answers, chosen, strict=True)) / len(chosen) > 0.25


@pytest.mark.slow
@pytest.mark.parametrize("difficulty", ["plain", "long"])
@FAMILY
def test_the_reading_checkpoint_computes_rightly_and_reads_poorly(family, difficulty):
    """What bounds its answers is what it sees, which leaves credit something to gain (docs/tiny_world.md)."""
    folder = CHECKPOINTS / f"reading_{family}"
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    batch_vision_attention(model)
    processor = AutoProcessor.from_pretrained(folder)
    chosen = list(islice(reading_world.problems("heldout", 1, difficulty), 60))
    read = reading_probability.reading_probabilities(model, Batcher(family, processor.tokenizer), chosen).mean()
    assert 0.15 < read < 0.5
    torch.manual_seed(0)
    answers = reading_probability.sampled_answers(model, processor, chosen)
    verdicts = [reading_probability.judged(*each) for each in zip(chosen, answers, strict=True)]
    assert sum(each["follows"] for each in verdicts) > 0.75 * len(verdicts)
    assert abs(sum(each["read"] for each in verdicts) / len(verdicts) - read) < 0.25


def from_nothing(family, out):
    warm_start.train(family, out, warm_start.WarmStart(steps=6, short_from=0.5, batch_size=4, warmup=2))


def to_the_reading_world(family, out):
    recipe = recipes.ReadingStart(steps=3, batch_size=4, warmup=2)
    warm_start.train(family, out, recipe, start=CHECKPOINTS / family)


def from_the_shipped_one(family, out):
    yes_no.train(family, CHECKPOINTS / family, out, yes_no.YesNo(steps=3, pairs=2, warmup=1))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [from_nothing, to_the_reading_world, from_the_shipped_one])
@FAMILY
def test_the_same_recipe_gives_the_same_bytes(family, recipe, tmp_path):
    for run in ("first", "second"):
        recipe(family, tmp_path / run)
    first, second = ((tmp_path / run / "model.safetensors").read_bytes() for run in ("first", "second"))
    assert first == second
