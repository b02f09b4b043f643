"""The examples run as their pages say, and their weights are those of a training through verl."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO

import pytest
import torch
from omegaconf import OmegaConf

import kawhi
from kawhi.lab.policy import Policy
from kawhi.lab.rollouts import Item, Rollouts
from kawhi.lab.signals import Gatherer
from kawhi.tiny.warm_start import CHECKPOINTS
from tests.cells import ROOT
from tests.lab.made import cell_of, rollouts_of

EXAMPLES = ROOT / "examples"


@pytest.fixture
def beside(monkeypatch):
    """As a script of the folder is run."""
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.chdir(EXAMPLES)


def weights_through_verl(policy: Policy, cell, rollouts: Rollouts, step: int) -> torch.Tensor:
    """``(S,)`` by the lab, which ``tests/lab/test_engine.py`` holds equal to verl's own engine with the plug-in."""
    from kawhi.credit.methods import configured

    own = OmegaConf.to_container(cell.kawhi, resolve=True)
    method = configured(own)
    _, signals = Gatherer(policy, own, method.needs)(rollouts, step, ())
    return method.weights(rollouts.batch(policy.tokenizer, signals, rollouts.rewards))


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_the_library_gives_the_weights_of_a_training_through_verl(family):
    """Of the same responses, with nothing but a model of transformers and the configuration's heads."""
    cell, step = cell_of(family, "credit=kawhi"), 3
    policy = Policy(CHECKPOINTS / family)
    rollouts = rollouts_of(policy, cell, prompts=3)
    group, mask = rollouts.group, rollouts.mask
    prompts = {name: x for name, x in rollouts.prompts.inputs.items() if name != "pixel_values"}
    prompts = {name: x.repeat_interleave(group, dim=0) for name, x in prompts.items()}
    patches = rollouts.prompts.inputs["pixel_values"].split(
        rollouts.prompts.inputs["image_grid_thw"].prod(dim=1).tolist()
    )
    ids = torch.cat([prompts["input_ids"], rollouts.tokens], dim=1)
    with torch.no_grad(), kawhi.capture(policy.model, heads=list(cell.model.critical_heads)) as seen:
        policy.model(
            input_ids=ids,
            attention_mask=torch.cat([prompts["attention_mask"], mask.long()], dim=1),
            mm_token_type_ids=(ids == policy.image_token).int(),
            pixel_values=torch.cat([each for each in patches for _ in range(group)]),
            image_grid_thw=prompts["image_grid_thw"],
        )
    selected = [
        kawhi.select_visual_tokens(item.image, policy.processor, seed=kawhi.stable_seed(0, item.index, step))
        for item in rollouts.items
        for _ in range(group)
    ]
    alpha = seen.alpha(mask, selected)
    segments = kawhi.padded_segments(rollouts.tokens, mask, policy.tokenizer)
    found = kawhi.padded_paragraph_weights(alpha, segments, mask)[mask]
    expected = weights_through_verl(policy, cell, rollouts, step)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert float(found.std()) > 0.05


def test_plain_transformers():
    done = subprocess.run(
        [sys.executable, "plain_transformers.py"],
        cwd=EXAMPLES,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        low, high, loss = map(float, re.search(r"weights from ([\d.]+) to ([\d.]+), loss ([-+\d.]+)$", line).groups())
        assert 0.1 <= low < high <= 1.0
        assert loss != 0


def test_the_notebook(beside):
    """Each cell in its order; what a cell's last line has is looked at, too."""
    notebook = json.loads((EXAMPLES / "credit_in_your_trainer.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], len({cell["id"] for cell in notebook["cells"]})) == (4, len(notebook["cells"]))
    names: dict = {}
    printed, values = StringIO(), []
    with redirect_stdout(printed):
        for cell in notebook["cells"]:
            if cell["cell_type"] != "code":
                continue
            assert cell["outputs"] == []  # what is committed is the code
            *before, last = (source := "".join(cell["source"])).splitlines()
            exec(compile(source, cell["id"], "exec"), names)
            if re.fullmatch(r"[\w.]+ == [\w.]+|torch\.equal\(.*\)", last) and before:
                values.append(eval(last, names))
    assert values == [True, True]
    assert re.findall(r"^0\.\d\d  \S", printed.getvalue(), re.MULTILINE)
    assert "of 36 tokens" in printed.getvalue()


TRL = ROOT / "build" / "examples"
"""A folder of its own, because verl cannot load a model where trl can be imported."""


def watched(example, model, seen: list, **options):
    """A trainer that keeps what each step made of its rows, with the policy that it was made by."""

    class Watched(example.KawhiGRPOTrainer):
        def _generate_and_score_completions(self, inputs):
            policy = {name: weight.clone() for name, weight in self.model.state_dict().items()}
            batch = super()._generate_and_score_completions(inputs)
            seen.append((policy, inputs, batch, self.state.global_step, self.weights))
            return batch

    return Watched(str(model), reward_funcs=example.reward, train_dataset=example.data(8), **options)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_trl_trains_with_the_weights_of_a_training_through_verl(request, beside, tmp_path, monkeypatch, family):
    if find_spec("trl") is None:
        if not TRL.is_dir():
            pytest.skip("trl is not installed: type make examples")
        tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", f"{ROOT}/{request.node.nodeid}"]
        within = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(TRL)])}
        done = subprocess.run(tests, cwd=ROOT, env=within, capture_output=True, text=True, timeout=900)
        assert "1 passed" in done.stdout, done.stdout[-3000:] + done.stderr[-1000:]
        return
    import drawn_problems
    import trl_grpo as example

    seen: list = []

    cell = cell_of(family, "credit=kawhi")
    monkeypatch.setattr(drawn_problems, "SIDE", int(cell.model.image_size))
    model, policy = CHECKPOINTS / family, Policy(CHECKPOINTS / family)
    settings = example.settings(
        str(tmp_path), num_generations=8, per_device_train_batch_size=8, learning_rate=1e-3, disable_tqdm=True
    )
    heads = list(cell.model.critical_heads)
    trainer = watched(example, model, seen, heads=heads, args=settings)
    trainer.train()
    steps = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert [entry["step"] for entry in steps] == [1, 2]
    assert any(float(entry["grad_norm"]) > 0 for entry in steps)
    trained = dict(trainer.model.named_parameters())
    untouched = dict(policy.model.named_parameters())
    assert any(not torch.equal(weight, untouched[name]) for name, weight in trained.items())

    assert [step for *_, step, _ in seen] == [0, 1]
    for own, inputs, batch, step, weights in seen:
        policy.model.load_state_dict(own)
        mask = batch["completion_mask"].bool()
        firsts = inputs[:: settings.num_generations]
        items = [Item(row["index"], row["image"], row["prompt"][0]["content"], row["answer"], None) for row in firsts]
        images = [item.image for item in items]
        prompts = policy.prompts(images, [item.question for item in items])
        count = len(mask)
        rollouts = Rollouts(
            items, prompts, batch["completion_ids"], mask, [""] * count, torch.ones(count).bool(), torch.ones(count)
        )
        expected = weights_through_verl(policy, cell, rollouts, step)
        torch.testing.assert_close(weights[mask], expected, atol=1e-6, rtol=0)
        assert float(weights[mask].std()) > 0.01
        assert bool((weights[~mask] == 0).all())
        spread = batch["advantages"] / weights.where(mask, torch.ones(()))
        for row, its in zip(spread, mask, strict=True):  # one advantage for each response, times the weights
            assert float(row[its].std(unbiased=False)) < 1e-5
