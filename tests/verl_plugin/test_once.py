"""What verl computes anew for each response is computed once for its images, and is the same; verl still repeats it."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import torch
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker

from kawhi.tiny.architectures import build_processor
from kawhi.tiny.tokenizer import train_tokenizer
from kawhi.verl_plugin.once import model_inputs_once, process_images_once
from tests.tiny.made import chat, pictures


def test_images_are_processed_once_and_give_the_same_input(family, monkeypatch):
    """From many threads at once, as verl does; every caller gets a batch of its own."""
    images = pictures(family, 3)
    plain, remembering = (build_processor(family, train_tokenizer()).image_processor for _ in range(2))
    expected = [plain(images=[image], return_tensors="pt") for image in images]
    calls = []
    original = remembering.preprocess
    monkeypatch.setattr(type(remembering), "preprocess", lambda self, *a, **k: calls.append(1) or original(*a, **k))
    process_images_once(remembering)
    process_images_once(remembering)
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda i: remembering(images=[images[i % 3]], return_tensors="pt"), range(300)))
    for i, features in enumerate(got):
        assert features.keys() == expected[i % 3].keys()
        assert all(bool((features[name] == expected[i % 3][name]).all()) for name in features)
    assert len(calls) == 3
    got[0].pop("pixel_values")
    assert "pixel_values" in remembering(images=[images[0]], return_tensors="pt")


class Once(AgentLoopWorker):
    """verl's worker, remembering."""

    _compute_multi_modal_inputs = AgentLoopWorker._compute_multi_modal_inputs


model_inputs_once(Once)
model_inputs_once(Once)


def worker(kind, family, calls: list):
    """A worker with a real processor that counts its calls, and with the positions that verl gives a processor."""
    processor = build_processor(family, train_tokenizer())

    class Counting(type(processor)):
        def __call__(self, *args, **kwargs):
            calls.append(1)
            return super().__call__(*args, **kwargs)

    processor.__class__ = Counting
    processor.get_rope_index = lambda input_ids, **_: (input_ids.expand(3, *input_ids.shape), None)
    made = object.__new__(kind)
    made.processor, made.tokenizer, made.mm_processor_kwargs = processor, processor.tokenizer, {}
    return made


def inputs(made, images, response: str) -> dict:
    """What verl keeps of the model's inputs beside one response."""
    asked = chat("How many?", len(images))
    prompt = made.processor.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    ids = made.processor.tokenizer(prompt + response, return_tensors="pt")["input_ids"]
    output = SimpleNamespace(multi_modal_data={"images": images}, mm_processor_kwargs=None)
    found = made._compute_multi_modal_inputs(output, ids[0])
    if hasattr(made.processor, "get_rope_index"):
        made._compute_position_ids(ids, torch.ones_like(ids), found)
    return found


def test_the_model_s_inputs_are_computed_once_for_the_images_of_a_prompt(family):
    """When the first count fails, verl no longer runs its processor for every response."""
    stock_calls, own_calls = [], []
    stock, own = worker(AgentLoopWorker, family, stock_calls), worker(Once, family, own_calls)
    one, two = pictures(family, 2)
    asked = [
        ([one], "3"),
        ([two], "4"),
        ([one], "five apples"),
        ([one, two], "3"),
        ([two, one], "3"),
        ([one.copy()], ""),
    ]
    for images, response in asked:
        wanted, found = (inputs(made, images, response) for made in (stock, own))
        assert wanted.keys() == found.keys() == {"pixel_values", "image_grid_thw", "images_seqlens"}
        assert all(torch.equal(wanted[name], found[name]) for name in wanted)
        found.clear()  # every response has a dictionary of its own
    assert (len(stock_calls), len(own_calls)) == (6, 4)


def test_what_has_more_than_images_in_it_is_computed_as_ever(family):
    calls = []
    made = worker(Once, family, calls)
    del made.processor.get_rope_index  # verl then keeps what depends on the text
    short, long = (inputs(made, pictures(family, 1), response) for response in ("1", "twenty one"))
    assert len(calls) == 2
    assert short["mm_token_type_ids"].shape[1] < long["mm_token_type_ids"].shape[1]
