"""What one GPU of a cell must hold, by arithmetic: no GPU and no checkpoint is looked at.

A GPU has two things to do in turn.  In a *rollout* vLLM works beside what the actor leaves there; in an *update* vLLM
sleeps, and its memory is the actor's.  Passes without gradients need less than an update, the reference's of a KL loss,
too: verl keeps its weights on the CPU.  GB are 10^9 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kawhi.base.errors import CellError
from kawhi.runs.model_settings import PATCH
from kawhi.runs.training_settings import BUDGETS, FIXED, of_all
from kawhi.runs.verl_settings import settings

ROLLOUT, UPDATE = "rollout", "update"
BOTH = (ROLLOUT, UPDATE)
WIDTH = {"fp32": 4, "bf16": 2, "fp16": 2, "float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of a number, by verl's names and vLLM's; 4 where neither says."""
OTHERS_GB = 3.0
"""Our choice: CUDA contexts of actor and vLLM, NCCL's buffers, CUDA graphs, and what allocators cannot use."""
PATCHES = 4
"""Of a visual token, in every family."""
_GB = 1e9


@dataclass(frozen=True)
class Term:
    """A part of what a GPU holds.

    Attributes:
        name: of the part.
        gb: its size on one GPU.
        formula: how that comes about, with its numbers.
        when: of ``ROLLOUT`` and ``UPDATE``.
    """

    name: str
    gb: float
    formula: str
    when: tuple[str, ...]


@dataclass(frozen=True)
class Memory:
    """What a GPU of a cell must hold.

    Attributes:
        gpu_gb: what it has.
        terms: part by part.
        sequences: of full length, for which vLLM's share has room; below 1 it does not start.
    """

    gpu_gb: float
    terms: tuple[Term, ...]
    sequences: float

    def total(self, when: str) -> float:
        """GB in use while a GPU does the one or the other."""
        return sum(term.gb for term in self.terms if when in term.when)


@dataclass(frozen=True)
class _Cell:
    """The numbers of a cell that the sums depend on.

    Attributes:
        sizes: ``model.sizes``.
        verl: ``actor_rollout_ref`` of what verl would see.
        gpus: among which a model is sharded.
        gpu_gb: of each.
        tokens: of a micro-batch.
        visual: those of them that images have, in a batch of whole prompts with nothing but images.
        adapters: their parameters; 0 where all weights are trained.
        side: of a visual token, in pixels.
    """

    sizes: Any
    verl: Any
    gpus: int
    gpu_gb: float
    tokens: int
    visual: int
    adapters: int
    side: int

    @property
    def trained(self) -> int:
        return self.adapters or self.sizes.parameters

    @property
    def width(self) -> int:
        """Bytes of a weight; adapters, gradients and Adam's state have the same."""
        return WIDTH.get(self.verl.actor.fsdp_config.model_dtype, 4)


def memory(cell: DictConfig) -> Memory | None:
    """The sums of a cell that trains; ``None`` at a scale without GPUs, and of a model without ``model.sizes``."""
    if cell.scale.device == "cpu" or "gpu_gb" not in cell.scale or not cell.model.get("sizes"):
        return None
    asked = _asked(cell)
    share, sequences = _vllm(asked)
    others = Term("others", OTHERS_GB, "CUDA contexts, NCCL, CUDA graphs, what allocators cannot use", BOTH)
    return Memory(asked.gpu_gb, (*_state(asked), *_work(asked), *share, others), sequences)


def _asked(cell: DictConfig) -> _Cell:
    found, sizes = settings(cell), cell.model.sizes
    verl = found.actor_rollout_ref
    longest = found.data.max_prompt_length + found.data.max_response_length
    if verl.actor.use_dynamic_bsz:
        tokens = max(of_all(cell, BUDGETS).values())
    else:
        tokens = longest * max(of_all(cell, FIXED).values())
    return _Cell(
        sizes=sizes,
        verl=verl,
        gpus=found.trainer.n_gpus_per_node * found.trainer.nnodes,
        gpu_gb=cell.scale.gpu_gb,
        tokens=tokens,
        visual=tokens * found.data.max_prompt_length // longest,
        adapters=adapters(sizes, verl.model.lora_rank),
        side=2 * PATCH[cell.model.family],
    )


def adapters(sizes: Any, rank: int) -> int:
    """Parameters of adapters beside the language model's linear layers: rank x (what goes in + what comes out)."""
    attention = 2 * (sizes.hidden + sizes.query_width) + 2 * (sizes.hidden + sizes.key_width)
    return rank * sizes.layers * (attention + 3 * (sizes.hidden + sizes.intermediate))


def _state(its: _Cell) -> Iterator[Term]:
    """Weights, Adam's two means and gradients, sharded over all GPUs."""
    fsdp, width = its.verl.actor.fsdp_config, its.width
    among = f"/ {its.gpus} GPU{'s' * (its.gpus > 1)}"
    sizes = its.sizes
    here = (UPDATE,) if fsdp.param_offload else BOTH
    said = f"{_billions(sizes.parameters)} x {width} bytes {among}{_offloaded(fsdp.param_offload)}"
    yield Term("weights", sizes.parameters * width / its.gpus / _GB, said, here)
    if its.adapters:
        said = f"{_billions(its.adapters)} of rank {its.verl.model.lora_rank} x {width} bytes {among}"
        yield Term("adapters", its.adapters * width / its.gpus / _GB, said, here)
    said = f"{_billions(its.trained)} x 2 x {width} bytes {among}{_offloaded(fsdp.optimizer_offload)}"
    here = (UPDATE,) if fsdp.optimizer_offload else BOTH
    yield Term("Adam", 2 * its.trained * width / its.gpus / _GB, said, here)
    said = f"{_billions(its.trained)} x {width} bytes {among}"
    yield Term("gradients", its.trained * width / its.gpus / _GB, said, (UPDATE,))


