"""The policy as lmms-eval's own Hugging Face model, which keeps its responses as it goes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms

from kawhi.evaluation.responses import Response, ResponseStore, prompt_hash, prompt_of, row_of, sample_seed


def hugging_face(
    name: str,
    model: str,
    *,
    device: str,
    dtype: str,
    batch_size: int,
    min_pixels: int,
    max_pixels: int,
    attention: str,
) -> lmms:
    """lmms-eval's Hugging Face model ``name``, so that it decodes as the record states.

    lmms-eval 0.7.3 is bent here in four points; ``tests/evaluation/test_hugging_face.py`` fails when one is not needed.

    - ``clean`` would delete the model after one evaluation.
    - Weights are always loaded as bfloat16; here in ``dtype``.
    - The checkpoint's own sampling defaults (Qwen2.5-VL: a repetition penalty of 1.05) are dropped, as a server does.
    - Qwen3-VL is given a system message that training does not have; it is taken out.
    """
    import torch
    from lmms_eval.models import get_model
    from transformers import GenerationConfig

    arguments = f"pretrained={model},device_map={device},min_pixels={min_pixels},max_pixels={max_pixels}"
    loaded: Any = get_model(name).create_from_arg_string(
        f"{arguments},attn_implementation={attention}", {"batch_size": batch_size, "device": device}
    )
    loaded.clean = lambda: None
    if loaded.model.dtype != getattr(torch, dtype):
        again = type(loaded.model).from_pretrained(
            model, dtype=getattr(torch, dtype), device_map=device, attn_implementation=attention
        )
        loaded._model = again.eval()
    own = loaded.model.generation_config
    loaded.model.generation_config = GenerationConfig(
        eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id, bos_token_id=own.bos_token_id
    )
    loaded.processor.apply_chat_template = _without_system_message(loaded.processor.apply_chat_template)
    return loaded


def _without_system_message(apply: Callable[..., Any]) -> Callable[..., Any]:
    def applied(conversations: list[list[dict[str, Any]]], **options: Any) -> Any:
        return apply([[turn for turn in turns if turn["role"] != "system"] for turns in conversations], **options)

    return applied


def keep_responses(model: lmms, store: ResponseStore, *, seed: int, batch_size: int) -> lmms:
    """Lets a Hugging Face model of lmms-eval generate batch by batch, into the store.

    Each batch has a seed of its own and the same rows in every launch, so that a run that was killed gives the same
    responses as one that was not.  Whether a response was cut off, and its length, are read from its token ids:
    lmms-eval 0.7.3 counts a batch's padding as generated.
    """
    holder: Any = model
    generate = type(model).generate_until.__get__(model)

    def generate_until(requests: list[Instance]) -> list[str]:
        import torch

        for start in range(0, len(requests), batch_size):
            batch = requests[start : start + batch_size]
            if all(store.get(row_of(request), prompt_of(request)) for request in batch):
                continue
            torch.manual_seed(sample_seed(seed, start))
            with _generated_ids(holder.model) as calls:
                results = [getattr(result, "text", result) for result in generate(batch)]
            ends = _ends(calls, holder.processor, holder.tokenizer.eos_token_id)
            found = []
            for request, text in zip(batch, results, strict=True):
                reason, length = ends[text].pop()
                found.append(Response(row_of(request), prompt_hash(prompt_of(request)), text, reason, length))
            store.add(found)
        return [store.responses[row_of(request)].text for request in requests]

    holder.generate_until = generate_until
    return model


@contextmanager
def _generated_ids(model: Any) -> Iterator[list[list[list[int]]]]:
    """Collects the token ids of the responses of every call of ``generate`` within the block."""
    calls: list[list[list[int]]] = []
    generate = model.generate

    def generating(*arguments: Any, **options: Any) -> Any:
        sequences = generate(*arguments, **options)
        calls.append(sequences[:, options["input_ids"].shape[1] :].tolist())
        return sequences

    model.generate = generating
    try:
        yield calls
    finally:
        model.generate = generate


def _ends(calls: list[list[list[int]]], processor: Any, end: int) -> dict[str, list[tuple[str, int]]]:
    """Text of a response -> (finish reason, number of tokens) of each response with this text."""
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for ids in (ids for call in calls for ids in call):
        text = processor.batch_decode([ids], skip_special_tokens=True, clean_up_tokenization_spaces=False)[0]
        found[text].append(("stop", ids.index(end)) if end in ids else ("length", len(ids)))
    return found
