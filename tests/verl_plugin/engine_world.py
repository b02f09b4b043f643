"""The real FSDP2 engine of the plug-in without Ray: a gloo world, a tiny random model, packed or padded batches."""

from __future__ import annotations

import json
import os
import socket
import sys
import traceback
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

os.environ.update(
    VERL_PLATFORM="cpu",
    VERL_USE_EXTERNAL_MODULES="kawhi.verl_plugin.cpu.platform",
    VERL_ENGINE_DEVICE="cuda",
    VERL_ENGINE_VENDOR="kawhi",
)

import torch
import torch.distributed as dist
from tensordict import TensorDict
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a program, beside pytest
from kawhi.credit.alignment import AlignmentOptions
from tests.reference.methods import nucleus_entropy as literal_nucleus_entropy
from tests.tiny.made import chat, render

CASES = (("packed", 1), ("padded", 1), ("lora", 1), ("packed", 2))
"""Layout of a batch and number of ranks; ``lora`` is packed, with adapters that were trained."""

VARIANTS: dict[str, dict] = {
    "paper": {},
    "heads": {"heads": [0, 3]},
    "key_key": {"metric": "key_key", "heads": [1, 2, 3]},
    "before": {"rope": "before"},
    "predicting": {"query_position": "predicting"},
    "visionzip": {"keep_ratio": 0.4},
    "layer": {"layer": 0},
    "max_cosine": {"statistic": "max_cosine", "heads": [0, 3]},
    "attention_mass": {"statistic": "attention_mass", "heads": [3, 1]},
    "max_attention": {"statistic": "max_attention", "layer": 1, "query_position": "predicting"},
    "max_attention_visionzip": {"statistic": "max_attention", "keep_ratio": 0.4},
}


def request(variant: str) -> str:
    """The trainer's request for alpha, as it travels."""
    alignment = vars(AlignmentOptions()) | VARIANTS[variant]
    return json.dumps({"keep_ratio": alignment.pop("keep_ratio", None), "alignment": alignment})


@dataclass
class Batch:
    """A micro-batch as the trainer would send it, with what the reference needs."""

    data: TensorDict
    rows: list[dict]


def make_batch(
    family: str, processor, seed: int, packed: bool, lengths: tuple[int, ...], images: tuple[int, ...]
) -> Batch:
    """A sequence for each length, whose prompt shows so many images."""
    from verl.utils import tensordict_utils as tu

    from kawhi.tiny.world import problems
    from kawhi.verl_plugin.wire import PROMPT_INDEX, SELECTED_TOKENS

    generator = torch.Generator().manual_seed(seed)
    stream = problems("validation", seed)
    rows = []
    for i, (length, count) in enumerate(zip(lengths, images, strict=True)):
        problem = next(stream)
        text = processor.apply_chat_template(chat(problem.question, count), add_generation_prompt=True)
        shown = render(list(islice(stream, count)), family)
        features = processor(images=shown or None, text=[text], return_tensors="pt")
        prompt = features["input_ids"][0]
        response = torch.randint(0, 256, (length,), generator=generator)
        selected = sorted(torch.randperm(36 * count, generator=generator)[: 5 + i].tolist())
        rows.append(
            {
                "prompt": prompt,
                "response": response,
                "ids": torch.cat([prompt, response]),
                "pixel_values": features.get("pixel_values"),
                "image_grid_thw": features.get("image_grid_thw"),
                "selected": selected,
            }
        )

    def jagged(tensors):
        return torch.nested.as_nested_tensor(tensors, layout=torch.jagged)

    data = TensorDict(
        {
            "input_ids": jagged([row["ids"] for row in rows]),
            "prompts": jagged([row["prompt"] for row in rows]),
            "responses": jagged([row["response"] for row in rows]),
            "response_mask": jagged([torch.ones_like(row["response"]) for row in rows]),
            "loss_mask": jagged([torch.ones_like(row["response"]) for row in rows]),
            "position_ids": tu.nested_tensor_from_tensor_list(
                [row_positions(row, processor) for row in rows], ragged_idx=2
            ),
        },
        batch_size=len(rows),
    )
    inputs = [{name: row[name] for name in ("pixel_values", "image_grid_thw") if row[name] is not None} for row in rows]
    tu.assign_non_tensor_stack(data, "multi_modal_inputs", inputs)
    fields = [{SELECTED_TOKENS: row["selected"], PROMPT_INDEX: i} for i, row in enumerate(rows)]
    tu.assign_non_tensor_stack(data, "extra_fields", fields)
    tu.assign_non_tensor(
        data,
        use_remove_padding=packed,
        use_dynamic_bsz=False,
        micro_batch_size_per_gpu=len(rows),
        temperature=1.0,
        calculate_entropy=False,
        compute_loss=False,
        pad_token_id=0,
    )
    return Batch(data, rows)