def _offloaded(offloaded: bool) -> str:
    return "; on the CPU during a rollout" if offloaded else ""


def _work(its: _Cell) -> Iterator[Term]:
    """What a forward and a backward pass of one micro-batch hold beside the state."""
    sizes, full = its.sizes, not its.adapters
    # The largest unit that FSDP gathers: in bf16, and of what is trained its gradient, too, also in fp32 to be summed.
    each = 2 + (2 + 4) * full
    said = f"{sizes.vocabulary:,} words x {sizes.hidden:,} x {each} bytes"
    yield Term("gathered weights", sizes.vocabulary * sizes.hidden * each / _GB, said, (UPDATE,))
    one, kept = _layer(its), sizes.hidden * 2
    checkpointed = its.verl.model.enable_gradient_checkpointing
    if checkpointed:
        said = f"{its.tokens:,} tokens x {sizes.layers} layers x {sizes.hidden:,} x 2 bytes"
        yield Term("layers' inputs", its.tokens * sizes.layers * kept / _GB, said, (UPDATE,))
    layers = 1 if checkpointed else sizes.layers
    said = f"{its.tokens:,} tokens x {layers} x (8 x {sizes.hidden:,} + 6 x {sizes.intermediate:,}) x 2 bytes"
    yield Term("layers at work", its.tokens * layers * one / _GB, said, (UPDATE,))
    if full:
        said = (
            f"{its.visual:,} visual tokens x {PATCHES} patches x {sizes.vision_layers} layers x "
            f"{sizes.vision_hidden:,} x 2 bytes"
        )
        size = its.visual * PATCHES * sizes.vision_layers * sizes.vision_hidden * 2 / _GB
        yield Term("vision encoder", size, said, (UPDATE,))
    logits = its.tokens * sizes.vocabulary * 2 / _GB
    said = f"{its.tokens:,} tokens x {sizes.vocabulary:,} words x 2 bytes"
    yield Term("logits", logits, said, (UPDATE,))
    yield Term("of logits", 2 * logits, "their log-softmax and their gradient, each as large", (UPDATE,))


def _layer(its: _Cell) -> int:
    """Bytes of one token in one layer: attention and MLP, what they keep for the backward pass and its gradients."""
    return (8 * its.sizes.hidden + 6 * its.sizes.intermediate) * 2


def _vllm(its: _Cell) -> tuple[list[Term], float]:
    """vLLM's share of a GPU, divided as vLLM does: what is left of it is its cache."""
    sizes, rollout = its.sizes, its.verl.rollout
    split, share = rollout.tensor_model_parallel_size, rollout.gpu_memory_utilization
    width = WIDTH.get(rollout.dtype, 4)
    weights = (sizes.parameters + its.adapters) * width / split / _GB
    batch = rollout.max_num_batched_tokens * (4 * sizes.hidden + 3 * sizes.intermediate) * 2 / split
    samples = rollout.max_num_seqs * sizes.vocabulary * 4 * 2
    image = _largest_image(its) * PATCHES * sizes.vision_hidden * 14 * 2
    work = (batch + samples + image) / _GB
    cache = share * its.gpu_gb - weights - work
    one = 2 * sizes.layers * sizes.key_width * width * rollout.max_model_len / split / _GB
    formulas = [
        f"{_billions(sizes.parameters + its.adapters)} x {width} bytes / {split}",
        f"{rollout.max_num_batched_tokens:,} tokens of a layer, {rollout.max_num_seqs} tokens' logits, an image of "
        f"{_largest_image(its):,} tokens",
        f"{share:g} x {its.gpu_gb:g} GB less both: {max(0.0, cache / one):.0f} sequences of {rollout.max_model_len:,} "
        f"tokens x 2 x {sizes.layers} layers x {sizes.key_width:,} x {width} bytes / {split}; "
        f"{rollout.max_num_seqs} at most at once",
    ]
    names, values = ("vLLM's weights", "vLLM at work", "vLLM's cache"), (weights, work, cache)
    return [Term(*each, (ROLLOUT,)) for each in zip(names, values, formulas, strict=True)], cache / one


def _largest_image(its: _Cell) -> int:
    """Tokens of the image with which vLLM tries how much memory its encoder takes."""
    given = OmegaConf.select(its.verl, "rollout.engine_kwargs.vllm.mm_processor_kwargs.max_pixels")
    return min(its.sizes.image_tokens, given // its.side**2) if given else its.sizes.image_tokens


def _billions(count: int) -> str:
    return f"{count / 1e9:.3g} B"


def validate_memory(cell: DictConfig) -> None:
    """Raises:
    CellError: a cell that no GPU of its scale could hold.
    """
    found = memory(cell)
    if found is None:
        return
    said = f"scale={cell.scale.name} has GPUs of {found.gpu_gb:g} GB, and {cell.model.name}"
    for when in BOTH:
        if (total := found.total(when)) > found.gpu_gb:
            parts = sorted((term for term in found.terms if when in term.when), key=lambda term: -term.gb)[:3]
            largest = ", ".join(f"{term.name} {term.gb:.1f}" for term in parts)
            instead = "" if cell.verl.actor_rollout_ref.model.get("lora_rank") else "lora=r64, "
            raise CellError(
                f"{said} needs {total:.1f} of each in its {when} ({largest}, ...): choose {instead}a smaller model or "
                "a larger scale; `kawhi plan --memory` has the sum"
            )
    if found.sequences < 1:
        raise CellError(
            f"{said} leaves vLLM no room for one sequence in its share: raise "
            "verl.actor_rollout_ref.rollout.gpu_memory_utilization; `kawhi plan --memory` has the sum"
        )
