"""What a GPU must hold, against sums done by hand; and the page that shows them."""

from __future__ import annotations

import pytest
import torch

from benchmarks.published_models import FAMILIES, build
from kawhi.commands.cli import main
from kawhi.runs.memory import ROLLOUT, UPDATE, adapters, memory
from kawhi.runs.memory_view import PAGE, page
from tests.cells import CONF, cell

FULL = ("data=geo3k", "benchmarks=math")
STATE = ("weights", "Adam", "gradients")


def parts(folder, scale: str, model: str = "qwen2_5_vl_7b", *words: str) -> dict[str, float]:
    """GB by name."""
    return {term.name: term.gb for term in held(folder, scale, model, *words).terms}


def held(folder, scale: str, model: str = "qwen2_5_vl_7b", *words: str):
    return memory(cell(folder, f"scale={scale}", f"model={model}", *FULL, *words))


@pytest.mark.parametrize(
    ("scale", "model", "gb"),
    [
        ("h200x8", "qwen2_5_vl_7b", 16.6),
        ("gpu80x4", "qwen2_5_vl_7b", 33.2),
        ("gpu80x8", "qwen3_vl_4b", 8.9),
        ("gpu80x4", "qwen3_vl_4b", 17.8),
    ],
)
def test_the_state_of_a_model_is_16_bytes_for_a_parameter_among_the_gpus(tmp_path, scale, model, gb):
    found = parts(tmp_path, scale, model)
    assert sum(found[name] for name in STATE) == pytest.approx(gb, abs=0.05)


def test_logits_of_24576_tokens(tmp_path):
    found = parts(tmp_path, "h200x8")
    assert found["logits"] == pytest.approx(7.5, abs=0.05)
    assert found["of logits"] == pytest.approx(2 * found["logits"])
    fixed = ("verl.actor_rollout_ref.actor.use_dynamic_bsz=false", *(
        f"+verl.actor_rollout_ref.{of}_per_gpu=2"
        for of in ("actor.ppo_micro_batch_size", "rollout.log_prob_micro_batch_size", "ref.log_prob_micro_batch_size")
    ))  # fmt: skip
    assert parts(tmp_path, "h200x8", "qwen2_5_vl_7b", *fixed)["logits"] == pytest.approx(2 * 3072 * 152064 * 2 / 1e9)


def test_the_base_of_adapters(tmp_path):
    assert parts(tmp_path, "gpu24x1", "qwen2_5_vl_3b")["weights"] == pytest.approx(7.5, abs=0.05)
    bf16 = "verl.actor_rollout_ref.actor.fsdp_config.model_dtype=bf16"
    assert parts(tmp_path, "gpu80x1", "qwen2_5_vl_7b", bf16)["weights"] == pytest.approx(16.6, abs=0.05)
    exact = parts(tmp_path, "gpu80x1")
    assert exact["weights"] == pytest.approx(33.2, abs=0.05)
    assert exact["Adam"] == pytest.approx(2 * exact["adapters"])
    assert "vision encoder" not in exact, "adapters are not in it, so nothing of it is kept"


def test_keys_and_values_of_one_sequence(tmp_path):
    """What a sequence as long as the model was made for takes, and why it is not."""
    for model, longest, gb in (("qwen2_5_vl_7b", 128000, 7.3), ("qwen3_vl_4b", 262144, 38.7)):
        words = (f"verl.actor_rollout_ref.rollout.max_model_len={longest}",)
        found = held(tmp_path, "gpu80x1", model, *words)
        cache = next(term.gb for term in found.terms if term.name == "vLLM's cache")
        assert cache / found.sequences == pytest.approx(gb, abs=0.05)


def test_what_is_offloaded_is_not_there_in_a_rollout(tmp_path):
    found = {term.name: term.when for term in held(tmp_path, "gpu80x4").terms}
    assert found["Adam"] == (UPDATE,)
    assert found["weights"] == (ROLLOUT, UPDATE)
    found = {term.name: term.when for term in held(tmp_path, "gpu24x1", "qwen2_5_vl_3b").terms}
    assert found["weights"] == found["Adam"] == (UPDATE,)


def test_vllm_has_its_share(tmp_path):
    found = parts(tmp_path, "h200x8")
    assert sum(gb for name, gb in found.items() if "vLLM" in name) == pytest.approx(0.6 * 141)


def test_nothing_is_known_of_the_cpu_world(tmp_path):
    assert memory(cell(tmp_path)) is None
    assert memory(cell(tmp_path, "scale=h200x8", "data=geo3k")) is None  # a drawn model


@pytest.mark.parametrize(("model", "family"), [("qwen2_5_vl_7b", "qwen2_5_vl"), ("qwen3_vl_4b", "qwen3_vl")])
def test_sizes_are_those_of_the_published_models(tmp_path, model, family):
    stated = cell(tmp_path, f"model={model}").model.sizes
    text, vision = FAMILIES[family].text, FAMILIES[family].vision
    with torch.device("meta"):
        built = build(FAMILIES[family], text["num_hidden_layers"], "meta")
    assert sum(each.numel() for each in built.parameters()) == stated.parameters
    layer = built.model.language_model.layers[0]
    linear = [each for each in layer.modules() if isinstance(each, torch.nn.Linear)]
    assert adapters(stated, 64) == 64 * stated.layers * sum(each.in_features + each.out_features for each in linear)
    assert layer.self_attn.k_proj.out_features == stated.key_width
    assert (vision["depth"], vision["hidden_size"]) == (stated.vision_layers, stated.vision_hidden)
    assert (text["vocab_size"], text["hidden_size"]) == (stated.vocabulary, stated.hidden)


def test_the_command_prints_a_sum_and_then_refuses(tmp_path, capsys):
    words = ["scale=gpu80x1", "model=qwen2_5_vl_7b", *FULL, *(f"paths.{n}={tmp_path / n}" for n in ("runs", "data"))]
    assert main(["plan", "--memory", *words]) == 0
    shown = capsys.readouterr().out
    assert "weights             33.2    33.2   8.29 B x 4 bytes / 1 GPU\n" in shown
    assert shown.rstrip().endswith("of 80")
    assert main(["plan", "--memory", *words, "~lora"]) == 1
    found = capsys.readouterr()
    assert "sum                138.5   152.4   of 80" in found.out
    assert found.err.startswith("error: scale=gpu80x1 has GPUs of 80 GB, and qwen2.5-vl-7b needs 138.5 of each")
    assert main(["plan", "--memory"]) == 0
    assert "no GPU; a cell takes 4 GiB of the machine" in capsys.readouterr().out


def test_the_page_has_what_the_command_says():
    assert page(PAGE.read_text(), CONF) == PAGE.read_text(), "write it again: python -m kawhi.runs.memory_view"
