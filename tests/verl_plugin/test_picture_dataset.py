"""What verl's data set makes of an image, and ours."""

from __future__ import annotations

import asyncio
import io

import numpy as np
import pytest
from datasets import Image as Encoded
from omegaconf import OmegaConf
from PIL import Image
from verl.utils.dataset.rl_dataset import RLHFDataset, get_dataset_class
from vllm.multimodal.parse import MultiModalDataParser

from kawhi.base.checkout import resolve_package_paths
from kawhi.data.prompt_length import PromptLength
from kawhi.verl_plugin.picture_dataset import PictureDataset
from tests.pictures.odd import drawing, photograph, transparent

SIZE = 56, 84


def shown(kind: type[RLHFDataset], image, **settings: int) -> Image.Image:
    """What the agent loop takes from a row with this image, with these in verl's block ``data``."""
    data = object.__new__(kind)
    data.config = OmegaConf.create(settings)
    data.image_key, data.video_key, data.audio_key, data.processor = "images", "videos", "audios", object()
    messages = data._build_messages(
        {"prompt": [{"role": "user", "content": "<image>What?"}], "images": [image]}, "prompt"
    )
    images, _, _ = asyncio.run(kind.process_multi_modal_info(messages, image_patch_size=14, config=None))
    return images[0]


def by_vllm(image: Image.Image) -> Image.Image:
    return MultiModalDataParser().parse_mm_data({"image": [image]})["image"].get(0)


def test_verl_s_own_data_set_shows_actor_and_rollout_different_images():
    """When one of these is no longer so, look whether ours is still needed."""
    sideways = photograph(drawing(*SIZE), 6).content
    actor = shown(RLHFDataset, {"bytes": sideways})
    assert (actor.size, by_vllm(actor).size) == (SIZE[::-1], SIZE)
    ours = shown(PictureDataset, {"bytes": sideways})
    assert ours.size == by_vllm(ours).size == SIZE
    for content in (transparent(drawing(*SIZE), "LA").content,):
        decoded = Encoded().decode_example({"bytes": content, "path": None})
        for image in ({"bytes": content}, decoded):
            assert np.asarray(shown(RLHFDataset, dict(image) if isinstance(image, dict) else image)).max() == 0
            assert np.asarray(shown(PictureDataset, image)).max() == 255


def test_it_is_the_class_that_verl_is_told():
    named = {"path": "pkg://kawhi.verl_plugin.picture_dataset", "name": "PictureDataset"}
    assert get_dataset_class(OmegaConf.create({"custom_cls": named})) is PictureDataset


def test_what_a_row_says_beside_the_image_stays(tmp_path):
    """qwen_vl_utils reads the size from there."""
    content = photograph(drawing(*SIZE), 6).content
    (tmp_path / "image").write_bytes(content)
    wanted = {"resized_width": 112, "resized_height": 140}
    assert shown(PictureDataset, {"bytes": content, "path": None, **wanted}).size == (112, 140)
    for image in ({"bytes": None, "path": str(tmp_path / "image")}, {"image": Image.open(io.BytesIO(content))}):
        assert shown(PictureDataset, image).tobytes() == shown(PictureDataset, {"bytes": content}).tobytes()


@pytest.mark.parametrize(
    "image", [{"bytes": photograph(drawing(200, 300), 1).content}, drawing(200, 300)], ids=["file", "decoded"]
)
def test_an_image_is_scaled_into_the_limits_that_are_given(image):
    """Geometry3K's drawings are of this size: 77 visual tokens, and 345 where EasyR1 scales them."""
    small = shown(PictureDataset, image)
    assert small.size[0] * small.size[1] // 28**2 == 77
    scaled = shown(PictureDataset, image, min_pixels=262144, max_pixels=4194304)
    width, height = scaled.size
    assert (width * height // 28**2, width % 28, height % 28) == (345, 0, 0)
    assert by_vllm(scaled).tobytes() == scaled.tobytes()
    measured = PromptLength.of(resolve_package_paths("pkg://kawhi.tiny/checkpoints/qwen2_5_vl"), {"min_pixels": 262144})
    measured._processor.image_processor.size = {"shortest_edge": 3136, "longest_edge": 12845056}  # of a published model
    assert measured._image_tokens(200, 300) == 345
    large = shown(PictureDataset, image, min_pixels=3136, max_pixels=28224)
    assert large.size[0] * large.size[1] <= 28224


def test_a_row_without_images_is_left_alone():
    data = object.__new__(PictureDataset)
    data.config = OmegaConf.create({})
    data.image_key, data.video_key, data.audio_key = "images", "videos", "audios"
    row = {"prompt": [{"role": "user", "content": "What?"}]}
    assert data._build_messages(row, "prompt") == [{"role": "user", "content": "What?"}]
