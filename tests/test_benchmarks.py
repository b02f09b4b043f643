"""The benchmarks measure what they say, and their page says what was measured.  How fast anything is, is not tested."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from unittest.mock import patch

import numpy as np
import pytest
import torch

from benchmarks import gpu_overhead, judge_throughput, passes_cost, report, statistics_cost, status_speed, step_cost
from benchmarks.matrix_form import matrix_alignment
from benchmarks.memory import peak_bytes
from benchmarks.published_models import FAMILIES, build
from benchmarks.races import Race, Session, Target, measured_here
from benchmarks.vocabulary import Vocabulary, responses
from kawhi.credit.alignment import vision_alignment
from kawhi.credit.segments import packed_segments
from kawhi.lab.policy import Policy
from tests.reference.alignment import alignment as literal_alignment

CLAIM = Target("at least 40× faster than slic", "slic", "at_least", 40)


def toy(name: str):
    """A family's own classes and configuration, a thousandth as wide."""
    family = FAMILIES[name]
    narrow = dict(hidden_size=64, intermediate_size=96, num_attention_heads=4, num_key_value_heads=2, vocab_size=300)
    rope = family.text["rope_parameters"] | {"mrope_section": [4, 2, 2]}
    text = family.text | narrow | {"num_hidden_layers": 4, "rope_parameters": rope}
    if "head_dim" in text:
        text["head_dim"] = 16
    vision = family.vision | dict(depth=4, hidden_size=32, num_heads=2, intermediate_size=32, out_hidden_size=64)
    return replace(family, text=text, vision=vision, heads=(0, 1, 3))


@pytest.mark.parametrize("shared", [False, True])
def test_overhead_runs_at_toy_dimensions(family, shared):
    small = toy(family)
    one = gpu_overhead.Pass(build(small, 3, "cpu", shared=shared), small.heads, 12, prompt=20, response=40)
    with torch.no_grad():
        log_probs, alpha = one.log_probs_and_alpha()
        whole = one.model(**one.inputs).logits[0, -41:-1].float().log_softmax(-1)
    torch.testing.assert_close(log_probs, whole.gather(1, one.targets[:, None])[:, 0], atol=0.05, rtol=0)
    assert len(one.visual_rows) == 12
    assert alpha.shape == (40,)
    assert 0 < alpha.abs().max() <= 1
    time, alone, memory = gpu_overhead.measure(small, 3, one, repeats=1, update=not shared)
    assert "3 of 4 layers" in time.setting
    assert not time.targets  # the difference of two passes decides nothing on a processor
    assert ("forward + update" in alone.rivals) is not shared
    assert all(value > 0 for race in (time, alone, memory) for value in (race.kawhi, *race.rivals.values()))


def test_overhead_needs_torch_and_transformers_only():
    # scipy is not in this list: transformers imports it where it is installed.
    foreign = {"verl", "vllm", "ray", "hydra", "omegaconf", "lmms_eval", "cv2", "skimage", "pytest"}
    code = f"import sys, benchmarks.gpu_overhead; print(*sorted(set(sys.modules) & {foreign!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_matrix_form_is_the_same_alignment(dtype):
    generator = torch.Generator().manual_seed(0)
    queries, keys = (torch.randn(n, h, 8, generator=generator).to(dtype) for n, h in ((5, 6), (7, 2)))
    heads = [0, 2, 5]
    alpha = matrix_alignment(queries, keys, heads)
    torch.testing.assert_close(alpha, vision_alignment(queries, keys, heads), atol=1e-6, rtol=0)
    expected = literal_alignment(queries.double().numpy(), keys.double().numpy(), heads)
    np.testing.assert_allclose(alpha.numpy(), expected, atol=1e-6)


def test_peak_memory_counts_what_is_there_at_once():
    kept = torch.zeros(1000)

    def computation():
        first = kept + 1  # 4000 bytes
        second = torch.cat([first, first])  # 8000 more
        del first
        return second * 2  # 8000 more, after 4000 less

    assert 16_000 <= peak_bytes(computation) < 16_500


@pytest.mark.parametrize("paragraphs", [1, 8, 100])
def test_drawn_responses_have_as_many_paragraphs(paragraphs):
    ids = responses(3, 300, paragraphs)
    segments = packed_segments(ids, torch.arange(0, 901, 300), Vocabulary())
    assert (segments.view(3, 300).max(dim=1).values + 1).tolist() == [paragraphs] * 3


