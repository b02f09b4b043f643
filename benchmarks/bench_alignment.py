"""Equation 13 in linear form against the matrix of response tokens times visual tokens."""

from __future__ import annotations

import time

import pytest
import torch

from benchmarks.matrix_form import matrix_alignment
from benchmarks.memory import peak_bytes
from benchmarks.races import Race, Target
from kawhi.credit.alignment import packed_alignment

# The paper's lengths and heads on Qwen2.5-VL-7B's attention: 28 query heads, 4 key heads.
RESPONSE, SELECTED, WIDTH, QUERY_HEADS, KEY_HEADS = 2048, 1024, 128, 28, 4
HEADS = [0, 1, 3, 22, 23, 24, 25, 26, 27]
MATRIX = "T × N_s form"
FASTER = Target("alignment at least 30× faster than the T × N_s form", MATRIX, "at_least", 30)
SMALLER = Target("alignment with under a tenth of the T × N_s form's memory", MATRIX, "at_most", 0.1)


def vectors(responses: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(responses * RESPONSE, QUERY_HEADS, WIDTH, generator=generator)
    keys = torch.randn(responses * SELECTED, KEY_HEADS, WIDTH, generator=generator)
    return queries.to(dtype), keys.to(dtype)


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.benchmark(timer=time.perf_counter))])
@pytest.mark.parametrize("responses", [1, 8])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=["bfloat16", "float32"])
def test_alignment(race, publish, dtype, responses, threads):
    torch.set_num_threads(threads)
    queries, keys = vectors(responses, dtype)
    number = torch.arange(responses)
    query_sequence, key_sequence = number.repeat_interleave(RESPONSE), number.repeat_interleave(SELECTED)

    def linear() -> torch.Tensor:
        return packed_alignment(queries, query_sequence, keys, key_sequence, responses, HEADS)

    def matrix() -> torch.Tensor:
        parts = zip(queries.split(RESPONSE), keys.split(SELECTED), strict=True)
        return torch.cat([matrix_alignment(q, k, HEADS) for q, k in parts])

    torch.testing.assert_close(linear(), matrix(), atol=1e-7, rtol=0)
    kawhi, rivals = race(linear, {MATRIX: matrix}, rounds=20 if responses == 1 else 6)
    name = str(dtype).removeprefix("torch.")
    setting = f"{name}, {responses} response{'s packed' * (responses > 1)}, {threads} thread{'s' * (threads > 1)}"
    decides = responses == threads == 1
    milliseconds = {MATRIX: 1e3 * rivals[MATRIX]}
    publish(Race("alignment", setting, "ms", 1e3 * kawhi, milliseconds, [FASTER] if decides else ()))
    if threads == 1:
        megabytes = {MATRIX: peak_bytes(matrix) / 1e6}
        publish(Race("alignment", setting, "MB", peak_bytes(linear) / 1e6, megabytes, [SMALLER] if decides else ()))
