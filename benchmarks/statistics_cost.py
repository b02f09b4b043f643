"""What the statistics of alpha cost that have no linear form, beside equation 13's mean and beside a training step.

    python benchmarks/statistics_cost.py --json benchmarks/results/statistics.json

On one core: one response of the paper's lengths, and a step of the tiny world's 64 responses, in processor time, the
best of the rounds; and with the dimensions of the published models the operations, counted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, get_args

if not __package__:  # run as a script
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from kawhi.wheels import torchvision_shim

torchvision_shim.install()

import torch  # noqa: E402
from torch import Tensor  # noqa: E402
from transformers import AutoModelForImageTextToText, AutoTokenizer  # noqa: E402

from benchmarks.matrix_form import matrix_alignment  # noqa: E402
from benchmarks.memory import peak_bytes  # noqa: E402
from benchmarks.published_models import FAMILIES, Family  # noqa: E402
from benchmarks.races import Race, Target, fewest_seconds, run_on_one_core  # noqa: E402
from kawhi.credit.alignment import Statistic, attends  # noqa: E402
from kawhi.credit.statistics import Vectors, packed_head_statistic  # noqa: E402
from kawhi.models.attention_capture import AttentionCapture  # noqa: E402
from kawhi.tiny.batching import IGNORE, Batcher  # noqa: E402
from kawhi.tiny.warm_start import CHECKPOINTS  # noqa: E402
from kawhi.tiny.world import problems  # noqa: E402

PROMPT, RESPONSE, SELECTED = 1024, 2048, 1024
WIDTH = 128
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
LINEAR, MATRIX, PASSES, FORWARD = "linear mean", "T × N_s form of the mean", "log-probs + update", "forward pass"
_AROUND_A_SCORE = 8
"""Operations on one score beside its product: scaling, the causal mask, softmax in three passes, the choice."""
_PROBLEMS, _RESPONSES = 8, 8


def one_response(heads: list[int] | None, query_heads: int, key_heads: int, rounds: int) -> Iterator[Race]:
    """Seconds and memory of each statistic of one response; every visual token counts as selected."""
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(RESPONSE, query_heads, WIDTH, generator=generator)
    every = torch.randn(PROMPT + RESPONSE, key_heads, WIDTH, generator=generator)
    position = torch.arange(PROMPT + RESPONSE)
    chosen = position < SELECTED

    def of(statistic: Statistic) -> Callable[[], Tensor]:
        rows = position if attends(statistic) else position[:SELECTED]
        asking = Vectors(queries, torch.zeros(RESPONSE, dtype=torch.long), position[PROMPT:])
        keys = Vectors(every[: len(rows)], torch.zeros_like(rows), rows)
        selected = chosen if attends(statistic) else None
        return lambda: packed_head_statistic(statistic, asking, keys, 1, heads, selected=selected).mean(dim=1)

    contenders: dict[str, Callable[[], Any]] = {statistic: of(statistic) for statistic in STATISTICS}
    contenders[MATRIX] = lambda: matrix_alignment(queries, every[:SELECTED], heads or range(query_heads))
    seconds = fewest_seconds(contenders, rounds)
    setting = f"{len(heads or range(query_heads))} of {query_heads} heads"
    for statistic in STATISTICS:
        rivals = {LINEAR: 1e3 * seconds["mean_cosine"], MATRIX: 1e3 * seconds[MATRIX]}
        yield Race("statistics", f"{statistic}, {setting}", "ms", 1e3 * seconds[statistic], rivals)
    for statistic in STATISTICS:
        rivals = {MATRIX: peak_bytes(contenders[MATRIX]) / 1e6}
        yield Race("statistics", f"{statistic}, {setting}", "MB", peak_bytes(contenders[statistic]) / 1e6, rivals)


def tiny_step(family: Any, rounds: int) -> Iterator[Race]:
    """Seconds of each statistic of a step's responses, beside the two passes over them that a step has anyway."""
    model = AutoModelForImageTextToText.from_pretrained(CHECKPOINTS / family, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINTS / family)
    chosen = [problem for problem in islice(problems("train", seed=0), _PROBLEMS) for _ in range(_RESPONSES)]
    inputs, labels = Batcher(family, tokenizer).supervised(chosen, [problem.worked for problem in chosen])
    real = torch.nonzero(inputs["attention_mask"].flatten())[:, 0]
    asking = torch.nonzero((labels != IGNORE).flatten())[:, 0]
    visual = torch.nonzero(inputs["mm_token_type_ids"].flatten())[:, 0]
    owner = torch.arange(len(chosen)).repeat_interleave(labels.shape[1])
    capture = AttentionCapture(model)
    with torch.no_grad():
        capture.arm()
        model(**inputs)
    seen = capture.seen

    def passes() -> None:
        with torch.no_grad():
            model(**inputs)
        model(**inputs, labels=labels).loss.backward()
        model.zero_grad(set_to_none=True)

    def of(statistic: Statistic) -> Callable[[], Any]:
        def alpha() -> Tensor:
            capture.seen = seen  # of the pass that runs anyway
            rows = real if attends(statistic) else visual
            taken = capture.take(asking, rows, heads=[1, 2])
            keys = Vectors(taken.keys, owner[rows], rows)
            selected = torch.isin(rows, visual) if attends(statistic) else None
            own = Vectors(taken.queries, owner[asking], asking)
            return packed_head_statistic(statistic, own, keys, len(chosen), selected=selected).mean(dim=1)

        return alpha

    seconds = fewest_seconds({**{statistic: of(statistic) for statistic in STATISTICS}, PASSES: passes}, rounds)
    share = Target("a statistic below 3% of the passes of a CPU step", PASSES, "at_most", 0.03)
    for statistic in STATISTICS:
        setting = f"{statistic}, tiny {FAMILIES[family].name.rsplit('-', 1)[0]}, {len(chosen)} responses"
        yield Race("statistics step", setting, "ms", 1e3 * seconds[statistic], {PASSES: 1e3 * seconds[PASSES]}, [share])