def row_positions(row: dict, processor) -> torch.Tensor:
    """``(4, S)``: text positions, then mRoPE's three rows, from the model's own function."""
    row["mm"] = (row["ids"] == processor.image_token_id).int()
    positions, _ = ROPE_INDEX(
        row["ids"][None],
        mm_token_type_ids=row["mm"][None],
        image_grid_thw=row["image_grid_thw"],
        attention_mask=torch.ones_like(row["ids"])[None],
    )
    row["positions"] = torch.cat([torch.arange(len(row["ids"]))[None], positions[:, 0]])
    return row["positions"]


def watch(model, row: dict) -> dict[str, list]:
    """What the library's own rotary and attention functions saw in one pass: nothing of it comes from our hooks."""
    import transformers.models.qwen2_5_vl.modeling_qwen2_5_vl as qwen2_5
    import transformers.models.qwen3_vl.modeling_qwen3_vl as qwen3

    seen: dict[str, list] = {"before": [], "after": [], "vision": [], "text": []}
    originals = {}

    def rotary(original):
        def spy(q, k, *args, **kwargs):
            seen["before"].append((q, k))
            seen["after"].append(original(q, k, *args, **kwargs))
            return seen["after"][-1]

        return spy

    def attention(original):
        def spy(module, *args, **kwargs):
            output, weights = original(module, *args, **kwargs)
            if "Vision" in type(module).__name__:
                seen["vision"].append((module, weights))
            else:
                seen["text"].append(weights)
            return output, weights

        return spy

    for module, name in ((qwen2_5, "apply_multimodal_rotary_pos_emb"), (qwen3, "apply_rotary_pos_emb")):
        originals[module, name] = getattr(module, name)
        setattr(module, name, rotary(originals[module, name]))
    for module in (qwen2_5, qwen3):
        originals[module, "eager_attention_forward"] = module.eager_attention_forward
        module.eager_attention_forward = attention(module.eager_attention_forward)
    model.model.visual.watched = True  # as every pass whose attention is looked at: no image is left out
    try:
        logits_of(model, row, row["pixel_values"])
    finally:
        for (module, name), original in originals.items():
            setattr(module, name, original)
    return seen


