"""Work that verl 0.9.1 repeats for each of a prompt's responses, done once for its images: the results are the same.

In the tiny world it was most of the agent loop's processor time (docs/performance.md).
``tests/verl_plugin/test_once.py`` fails when verl no longer repeats it.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from PIL import Image
from transformers import BatchFeature
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker

_OF_IMAGES = {"pixel_values", "image_grid_thw", "images_seqlens"}
_OF_TEXT = {"mm_token_type_ids"}  # verl asks only whether it is there, and takes it out


def process_images_once(image_processor, limit: int = 32) -> None:
    """Makes an image processor remember its last results; verl runs it before each response and again after it.

    Args:
        image_processor: changed in place; a second call on the same object does nothing.
        limit: results kept.
    """
    if "preprocess" in vars(image_processor):
        return
    original = image_processor.preprocess
    results: OrderedDict[bytes, dict] = OrderedDict()
    lock = threading.Lock()  # verl calls the processor from the event loop and from executor threads

    def preprocess(images, *args, **kwargs):
        listed = images if isinstance(images, list) else [images]
        if args or not all(isinstance(image, Image.Image) for image in listed):
            return original(images, *args, **kwargs)
        key = _key(listed, kwargs)
        with lock:
            if key not in results:
                _keep(results, key, dict(original(images, **kwargs)), limit)
            # A fresh BatchFeature each time: UserDict.copy() empties its source for a moment.
            return BatchFeature(data=dict(results[key]))

    image_processor.preprocess = preprocess


def model_inputs_once(worker: Any = AgentLoopWorker, limit: int = 32) -> None:
    """Makes verl's agent loop worker remember what its images are to the model.

    verl decodes each response and runs the whole processor on it, twice, and keeps what depends on the images alone.
    Inputs with anything else in them are computed as ever.

    Args:
        worker: class that is changed in place; a second call does nothing.
        limit: results kept.
    """
    original: Callable[..., dict[str, Any]] = worker._compute_multi_modal_inputs
    if hasattr(original, "__wrapped__"):
        return
    results: OrderedDict[bytes, dict[str, Any]] = OrderedDict()

    @functools.wraps(original)
    def remembered(self, output, input_ids):
        data = {name: media for name, media in (output.multi_modal_data or {}).items() if media}
        if data.keys() != {"images"} or not hasattr(self.processor, "get_rope_index"):
            return original(self, output, input_ids)
        key = _key(data["images"], output.mm_processor_kwargs or {})
        if key not in results:
            inputs = original(self, output, input_ids)
            if not _OF_IMAGES <= inputs.keys() <= _OF_IMAGES | _OF_TEXT:
                return inputs
            _keep(results, key, inputs, limit)
        return dict(results[key])

    worker._compute_multi_modal_inputs = remembered


def content(image: Image.Image) -> bytes:
    """Hash of an image's pixels."""
    return hashlib.sha256(f"{image.mode} {image.size}".encode() + image.tobytes()).digest()


def _key(images: list[Image.Image], options: dict[str, Any]) -> bytes:
    return hashlib.sha256(repr(sorted(options.items())).encode() + b"".join(map(content, images))).digest()


def _keep(results: OrderedDict[bytes, Any], key: bytes, value: Any, limit: int) -> None:
    results[key] = value
    while len(results) > limit:
        results.popitem(last=False)