def counted(family: Family) -> Iterator[Race]:
    """Operations of each statistic of one response, and of the forward pass that it rides on."""
    text = family.text
    total = text["num_attention_heads"]
    target = Target("a statistic below 0.5% of a forward pass (operations counted)", FORWARD, "at_most", 0.005)
    for heads in (len(family.heads), total):
        for statistic in STATISTICS:
            setting = f"{statistic}, {family.name}, {heads} of {total} heads"
            ours = operations(statistic, heads) / 1e9
            yield Race("statistics counted", setting, "10⁹ op.", ours, {FORWARD: forward(text) / 1e9}, [target])


def operations(statistic: Statistic, heads: int) -> float:
    """Of one response: twice the multiplications, and what is done to each score."""
    if statistic == "mean_cosine":
        return heads * 4 * WIDTH * (RESPONSE + SELECTED)  # the dot product or the sum, and the length, of each vector
    keys = PROMPT + RESPONSE if attends(statistic) else SELECTED
    return heads * RESPONSE * keys * (2 * WIDTH + (_AROUND_A_SCORE if attends(statistic) else 1))


def forward(text: dict[str, Any]) -> float:
    """Of the decoder's and the head's matrices; without attention, normalisation and the vision encoder."""
    hidden, width = text["hidden_size"], text.get("head_dim", WIDTH)
    queries, keys = width * text["num_attention_heads"], width * text["num_key_value_heads"]
    layer = hidden * (2 * queries + 2 * keys + 3 * text["intermediate_size"])
    whole = text["num_hidden_layers"] * layer * (PROMPT + RESPONSE)
    return 2 * (whole + hidden * text["vocab_size"] * RESPONSE)


def measure(rounds: int) -> list[Race]:
    """All races."""
    first = FAMILIES["qwen2_5_vl"]
    sizes = first.text["num_attention_heads"], first.text["num_key_value_heads"]
    races = [race for heads in ([*first.heads], None) for race in one_response(heads, *sizes, rounds)]
    for name, family in FAMILIES.items():
        races += [*tiny_step(name, rounds), *counted(family)]
    return races


if __name__ == "__main__":
    run_on_one_core(__doc__ or "", measure)
