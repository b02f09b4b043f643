"""Rows of tokens: each proxy against a plain transcription, and a world in which the image is cut off."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForImageTextToText

from kawhi.base.checkout import configuration_folder
from kawhi.base.errors import CellError
from kawhi.lab.policy import PER_PATCH, Policy, Prompts
from kawhi.lab.study import read_study, row_of
from kawhi.lab.token_rows import ATTENTION, PROXIES, SIGNALS, TokenProbe, weighed
from kawhi.lab.token_run import cells
from kawhi.probes.token_summary import summary
from kawhi.tiny.warm_start import CHECKPOINTS
from tests.lab.made import SHIPPED, cell_of, rollouts_of

FAMILIES = ("qwen2_5_vl", "qwen3_vl")


def probe_of(policy: Policy, family: str, *methods: str) -> TokenProbe:
    study = read_study(configuration_folder() / "lab" / "bench.yaml")
    overrides = [f"model={SHIPPED[family]}", "data=reading"]
    return TokenProbe(policy, *cells([row_of(name) for name in methods], study, overrides))


@pytest.fixture(scope="module", params=FAMILIES)
def scene(request):
    family = request.param
    policy = Policy(CHECKPOINTS / family)
    probe = probe_of(policy, family, "kawhi", "vppo")
    rollouts = rollouts_of(policy, cell_of(family), prompts=2, group=3)
    return family, policy, probe, rollouts, probe(rollouts, 1)


def plainly(family: str, policy: Policy, rollouts, *, black: bool) -> list[dict[str, float]]:
    """Every response by itself in one eager pass, and each number of appendix C by its definition."""
    folder = CHECKPOINTS / family
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    found = []
    for row, (tokens, mask) in enumerate(zip(rollouts.tokens, rollouts.mask, strict=True)):
        item = rollouts.items[row // rollouts.group]
        alone = policy.prompts([item.image], [item.question])
        prompt, response = alone.inputs["input_ids"][0], tokens[mask]
        ids = torch.cat([prompt, response])[None]
        pixels = alone.inputs[PER_PATCH]
        if black:  # every channel of every patch is what the processor makes of black
            images = policy.processor.image_processor
            values = [-mean / std for mean, std in zip(images.image_mean, images.image_std, strict=True)]
            per_channel = pixels.shape[1] // 3
            pixels = torch.cat([torch.full((len(pixels), per_channel), value) for value in values], dim=1)
        inputs = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "mm_token_type_ids": (ids == policy.image_token).int(),
            "image_grid_thw": alone.inputs["image_grid_thw"],
            PER_PATCH: pixels,
        }
        with torch.no_grad():
            out = model(**inputs, output_attentions=True)
        visual = torch.nonzero(ids[0] == policy.image_token)[:, 0]
        for place, token in enumerate(response.tolist()):
            state = len(prompt) + place - 1  # the one that predicts it
            probabilities = out.logits[0, state].double().softmax(dim=-1)
            looks = [layer[0, :, state, visual].sum(dim=-1).mean().item() for layer in out.attentions]
            found.append(
                {
                    "probability": probabilities[token].item(),
                    "entropy": -sum(p * math.log(p) for p in probabilities.tolist() if p > 0),
                    "attention_last": looks[-1],
                    "attention_mean": sum(looks) / len(looks),
                }
            )
    return found


def test_each_proxy_is_what_appendix_c_says(scene):
    family, policy, _, rollouts, rows = scene
    seen, blank = (plainly(family, policy, rollouts, black=black) for black in (False, True))
    expected = pd.DataFrame(
        {
            "logp_diff": math.log(a["probability"]) - math.log(b["probability"]),
            "prob_diff": a["probability"] - b["probability"],
            "entropy_diff": b["entropy"] - a["entropy"],
            "attention_last": a["attention_last"],
            "attention_mean": a["attention_mean"],
            "entropy": a["entropy"],
        }
        for a, b in zip(seen, blank, strict=True)
    )
    for name in expected:
        np.testing.assert_allclose(rows[name], expected[name], atol=2e-4, err_msg=name)
        assert expected[name].std() > 1e-3


def test_a_row_says_whose_a_token_is_and_where_it_stands(scene):
    _, policy, _, rollouts, rows = scene
    assert set(SIGNALS) | {*PROXIES, *ATTENTION} <= set(rows.columns)
    assert len(rows) == int(rollouts.lengths.sum())
    whole = rows.groupby(["prompt", "response"])["token_id"].agg(list)
    assert [policy.tokenizer.decode(ids, skip_special_tokens=True) for ids in whole] == list(rollouts.texts)
    assert (rows["position"] == rows.groupby(["prompt", "response"]).cumcount()).all()
    assert rows["reads"].isin([0, 1]).all()


def test_one_forward_pass_for_each_condition(scene, monkeypatch):
    _, _, probe, rollouts, _ = scene
    passes = []
    plain = Policy.logits
    monkeypatch.setattr(Policy, "logits", lambda self, *given: passes.append(1) or plain(self, *given))
    probe(rollouts, 1)
    assert len(passes) == 3  # true, black, perturbed; all prompts fit into one pass


def test_a_batch_of_fewer_prompts_is_ranked_by_itself(scene):
    _, policy, probe, _, rows = scene
    whole, each = (weighed(rows, probe.methods, policy.tokenizer, prompts) for prompts in (None, 1))
    assert list(whole["token_id"]) == list(each["token_id"])
    np.testing.assert_array_equal(whole["weight kawhi"], each["weight kawhi"])  # a response by itself
    first = each["prompt"] == each["prompt"].iloc[0]
    alone = weighed(rows[first], probe.methods, policy.tokenizer, None)
    np.testing.assert_array_equal(each.loc[first, "weight vppo"], alone["weight vppo"])


def blackened(policy: Policy, prompts: Prompts) -> Prompts:
    """Shows black, whatever the images are."""
    images = policy.processor.image_processor
    black = -torch.tensor(images.image_mean) / torch.tensor(images.image_std)
    pixels = prompts.inputs[PER_PATCH]
    return prompts.showing(black.repeat_interleave(pixels.shape[1] // 3).expand_as(pixels))


def masked(policy: Policy, prompts: Prompts) -> Prompts:
    """No token may attend to those of the image."""
    ids, seen = prompts.inputs["input_ids"], prompts.inputs["attention_mask"]
    inputs = {**prompts.inputs, "attention_mask": seen * (ids != policy.image_token)}
    return Prompts(inputs, prompts.positions, prompts.images)


@pytest.mark.parametrize("cut_off", [blackened, masked])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_world_whose_image_is_cut_off_has_no_differences_and_no_correlations(family, cut_off, monkeypatch):
    policy = Policy(CHECKPOINTS / family)
    probe = probe_of(policy, family, "uniform", "tor", "vppo")
    plain = policy._read_prompts
    monkeypatch.setattr(policy, "_read_prompts", lambda prompts: plain(cut_off(policy, prompts)))
    if cut_off is masked:  # responses see the prompt's mask, too
        repeated = policy._repeated
        monkeypatch.setattr(
            policy, "_repeated", lambda last, prompts, group: repeated(last, masked(policy, prompts), group)
        )
    rollouts = rollouts_of(policy, cell_of(family), prompts=3, group=4)
    rows = weighed(probe(rollouts, 1), probe.methods, policy.tokenizer, None)
    for name in PROXIES:
        assert rows[name].abs().max() < 1e-5  # of numbers of which some are far above 1 where the image is seen
    exact = rows.assign(**{name: rows[name].round(4) for name in PROXIES})
    found = summary(exact)
    for own in found["correlations"].values():
        assert [own[name] for name in PROXIES] == [None] * len(PROXIES)  # nothing varies
    assert found["distributions"]["logp_diff"]["zero"] == 1
    noise = np.random.default_rng(0).normal(size=(len(PROXIES), len(rows))) * 1e-7  # as other kernels leave it
    for own in summary(rows.assign(**dict(zip(PROXIES, noise, strict=True))))["correlations"].values():
        assert all(abs(own[name]["value"]) < 0.15 for name in PROXIES)


def test_methods_that_want_one_signal_in_two_ways_are_refused():
    policy = Policy(CHECKPOINTS / "qwen2_5_vl")
    with pytest.raises(
        CellError, match=r"vppo wants kawhi.signals.perturbed_share=0.5 and .* 0.9: ask for them in two"
    ):
        probe_of(policy, "qwen2_5_vl", "vppo", "vppo:signals.perturbed_share=0.9")


def test_two_alphas_come_from_one_pass(scene):
    family, policy, _, rollouts, rows = scene
    probe = probe_of(policy, family, "kawhi", "kawhi:alignment.statistic=max_cosine")
    found = weighed(probe(rollouts, 1), probe.methods, policy.tokenizer, None)
    pd.testing.assert_series_equal(found["alignment"], rows["alignment"])
    other = found["alignment kawhi:alignment.statistic=max_cosine"]
    assert (other > found["alignment"]).all()
    assert not np.allclose(found["weight kawhi"], found["weight kawhi:alignment.statistic=max_cosine"])
