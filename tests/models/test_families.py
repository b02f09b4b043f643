"""What docs/adding_a_family.md adds works as it says."""

from __future__ import annotations

import re
from itertools import islice

import numpy as np
import pytest
import torch
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor, Qwen2VLVideoProcessor
from transformers.models.qwen2_vl import modeling_qwen2_vl

import kawhi
from kawhi.models.families import FAMILIES
from kawhi.tiny.architectures import FAMILIES as TINY
from kawhi.tiny.architectures import build_model, build_processor
from kawhi.tiny.world import problems
from tests.cells import ROOT
from tests.reference.alignment import alignment as literal_alignment
from tests.tiny.made import chat, render

PAGE = (ROOT / "docs" / "adding_a_family.md").read_text(encoding="utf-8")


@pytest.fixture
def added():
    """The page's file, imported; the families are as before afterwards."""
    before = dict(FAMILIES)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "qwen2_vl.py", "exec"), {})
    yield
    FAMILIES.clear()
    FAMILIES.update(before)


def test_the_page_lists_the_families():
    listed = re.findall(r"^\| [^|]+ \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(FAMILIES)


def test_a_family_that_is_added_gives_alpha(added, tokenizer, monkeypatch):
    """Against brute force, from what the model's attention received."""
    like = build_model("qwen2_5_vl", tokenizer).config
    text = like.text_config.to_dict()
    text.pop("model_type")
    vision = {"depth": 2, "embed_dim": 64, "hidden_size": text["hidden_size"], "num_heads": 2, "patch_size": 14}
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    ids = {name: getattr(like, name) for name in names}
    torch.manual_seed(0)
    model = Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=vision, **ids)).eval()
    images = build_processor("qwen2_5_vl", tokenizer).image_processor
    processor = Qwen2VLProcessor(
        images, tokenizer, video_processor=Qwen2VLVideoProcessor(), chat_template=tokenizer.chat_template
    )
    (problem,) = islice(problems("train", 0), 1)
    (image,) = render([problem], "qwen2_5_vl")
    said = processor.apply_chat_template(chat(problem.question), add_generation_prompt=True) + problem.worked
    inputs = processor(images=[image], text=[said], return_tensors="pt")

    original, rotated = modeling_qwen2_vl.apply_multimodal_rotary_pos_emb, []
    monkeypatch.setattr(
        modeling_qwen2_vl,
        "apply_multimodal_rotary_pos_emb",
        lambda *args, **kwargs: rotated.append(original(*args, **kwargs)) or rotated[-1],
    )
    with torch.no_grad(), kawhi.capture(model, heads=[0, 3]) as seen:
        model(**inputs)
    selected = kawhi.select_visual_tokens(image, processor)
    assert len(kawhi.views(image, processor)[0].order) == (TINY["qwen2_5_vl"].image_size // 28) ** 2
    mask = torch.ones(1, 12, dtype=torch.long)
    alpha = seen.alpha(mask, [selected])[0]
    queries, keys = (x[0].transpose(0, 1) for x in rotated[-1])
    visual = (inputs["input_ids"][0] == model.config.image_token_id).nonzero()[:, 0]
    expected = literal_alignment(queries[-12:].numpy(), keys[visual[torch.as_tensor(selected)]].numpy(), [0, 3])
    np.testing.assert_allclose(alpha.numpy(), expected, atol=1e-5)
    assert expected.std() > 1e-3