def most_attended(model, row: dict, seen: dict[str, list], keep_ratio: float) -> list[int]:
    """VisionZip's tokens from the attention weights of the last block that spans the image."""
    visual = model.model.visual
    block = max(getattr(visual, "fullatt_block_indexes", range(len(visual.blocks))))
    (weights,) = [w for module, w in seen["vision"] if module is visual.blocks[block].attn]  # (1, H, n, n)
    received = weights[0].double().mean(dim=(0, 1)).reshape(-1, 4).mean(dim=1)
    _, height, width = row["image_grid_thw"][0].tolist()
    order = list(range(len(received)))
    if hasattr(visual, "window_size"):  # windows of w x w tokens, row by row, cut off at the border
        side = visual.window_size // visual.patch_size // 2
        grid = [(y, x) for y in range(height // 2) for x in range(width // 2)]
        grid.sort(key=lambda at: (at[0] // side, at[1] // side, at[0], at[1]))
        order = [y * (width // 2) + x for y, x in grid]
    score = {token: received[i].item() for i, token in enumerate(order)}
    kept = int(keep_ratio * len(score) + 0.5)
    return sorted(sorted(score, key=lambda token: -score[token])[:kept])


def brute_force(model, row: dict, image_token: int, variant: str) -> torch.Tensor:
    """Equations 12-13 with the T x N_s matrix, or another statistic of the cosines or of the model's own weights."""
    options, seen = VARIANTS[variant], watch(model, row)
    layer, statistic = options.get("layer", -1), options.get("statistic", "mean_cosine")
    selected = row["selected"]
    if "keep_ratio" in options:
        selected = most_attended(model, row, seen, options["keep_ratio"])
    if not selected:
        return torch.zeros(len(row["response"]), dtype=torch.float64)
    where = torch.nonzero(row["ids"] == image_token)[:, 0][torch.tensor(selected)]
    start = len(row["prompt"])
    span = slice(start - 1, -1) if options.get("query_position") == "predicting" else slice(start, None)
    query, key = (x[0].double() for x in seen[options.get("rope", "after")][layer])
    heads = options.get("heads") or list(range(query.shape[0]))
    if "attention" in statistic:
        looks = seen["text"][layer][0].double()[heads][:, span][..., where]
    else:
        expanded = key.repeat_interleave(query.shape[0] // key.shape[0], 0)
        asking = expanded if options.get("metric") == "key_key" else query
        looks = F.cosine_similarity(asking[heads][:, span, None], expanded[heads][:, None, where], dim=-1)
    made = {"mean_cosine": torch.mean, "attention_mass": torch.sum}.get(statistic, torch.amax)
    return made(looks, dim=2).mean(dim=0)


def logits_of(model, row: dict, pixel_values: torch.Tensor) -> torch.Tensor:
    """``(S, V)`` of one sequence by itself."""
    with torch.no_grad():
        return model(
            input_ids=row["ids"][None],
            attention_mask=torch.ones_like(row["ids"])[None],
            position_ids=row["positions"][:, None],
            pixel_values=pixel_values,
            image_grid_thw=row["image_grid_thw"],
            mm_token_type_ids=row["mm"][None],
        ).logits[0]


def check_other_signals(engine, batch: Batch, model, image_token: int) -> float:
    """Entropy of the nucleus at a temperature, and log-probs beside images that are partly and wholly black."""
    from verl.utils import tensordict_utils as tu
    from verl.workers.utils.padding import response_from_nested

    from kawhi.models.blacken import random_rows
    from kawhi.regions.seeds import stable_seed
    from kawhi.verl_plugin.wire import ALIGNMENT_REQUEST, IMAGE_REQUEST, NUCLEUS_ENTROPY, NUCLEUS_REQUEST

    images = engine.model_config.processor.image_processor
    black = -torch.tensor(images.image_mean) / torch.tensor(images.image_std)
    worst, p, temperature = 0.0, 0.8, 0.7
    for share in (0.0, 0.5, 1.0):
        asked = {"share": share, "seed": 5, "step": 2}
        tu.assign_non_tensor(
            batch.data,
            **{ALIGNMENT_REQUEST: "", NUCLEUS_REQUEST: json.dumps(p), IMAGE_REQUEST: json.dumps(asked)},
            temperature=temperature,
        )
        with engine.eval_mode(), torch.no_grad():
            output = engine.infer_batch(batch.data)["model_output"]
        mask = batch.data["responses"]
        found = {
            "log_probs": response_from_nested(output["log_probs"], mask).unbind(),
            "nucleus": response_from_nested(output[NUCLEUS_ENTROPY], mask).unbind(),
        }
        for i, row in enumerate(batch.rows):
            pixels = row["pixel_values"]
            if pixels is not None:
                pixels = pixels.clone()
                for patch in torch.nonzero(random_rows(len(pixels), share, stable_seed(5, i, 2)))[:, 0]:
                    pixels[patch] = black.repeat_interleave(pixels.shape[1] // 3)
            start = len(row["prompt"])
            scaled = (logits_of(model, row, pixels)[start - 1 : -1] / temperature).double().log_softmax(-1)
            expected = scaled.gather(1, row["ids"][start:, None])[:, 0]
            worst = max(worst, (found["log_probs"][i] - expected).abs().max().item())
            for t in range(0, len(expected), 5):
                entropy = literal_nucleus_entropy(scaled[t].tolist(), p)
                worst = max(worst, abs(found["nucleus"][i][t].item() - entropy))
    return worst


def with_adapters(engine, reference):
    """The reference with the engine's adapters added to its weights, by PEFT; both get adapters that say something."""
    from peft import LoraConfig, get_peft_model

    config = engine.module.peft_config["default"]
    own = get_peft_model(
        reference,
        LoraConfig(r=config.r, lora_alpha=config.lora_alpha, target_modules="all-linear", exclude_modules=".*visual.*"),
    )
    given = dict(engine.module.named_parameters())
    adapters = {name: parameter for name, parameter in own.named_parameters() if "lora_" in name}
    assert adapters.keys() == {name for name in given if "lora_" in name}
    assert not any("visual" in name for name in adapters)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in adapters.items():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
            given[name].to_local().copy_(parameter)  # of one rank that is all of it
    return own.merge_and_unload()


def build_engine(folder: str, layout: str, *, forward_only: bool = False):
    """An actor's engine, or that of a reference policy, which is only asked for log-probs."""
    from verl.trainer.config import CheckpointConfig
    from verl.workers.config import FSDPEngineConfig, FSDPOptimizerConfig, HFModelConfig
    from verl.workers.engine import EngineRegistry

    from kawhi.verl_plugin.engine import KawhiEngine

    engine = EngineRegistry.new(
        model_type="language_model",
        backend="fsdp2",
        model_config=HFModelConfig(
            path=folder,
            use_remove_padding=layout != "padded",
            enable_gradient_checkpointing=False,
            override_config={"attn_implementation": "sdpa"},
            **({"lora_rank": 8, "lora_alpha": 16, "exclude_modules": ".*visual.*"} if layout == "lora" else {}),
        ),
        engine_config=FSDPEngineConfig(
            strategy="fsdp2",
            fsdp_size=-1,
            forward_only=forward_only,
            use_torch_compile=False,
            use_dynamic_bsz=False,
            mixed_precision={"param_dtype": "fp32", "reduce_dtype": "fp32", "buffer_dtype": "fp32"},
        ),
        optimizer_config=FSDPOptimizerConfig(lr=1e-6, total_training_steps=1),
        checkpoint_config=CheckpointConfig(),
    )
    assert type(engine) is KawhiEngine
    engine.initialize()
    return engine


def check_reference_policy(engine, batch: Batch, model) -> float:
    """Log-probs of a reference policy, which sees the images, too."""
    from verl.workers.utils.padding import response_from_nested

    with engine.eval_mode(), torch.no_grad():
        output = engine.infer_batch(batch.data)["model_output"]
    worst = 0.0
    found = response_from_nested(output["log_probs"], batch.data["responses"]).unbind()
    for row, log_probs in zip(batch.rows, found, strict=True):
        start = len(row["prompt"])
        every = logits_of(model, row, row["pixel_values"])[start - 1 : -1].double().log_softmax(-1)
        worst = max(worst, (log_probs - every.gather(1, row["ids"][start:, None])[:, 0]).abs().max().item())
    return worst


def one_rank(folder: str, family: str, layout: str) -> None:
    """Prints the largest deviation of this rank's part of the batch."""
    packed = layout != "padded"
    global ROPE_INDEX
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from verl.utils import tensordict_utils as tu

    from kawhi.verl_plugin.wire import ALIGNMENT_REQUEST, ALPHA

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    reference = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    ROPE_INDEX = reference.model.get_rope_index
    processor = AutoProcessor.from_pretrained(folder)

    engine = build_engine(folder, layout)
    image_token = reference.config.image_token_id
    if layout == "lora":
        reference = with_adapters(engine, reference)
    found = {}
    for images, lengths, variants in (
        ((1, 1, 1), (9, 9, 9) if rank else (7, 23, 12), VARIANTS),
        ((2, 0, 1), (5, 8, 6), ["paper"]),
        ((0, 0, 0), (5, 8, 6), ["paper"]),
    ):
        batch = make_batch(family, processor, seed=rank, packed=packed, lengths=lengths, images=images)
        for variant in variants:
            tu.assign_non_tensor(batch.data, **{ALIGNMENT_REQUEST: request(variant)})
            with engine.eval_mode(), torch.no_grad():
                output = engine.infer_batch(batch.data)
            alphas, worst = [], 0.0
            for row, alpha in zip(batch.rows, output["model_output"][ALPHA].unbind(), strict=True):
                start = len(row["prompt"])
                assert bool((alpha[:start] == 0).all()), "prompt tokens have no alpha"
                alphas.append(alpha[start:])
                expected = brute_force(reference, row, image_token, variant)
                worst = max(worst, (alpha[start:] - expected).abs().max().item())
            found.setdefault(variant, torch.cat(alphas))
            print(f"rank {rank}/{world} {images} images {variant} deviation {worst:.3e}", flush=True)
        worst = check_other_signals(engine, batch, reference, image_token)
        print(f"rank {rank}/{world} {images} images signals deviation {worst:.3e}", flush=True)
    if layout != "lora":  # whose reference policy is the actor without its adapters
        batch = make_batch(family, processor, seed=rank, packed=packed, lengths=(5, 8, 6), images=(2, 0, 1))
        worst = check_reference_policy(build_engine(folder, layout, forward_only=True), batch, reference)
        print(f"rank {rank}/{world} reference policy deviation {worst:.3e}", flush=True)
    for variant in VARIANTS.keys() - {"paper"}:
        assert not torch.allclose(found[variant], found["paper"], atol=1e-4), variant
    dist.destroy_process_group()
    print("done", flush=True)


def fork_rank(folder: str, family: str, layout: str, rank: int, ranks: int, port: int, log: Path) -> int:
    """A process of its own for one rank; returns its id."""
    if child := os.fork():
        return child
    code = 1
    try:
        with open(log, "wb") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        where = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in where.items()})
        one_rank(folder, family, layout)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def main(root: Path) -> None:
    """Every case of every family of ``root``; the ranks leave ``<family>/<layout>-<ranks>.<rank>.log``.

    They are forked from a process that has imported everything once, which takes longer than their work.
    """
    import verl.workers.engine_workers  # noqa: F401  (the worker module registers our engine only beside it)

    import kawhi.verl_plugin.worker  # noqa: F401

    failed = []
    for folder in sorted(root.iterdir()):
        for layout, ranks in CASES:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            logs = [folder / f"{layout}-{ranks}.{rank}.log" for rank in range(ranks)]
            children = [
                fork_rank(str(folder), folder.name, layout, rank, ranks, port, log) for rank, log in enumerate(logs)
            ]
            ended = [os.waitpid(child, 0)[1] for child in children]
            failed += [log for log, status in zip(logs, ended, strict=True) if status]
    if failed:
        sys.exit(f"failed: {', '.join(map(str, failed))}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
