"""verl's single-turn agent loop with a seed per request, and regions selected once per prompt."""

from __future__ import annotations

import asyncio
import os
import pkgutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from PIL import Image
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput, register
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop

from kawhi.models.seen import seen_by_model
from kawhi.regions.seeds import stable_seed
from kawhi.regions.selectors import select_tokens
from kawhi.regions.sguf import RegionMap, sguf
from kawhi.verl_plugin.once import content, model_inputs_once, process_images_once
from kawhi.verl_plugin.wire import IMAGES, PROMPT_DRAW, PROMPT_INDEX, READINGS, REGION_SECONDS, SELECTED_TOKENS


class _Named:
    """Something that only the process which receives it imports: vLLM takes 0.7 s."""

    def __init__(self, name: str):
        self.name = name

    def __reduce__(self):
        return pkgutil.resolve_name, (self.name,)


TOKENS_AT_THE_END = {"detokenize": False, "output_kind": _Named("vllm.sampling_params:RequestOutputKind.FINAL_ONLY")}
"""Sampling parameters by which vLLM's server says nothing before a response is complete, and makes no text of it.

verl takes the tokens of the complete response alone.  (vLLM 0.27.1, ``tests/verl_plugin/test_agent_loop.py``)
"""


@register("kawhi_seeded")
class SeededAgentLoop(SingleTurnAgentLoop):
    """Sampling that is reproducible: vLLM gets a seed made of (run seed, prompt, step, session).

    verl's own ``full_determinism`` gives all requests of a group one seed, so that their responses would be equal.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.processor is not None:
            process_images_once(self.processor.image_processor)
            model_inputs_once()

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs) -> AgentLoopOutput:
        identity, draw = (int(kwargs["index"]), int(kwargs["global_steps"])), int(kwargs.get(PROMPT_DRAW, 0))
        again = (draw,) if draw else ()  # else a prompt that comes twice in a step would get the same responses
        seed = stable_seed(int(self.rollout_config.seed), *identity, int(kwargs["session_id"]), *again)
        output = await super().run({**sampling_params, **TOKENS_AT_THE_END, "seed": seed}, priority=priority, **kwargs)
        images = (output.multi_modal_data or {}).get("images") or []
        output.extra_fields.update({PROMPT_INDEX: identity[0], PROMPT_DRAW: draw, IMAGES: len(images)})
        readings = (kwargs.get("extra_info") or {}).get("readings")
        if readings is not None:
            output.extra_fields[READINGS] = [int(number) for number in readings]
        return output


class RegionCache:
    """Selections of prompts in flight (the n rollouts of a prompt share one) and the region maps of a run.

    Maps are also files of the run directory: later epochs may meet an image in another worker's process.
    """

    def __init__(self, prompts: int = 4096, images: int = 4096):
        self.selections: OrderedDict[str, asyncio.Task] = OrderedDict()
        self.maps: OrderedDict[bytes, Future[RegionMap]] = OrderedDict()
        self._limits = prompts, images
        self._lock = threading.Lock()

    def region_map(self, content: bytes, analyse: Callable[[], RegionMap]) -> RegionMap:
        """The map of an image with this content hash, analysed if this run has not met the image.

        Of several threads that ask at once, the first one analyses and the others wait for it.
        """
        with self._lock:
            first = content not in self.maps
            future = self.maps.setdefault(content, Future())
        if first:
            try:
                future.set_result(self._read_or_analyse(content, analyse))
            except BaseException as error:
                future.set_exception(error)
                raise
        return future.result()

    def _read_or_analyse(self, content: bytes, analyse: Callable[[], RegionMap]) -> RegionMap:
        run_directory = os.environ.get("KAWHI_RUN_DIR")  # not sooner: this module may be older than the run
        if not run_directory:
            return analyse()
        file = Path(run_directory) / "train" / "regions" / content.hex()[:2] / f"{content.hex()}.npz"
        if file.exists():
            return RegionMap.load(file)
        region_map = analyse()
        region_map.save(file)
        return region_map

    def trim(self) -> None:
        prompts, images = self._limits
        while len(self.selections) > prompts:
            self.selections.popitem(last=False)
        with self._lock:
            while len(self.maps) > images:
                self.maps.popitem(last=False)


_CACHE = RegionCache()


@register("kawhi")
class KawhiAgentLoop(SeededAgentLoop):
    """Adds the selected visual tokens of the prompt to every response's ``extra_fields``."""

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs) -> AgentLoopOutput:
        output = await super().run(sampling_params, priority=priority, **kwargs)
        uid = kwargs["uid"]
        fresh = uid not in _CACHE.selections
        if fresh:
            seed = stable_seed(int(self.config.kawhi.regions.seed), int(kwargs["index"]), int(kwargs["global_steps"]))
            images = list(output.multi_modal_data.get("images") or [])
            _CACHE.selections[uid] = asyncio.ensure_future(
                self.loop.run_in_executor(None, self._select, images, output.prompt_ids, seed)
            )
            _CACHE.trim()
        selected, seconds = await _CACHE.selections[uid]
        output.extra_fields[SELECTED_TOKENS] = selected
        output.extra_fields[REGION_SECONDS] = seconds if fresh else 0.0
        return output

    def _select(self, images: list[Image.Image], prompt_ids: list[int], seed: int) -> tuple[list[int], float]:
        start = time.perf_counter()
        options = self.config.kawhi.regions
        selected: list[int] = []
        if options.strategy == "visionzip":  # ranks tokens inside the engine, by the vision encoder's own attention
            return selected, 0.0
        first = 0
        for number, region_map in enumerate(self._region_map(image) for image in images):
            tokens = select_tokens(region_map, options.strategy, options.skip_ratio, stable_seed(seed, number))
            selected.extend((tokens + first).tolist())
            first += region_map.labels.size
        placeholders = sum(token == self.processor.image_token_id for token in prompt_ids)
        if placeholders != first:
            raise RuntimeError(f"the prompt has {placeholders} image tokens, its images make {first}")
        return selected, time.perf_counter() - start

    def _region_map(self, image: Image.Image) -> RegionMap:
        processor, options = self.processor.image_processor, self.config.kawhi.regions
        return _CACHE.region_map(
            content(image),
            lambda: sguf(
                seen_by_model(image, processor),
                processor.patch_size * processor.merge_size,
                structure_threshold=options.structure_threshold,
                luminance_threshold=options.luminance_threshold,
                energy_scale=options.energy_scale,
                sigma=options.sigma,
                median_over=options.median_over,
                smoothed=options.smoothed,
            ),
        )
