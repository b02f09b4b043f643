"""What capture and alignment add to the old-log-prob pass of a model with the paper's real dimensions.

    python benchmarks/gpu_overhead.py --family qwen2_5_vl --json benchmarks/results/overhead-h100-qwen2_5_vl.json
    python benchmarks/gpu_overhead.py --family qwen3_vl --depth 2 --repeats 3        # two decoder layers, on a CPU

Needs torch, transformers and this repository, nothing else.  The weights are random: time does not depend on them.  One
sequence is a prompt of 1,024 tokens, the visual ones included, and a response of 2,048.  All visual tokens count as
selected, the most there can be.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

if not __package__:  # run as a script, perhaps where the repository is not installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from kawhi.wheels import torchvision_shim

torchvision_shim.install()

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from benchmarks.memory import peak_bytes  # noqa: E402
from benchmarks.published_models import FAMILIES, MERGE, Family, build  # noqa: E402
from benchmarks.races import Race, Target, measured_here, processor  # noqa: E402
from kawhi.credit.alignment import packed_alignment  # noqa: E402
from kawhi.models.attention_capture import AttentionCapture  # noqa: E402

PROMPT, RESPONSE = 1024, 2048
_LOGIT_ROWS = 256  # rows of the vocabulary's width that are in memory at once


class Pass:
    """One sequence through the model, with and without alpha."""

    def __init__(self, model: Any, heads: tuple[int, ...], visual: int, prompt: int = PROMPT, response: int = RESPONSE):
        """``visual`` tokens make an image as square as they allow; a prompt too short for them gets longer."""
        config, device = model.config, model.device
        rows = next(r for r in range(int(visual**0.5), 0, -1) if visual % r == 0)
        grid = torch.tensor([[1, MERGE * rows, MERGE * visual // rows]])
        words = max(prompt - visual - 2, 16)
        image = [config.vision_start_token_id, *[config.image_token_id] * visual, config.vision_end_token_id]
        text = torch.randint(0, config.text_config.vocab_size - 4, (words + response,)).tolist()
        ids = torch.tensor([image + text], device=device)
        patch = config.vision_config.patch_size
        self.model, self.heads, self.response = model, heads, response
        self.capture = AttentionCapture(model)
        self.visual_rows = torch.nonzero(ids[0] == config.image_token_id)[:, 0]
        self.response_rows = torch.arange(ids.shape[1] - response, ids.shape[1], device=device)
        self.targets = ids[0, -response:]
        self.inputs = dict(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            mm_token_type_ids=(ids == config.image_token_id).int(),
            pixel_values=torch.randn(int(grid.prod()), 3 * 2 * patch * patch, dtype=model.dtype, device=device),
            image_grid_thw=grid.to(device),
            use_cache=False,
        )

    def log_probs(self) -> Tensor:
        """``(T,)`` of the response tokens, float32; only their logits are computed."""
        states = self.model.model(**self.inputs).last_hidden_state[0, -self.response - 1 : -1]
        parts = []
        for rows, targets in zip(states.split(_LOGIT_ROWS), self.targets.split(_LOGIT_ROWS), strict=True):
            logits = self.model.lm_head(rows).float()
            parts.append(logits.gather(1, targets[:, None])[:, 0] - logits.logsumexp(dim=-1))
        return torch.cat(parts)

    def alpha(self) -> Tensor:
        """``(T,)`` of the response tokens, from the pass that ran while the capture was armed."""
        captured = self.capture.take(self.response_rows, self.visual_rows, heads=self.heads)
        return packed_alignment(
            captured.queries,
            torch.zeros_like(self.response_rows),
            captured.keys,
            torch.zeros_like(self.visual_rows),
            1,
        )

    def log_probs_and_alpha(self) -> tuple[Tensor, Tensor]:
        self.capture.arm()
        return self.log_probs(), self.alpha()

    def update(self) -> None:
        """Forward and backward of a policy update on the same sequence, without gradient checkpointing."""
        with torch.enable_grad():
            self.model.zero_grad(set_to_none=True)
            self.log_probs().mean().neg().backward()


@torch.no_grad()
def measure(family: Family, depth: int, one: Pass, repeats: int, *, update: bool = False, note: str = "") -> list[Race]:
    """The races of one sequence: time, time of the addition alone, memory; with ``update`` also against the update."""
    device = one.model.device.type
    one.log_probs_and_alpha()  # the first pass allocates
    without, armed, alone = [], [], []
    for _ in range(repeats):
        without.append(_timed(one.log_probs, device))
        one.capture.arm()
        armed.append(_timed(one.log_probs, device))
        alone.append(_timed(one.alpha, device))
    memory = {"with": peak_bytes(one.log_probs_and_alpha, device), "without": peak_bytes(one.log_probs, device)}
    median = {"with": _median(map(sum, zip(armed, alone, strict=True))), "forward": _median(without)}
    parts = {"forward": median["forward"]}
    if update:
        parts["forward + update"] = median["forward"] + _timed(one.update, device)
        one.model.zero_grad(set_to_none=True)

    full = family.text["num_hidden_layers"]
    setting = f"{family.name}, {depth} of {full} layers{note}, {len(one.visual_rows):,} visual tokens"
    claim = "capture and alignment below 0.5% of the old-log-prob pass"
    paired = Target(f"{claim} (with / without)", "without", "at_most", 1.005)
    single = Target(f"{claim} (timed alone)", "forward", "at_most", 0.005)
    # Two passes of a processor differ by more than that, so there the difference decides nothing.
    judged = [] if device == "cpu" else [paired]
    return [
        Race("overhead", setting, "ms", median["with"], {"without": median["forward"]}, judged),
        Race("overhead alone", setting, "ms", _median(alone), parts, [single]),
        Race("overhead memory", setting, "MB", memory["with"] / 1e6, {"without": memory["without"] / 1e6}),
    ]


def _timed(work: Callable[[], Any], device: str) -> float:
    """Milliseconds; on a processor its own, to which other work on the machine adds nothing."""
    if device == "cpu":
        clock = time.process_time
    else:
        clock = time.perf_counter
        torch.cuda.synchronize()
    start = clock()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return 1e3 * (clock() - start)


def _median(values: Iterable[float]) -> float:
    return statistics.median(list(values))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--family", choices=sorted(FAMILIES), required=True)
    parser.add_argument("--depth", type=int, help="decoder layers (default: all of the model's)")
    parser.add_argument(
        "--shared", action="store_true", help="one layer's weights for all layers, where memory is short"
    )
    parser.add_argument("--visual", type=int, nargs="+", default=[256, 1024], help="visual tokens (default: 256 1024)")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--update", action="store_true", help="also time forward and backward of a policy update")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    options = parser.parse_args(arguments)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(1)  # of no effect on a GPU
    family = FAMILIES[options.family]
    depth = options.depth or family.text["num_hidden_layers"]
    model = build(family, depth, device, shared=options.shared)
    races = []
    for visual in options.visual:
        one = Pass(model, family.heads, visual)
        note = " with one layer's weights" * options.shared
        races += measure(family, depth, one, options.repeats, update=options.update, note=note)
        for race in races[-3:]:
            others = ", ".join(f"{name} {value:,.2f} {race.unit}" for name, value in race.rivals.items())
            print(f"{race.section}: {race.setting}: {race.kawhi:,.2f} {race.unit}; {others}", flush=True)
    if options.json:
        machine = f"{processor()}, one used" if device == "cpu" else torch.cuda.get_device_name()
        given = " ".join(sys.argv[1:] if arguments is None else arguments)
        measured_here(f"python benchmarks/gpu_overhead.py {given}", races, machine).save(options.json)


if __name__ == "__main__":
    main()
