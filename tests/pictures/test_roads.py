"""Whatever the file and whichever the road, the vision encoder and region selection are given the same pixels."""

from __future__ import annotations

import asyncio
import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, List
from datasets import Image as Encoded
from omegaconf import OmegaConf
from PIL import Image
from qwen_vl_utils import process_vision_info
from vllm.multimodal.media.image import ImageMediaIO
from vllm.multimodal.parse import MultiModalDataParser

from kawhi.base.checkout import resolve_package_paths
from kawhi.commands.explain import _image
from kawhi.data import schema
from kawhi.data.file_checks import check_file
from kawhi.evaluation.benchmark import load
from kawhi.evaluation.generate import encode
from kawhi.explain.training_step import read_example
from kawhi.models.inspection import Inspector
from kawhi.models.seen import seen_by_model
from kawhi.pictures.rgb import picture
from kawhi.probes.grounding_study import read_examples
from kawhi.verl_plugin.picture_dataset import PictureDataset
from tests.evaluation.examples import examples, tasks
from tests.pictures.odd import drawing, files

SIZES = {"qwen2_5_vl": (112, 252), "qwen3_vl": (128, 288)}
"""4 x 9 visual tokens, as many as the tiny models' images have; their processors leave them as they are."""


@pytest.fixture(scope="module", params=SIZES)
def world(request, tmp_path_factory):
    """A tiny model's processor, the odd files, and what it makes of their pictures."""
    folder = tmp_path_factory.mktemp(request.param)
    inspector = Inspector(resolve_package_paths(f"pkg://kawhi.tiny/checkpoints/{request.param}"))
    contents = [odd.content for odd in files(drawing(*SIZES[request.param])).values()]
    rows = [
        schema.example(
            source="odd",
            split="train",
            index=number,
            images=[content],
            prompt="<image>What?",
            question="What?",
            answer="7",
            task="odd",
        )
        for number, content in enumerate(contents)
    ]
    schema.write(folder / "own.parquet", rows)
    features = Features.from_arrow_schema(schema.SCHEMA) | {"images": List(Encoded())}
    Dataset.from_list(rows, features=Features(features)).to_parquet(folder / "by_datasets.parquet")
    images = inspector.processor.image_processor
    return SimpleNamespace(
        folder=folder,
        inspector=inspector,
        processor=inspector.processor,
        contents=contents,
        pictures=[picture(content) for content in contents],
        expected=[images(images=[picture(content)], return_tensors="pt") for content in contents],
    )


def test_the_files_are_odd_and_many(world):
    assert len(world.contents) > 40
    assert {tuple(made["image_grid_thw"][0].tolist()) for made in world.expected} == {(1, 18, 8)}


def reach_the_encoder(world, images: list[Image.Image]) -> None:
    """These images, in the order of the files, are to the model what their pictures are."""
    made = [world.processor.image_processor(images=[image], return_tensors="pt") for image in images]
    for got, wanted in zip(made, world.expected, strict=True):
        assert torch.equal(got["pixel_values"], wanted["pixel_values"])
        assert torch.equal(got["image_grid_thw"], wanted["image_grid_thw"])


def are_the_pictures(world, images: list[Image.Image]) -> None:
    for image, wanted in zip(images, world.pictures, strict=True):
        assert (image.mode, image.size) == ("RGB", wanted.size)
        assert image.tobytes() == wanted.tobytes()


def of_the_agent_loop(world, file: str) -> list[Image.Image]:
    """What verl's agent loop takes out of the messages of the data set: it goes to vLLM, the actor and SGUF."""
    config = OmegaConf.create({"filter_overlong_prompts": False, "cache_dir": str(world.folder / "cache")})
    data = PictureDataset(str(world.folder / file), world.processor.tokenizer, config, world.processor)
    patch = world.processor.image_processor.patch_size
    found = []
    for number in range(len(data)):
        messages = data[number]["raw_prompt"]
        taken = asyncio.run(PictureDataset.process_multi_modal_info(messages, image_patch_size=patch, config=config))
        found += taken[0]
    return found


@pytest.mark.parametrize("file", ["own.parquet", "by_datasets.parquet"])
def test_training(world, file):
    images = of_the_agent_loop(world, file)
    are_the_pictures(world, images)
    reach_the_encoder(world, images)
    items = MultiModalDataParser().parse_mm_data({"image": images})["image"]
    are_the_pictures(world, [items.get(number) for number in range(len(images))])
    for image, wanted in zip(images, world.pictures, strict=True):
        np.testing.assert_array_equal(seen_by_model(image, world.processor.image_processor), np.asarray(wanted))


def test_what_is_checked_and_measured(world):
    assert [schema.decoded_size(content) for content in world.contents] == [each.size for each in world.pictures]
    assert check_file(world.folder / "own.parquet") == len(world.contents)


def with_image(task: str, content: bytes) -> dict:
    """A row of a benchmark with this image in it, as lmms-eval has it: decoded by ``datasets``, or as bytes."""
    decoded = Encoded().decode_example({"bytes": content, "path": None})
    doc = dict(next(each.doc for each in examples(task) if load(task).images(each.doc)))
    for column, value in doc.items():
        if isinstance(value, Image.Image | bytes):
            doc[column] = content if isinstance(value, bytes) else decoded
    return doc | ({"images": [{"bytes": content}]} if "images" in doc else {})


@pytest.mark.parametrize("task", tasks())
def test_benchmarks(world, task):
    are_the_pictures(world, [load(task).images(with_image(task, content))[0] for content in world.contents])


def test_lmms_eval_and_the_server_that_it_asks(world):
    from lmms_eval.protocol import ChatMessages

    by_transformers, by_a_server = [], []
    for content in world.contents:
        (image,) = load("kawhi_mme").images(with_image("kawhi_mme", content))
        said = ChatMessages(messages=[{"role": "user", "content": [{"type": "image", "url": image}]}])
        patch = world.processor.image_processor.patch_size
        by_transformers += process_vision_info(said.to_hf_messages(), image_patch_size=patch)[0]
        url = said.to_openai_messages()[0]["content"][0]["image_url"]["url"]
        by_a_server.append(ImageMediaIO().load_bytes(base64.b64decode(url.partition(",")[2])).media)
    reach_the_encoder(world, by_transformers)
    reach_the_encoder(world, by_a_server)


def test_what_a_judge_and_the_error_study_are_shown(world):
    shown = [encode(load("kawhi_mme").images(with_image("kawhi_mme", each))[0], full=True) for each in world.contents]
    are_the_pictures(world, [Image.open(io.BytesIO(each)) for each in shown])


def test_explain_and_grounding(world):
    images = []
    for number, content in enumerate(world.contents):
        file = world.folder / f"{number}.image"
        file.write_bytes(content)
        images.append(_image(file))
    are_the_pictures(world, images)
    file = world.folder / "own.parquet"
    are_the_pictures(world, [read_example(file, number).image for number in range(len(world.contents))])
    are_the_pictures(world, [each.image for each in read_examples(file)])


def test_an_image_that_python_gives_to_a_model(world):
    for content, wanted in zip(world.contents, world.expected, strict=True):
        image = Image.open(io.BytesIO(content))
        assert torch.equal(world.inspector.prompt(image, "What?")["pixel_values"], wanted["pixel_values"])
        seen = seen_by_model(image, world.processor.image_processor)
        np.testing.assert_array_equal(seen, np.asarray(picture(content)))