@pytest.mark.parametrize(
    ("target", "met", "texts"),
    [
        (CLAIM, False, ("39.0×", "≥ 40×")),
        (replace(CLAIM, limit=39), True, ("39.0×", "≥ 39×")),
        (Target("within 2×", "floor", "at_most", 2), False, ("2.50×", "≤ 2×")),
        (Target("under a tenth", "slic", "at_most", 0.1), True, ("2.56%", "≤ 10%")),
        (Target("under 9 ms", None, "at_most", 9), False, ("10.0 ms", "≤ 9 ms")),
        (Target("almost equal", "nearly", "at_most", 1.005), True, ("1.0010×", "≤ 1.0050×")),
    ],
)
def test_the_table_says_whether_a_target_is_met(target, met, texts):
    race = Race("regions", "chart", "ms", 10, {"slic": 390, "floor": 4, "nearly": 9.99}, [target])
    assert race.meets(target) is met
    row = report.targets([race]).splitlines()[-1]
    assert row == f"| {target.claim} | chart | {texts[0]} | {texts[1]} | {'yes' if met else '**no**'} |"


def test_results_come_back_as_they_were_written(tmp_path):
    race = Race("regions", "chart", "ms", 10, {"slic": 390.5}, [CLAIM])
    written = measured_here("make benchmarks", [race])
    written.save(tmp_path / "results.json")
    assert Session.read(tmp_path / "results.json") == written
    assert written.versions["torch"] == metadata.version("torch")  # of CUDA's build torch itself says +cu130
    assert "slic" in report.block([written])


def test_a_page_without_its_markers_is_refused():
    page = "before <!-- middle: begin, written by benchmarks/report.py -->old<!-- middle: end --> after"
    assert report.fill(page, "middle", "new").split() == page.replace("old", " new ").split()
    with pytest.raises(ValueError, match="the page needs one block"):
        report.fill(page, "overhead", "new")


def test_the_page_shows_the_results_that_are_committed():
    page = report.PAGE.read_text(encoding="utf-8")
    assert report.filled(page) == page


def test_judging_is_measured_from_samples_to_score():
    time, overhead = judge_throughput.measure(number=5, concurrency=2, delay=0.05)
    assert time.rivals == {"ideal": pytest.approx(0.15)}
    assert time.kawhi > 0.15
    assert overhead.kawhi > 0
    assert "5 samples, 50 ms a reply, 2 at once" in time.setting
    assert time.targets == [judge_throughput.WITHIN]
    assert overhead.targets == [judge_throughput.OVERHEAD]


def test_statistics_are_measured_beside_the_mean_and_counted(monkeypatch):
    for name, small in (("PROMPT", 12), ("RESPONSE", 20), ("SELECTED", 8), ("_PROBLEMS", 1), ("_RESPONSES", 2)):
        monkeypatch.setattr(statistics_cost, name, small)
    races = statistics_cost.measure(rounds=1)
    assert {race.section for race in races} == {"statistics", "statistics step", "statistics counted"}
    assert all(race.kawhi > 0 for race in races)
    assert "**A step of the tiny world: alpha of its responses" in report.block([measured_here("it", races)])


def test_a_pass_beside_another_image_is_measured_alone(monkeypatch):
    for name, small in (("_PROBLEMS", 1), ("_RESPONSES", 2), ("LIMIT", 8)):
        monkeypatch.setattr(passes_cost, name, small)
    monkeypatch.setattr(passes_cost, "fewest_seconds", seconds_of_counted_passes)
    races = list(passes_cost.measure("qwen2_5_vl", rounds=1))
    assert [race.kawhi for race in races] == [1000, 1000, 1000]  # of one pass, also where there are two of them
    assert {race.rivals[passes_cost.PASS] for race in races} == {1000}


def seconds_of_counted_passes(contenders, rounds):
    """A second for each time that the model looks at the responses."""
    found = {}
    for name, contender in contenders.items():
        with patch.object(Policy, "logits", autospec=True, side_effect=Policy.logits) as logits:
            contender()
        found[name] = logits.call_count
    return found


def test_counted_operations_are_those_of_the_sizes():
    heads = len(FAMILIES["qwen2_5_vl"].heads)
    mean, largest, mass = (statistics_cost.operations(name, heads) for name in statistics_cost.STATISTICS[:3])
    assert mean < largest / 100 < mass / 200
    one, response = statistics_cost.forward(FAMILIES["qwen2_5_vl"].text), statistics_cost.RESPONSE
    weights = 6_525_288_448 + 3584 * 152_064 * response / (statistics_cost.PROMPT + response)  # of 28 layers, and head
    assert one == pytest.approx(2 * weights * (statistics_cost.PROMPT + response), rel=1e-3)


def test_status_is_measured_beside_its_floor():
    taken = status_speed.measure(10, repeats=1)
    assert next(iter(taken)) == "kawhi status, 10 cells"
    assert all(value > 0 for value in taken.values())


def test_a_process_of_a_step_is_told_by_its_title():
    assert step_cost.kind("ray::vLLMHttpServer.launch_server") == "vLLM's engine core and worker"
    assert step_cost.kind("ray::vLLMHttpServer") == "vLLM's server"
    assert step_cost.kind("ray::IDLE") == "Ray itself, idle workers, driver"
