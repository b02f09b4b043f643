"""Regions once per prompt, of exactly what the model sees; seeds per request."""

import asyncio
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from kawhi.regions.selectors import select_tokens
from kawhi.regions.sguf import sguf
from kawhi.tiny.architectures import FAMILIES, build_processor
from kawhi.tiny.world import problems
from kawhi.verl_plugin import agent_loop
from kawhi.verl_plugin.wire import READINGS
from tests.tiny.made import pictures

REGIONS = dict(
    strategy="sguf",
    structure_threshold=0.5,
    luminance_threshold=30.0,
    energy_scale=0.1,
    sigma=1.0,
    skip_ratio=0.7,
    median_over="components",
    smoothed="luminance",
    seed=0,
)


@pytest.fixture
def loop(family, tokenizer, monkeypatch):
    monkeypatch.setattr(agent_loop, "_CACHE", agent_loop.RegionCache())
    made = object.__new__(agent_loop.KawhiAgentLoop)
    made.config = OmegaConf.create({"kawhi": {"regions": REGIONS}})
    made.processor = build_processor(family, tokenizer)
    return made


@pytest.fixture
def image(family):
    return pictures(family, 1)[0]


def test_selection_is_sguf_of_the_image(loop, image, family):
    prompt = [loop.processor.image_token_id] * 36 + [1, 2, 3]
    got, seconds = loop._select([image], prompt, seed=5)
    expected = select_tokens(sguf(image, 2 * FAMILIES[family].patch_size), "sguf", 0.7, agent_loop.stable_seed(5, 0))
    assert got == expected.tolist()
    assert seconds > 0


def test_two_images_follow_each_other(loop, family):
    images = pictures(family, 2, 4)
    prompt = [loop.processor.image_token_id] * 72
    both, _ = loop._select(images, prompt, seed=1)
    first, _ = loop._select(images[:1], prompt[:36], seed=1)
    assert [token for token in both if token < 36] == first
    assert any(token >= 36 for token in both)


def test_token_count_must_match(loop, image):
    with pytest.raises(RuntimeError, match="35 image tokens, its images make 36"):
        loop._select([image], [loop.processor.image_token_id] * 35, seed=0)


def test_an_image_that_the_processor_resizes_is_analysed_resized(loop, family):
    """The processor's pixel limits are the tiny world's, so a larger image reaches the model smaller."""
    image = next(problems("train", 3)).drawing.render(2 * FAMILIES[family].image_size)
    region_map = loop._region_map(image)
    assert region_map.labels.shape == (6, 6)
    features = loop.processor.image_processor(images=[image], return_tensors="np")
    assert np.asarray(features["image_grid_thw"])[0].tolist() == [1, 12, 12]


def test_the_same_image_is_analysed_once(loop, image, monkeypatch):
    calls = []
    monkeypatch.setattr(agent_loop, "sguf", lambda *a, **k: calls.append(1) or sguf(*a, **k))
    for _ in range(3):
        loop._region_map(image)
    loop._region_map(Image.fromarray(255 - np.asarray(image)))
    assert len(calls) == 2


def test_questions_about_one_image_share_its_analysis(loop, image, monkeypatch):
    """Prompts are prepared in threads, and several questions of a data set may show the same chart."""
    calls = []
    monkeypatch.setattr(agent_loop, "sguf", lambda *a, **k: calls.append(1) or time.sleep(0.05) or sguf(*a, **k))
    with ThreadPoolExecutor(8) as pool:
        maps = list(pool.map(lambda _: loop._region_map(image), range(8)))
    assert len(calls) == 1
    assert all(found is maps[0] for found in maps)


def test_an_analysis_that_fails_fails_for_all_who_wait(loop, image, monkeypatch):
    monkeypatch.setattr(agent_loop, "sguf", lambda *a, **k: 1 / 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            loop._region_map(image)


def test_another_worker_of_the_run_reads_the_map(loop, image, monkeypatch, tmp_path):
    """A worker may have imported the module before it was told its run."""
    caches = [agent_loop.RegionCache() for _ in range(2)]
    monkeypatch.setenv("KAWHI_RUN_DIR", str(tmp_path))
    maps = []
    for cache in caches:
        monkeypatch.setattr(agent_loop, "_CACHE", cache)
        maps.append(loop._region_map(image))
        monkeypatch.setattr(agent_loop, "sguf", None)  # the second worker analyses nothing
    for name, value in vars(maps[0]).items():
        assert np.array_equal(value, getattr(maps[1], name))
        assert type(value) is type(getattr(maps[1], name))
    assert len(list(tmp_path.rglob("*.npz"))) == 1


def test_visionzip_leaves_the_choice_to_the_engine(loop):
    loop.config.kawhi.regions.strategy = "visionzip"
    assert loop._select([], [1, 2], seed=0) == ([], 0.0)


def test_seeds_differ_by_every_part_and_are_stable():
    assert agent_loop.stable_seed(0, 1, 2, 3) == agent_loop.stable_seed(0, 1, 2, 3)
    assert len({agent_loop.stable_seed(*p) for p in ((0, 1, 2, 3), (1, 0, 2, 3), (0, 1, 3, 2), (0, 1, 2))}) == 4
    assert 0 <= agent_loop.stable_seed(7) < 2**31


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"extra_info": {"readings": np.array([4, 7])}}, [4, 7]),
        ({"extra_info": {"readings": None}}, None),
        ({"extra_info": {}}, None),
        ({}, None),
    ],
)
def test_a_response_says_what_had_to_be_read_where_its_row_does(monkeypatch, row, told):
    async def stock(self, sampling_params, **kwargs):
        return SimpleNamespace(multi_modal_data={}, extra_fields={})

    monkeypatch.setattr(agent_loop.SingleTurnAgentLoop, "run", stock)
    made = object.__new__(agent_loop.SeededAgentLoop)
    made.rollout_config = SimpleNamespace(seed=0)
    output = asyncio.run(made.run({}, index=3, global_steps=1, session_id=0, **row))
    assert output.extra_fields.get(READINGS) == told


def test_what_vllm_s_server_is_asked_for_arrives_as_its_own_value():
    """When the second part fails, vLLM says nothing before the end, and makes no text, by itself."""
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    asked = SamplingParams(**pickle.loads(pickle.dumps(agent_loop.TOKENS_AT_THE_END)))
    assert asked.output_kind is RequestOutputKind.FINAL_ONLY
    assert not asked.detokenize
    assert SamplingParams().output_kind is not RequestOutputKind.FINAL_ONLY
    assert SamplingParams().detokenize
