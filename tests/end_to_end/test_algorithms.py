"""What only a whole run shows: dynamic sampling that stops, and two ranks."""

from __future__ import annotations

import json

import pytest

from .conftest import SMALL

pytestmark = pytest.mark.slow

TRAINED = tuple(override for override in SMALL if not override.startswith(("benchmarks", "evaluation")))
ALL_SIGNALS = (  # one method of every signal; shares of 1 keep the product from being 0
    "credit=kawhi",
    "credit.name=everything",
    "+kawhi.also.vppo={keep: 1.0, scale_min: 0.9}",
    "+kawhi.also.ft_rl={keep: 1.0, scope: batch}",
    "+kawhi.also.tor={reasoning_share: 0.5, perception_share: 1.0, reasoning_weight: 1.0, perception_weight: 0.5, "
    "proxy: logp, types: both}",
    "+kawhi.signals={nucleus_p: 0.95, perturbed_share: 0.5, seed: 0}",
)


def test_dynamic_sampling_that_finds_nothing_stops_with_a_sentence(workspace):
    reward = workspace.folder / "never.py"
    reward.write_text(
        "def compute_score(data_source, solution_str, ground_truth, extra_info=None, **_):\n"
        "    return {'score': 0.0, 'acc': 0.0}\n"
    )
    done = workspace.run(
        "algorithm=dapo",
        "credit=uniform",
        "study=timing",
        *TRAINED,
        f"verl.reward.custom_reward_function.path={reward}",
        "verl.algorithm.filter_groups.max_num_gen_batches=2",
        code=None,
    )
    assert done.returncode not in (0, 75)
    assert "dynamic sampling tried 16 prompts in step 1 and found 0 of the 8 groups" in done.stderr
    assert "(16 with 0 throughout)" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_method_s_own_loss_is_that_of_the_responses_in_the_real_actor(workspace):
    """The penalty on entropy alone, of an update on what was just sampled, is what verl calls the log-perplexity."""
    workspace.run(
        "credit=papo",
        "kawhi.options.perception=0.0",
        "kawhi.options.entropy=1.0",
        "equations=paper",
        "study=timing",
        *TRAINED,
        "steps=1",
    )
    (file,) = (workspace.folder / "runs").glob("*/*/train/metrics.jsonl")
    metrics = json.loads(file.read_text())
    assert metrics["actor/kawhi_added_loss"] == pytest.approx(metrics["rollout_corr/training_log_ppl"], rel=1e-5)
    assert metrics["kawhi/weight/std"] == 0


def test_weights_on_two_ranks_are_those_on_one(workspace):
    """Also that a batch is reproducible although its rows are dealt out to the ranks."""
    ranks = {
        1: (),
        2: ("verl.trainer.n_gpus_per_node=2", "verl_added.ray_kwargs.ray_init.num_gpus=2", "table=two_ranks"),
    }
    found = {}
    for count, own in ranks.items():
        workspace.run(*ALL_SIGNALS, "study=timing", *TRAINED, "steps=1", *own)
        (steps,) = (workspace.folder / "runs").glob(
            f"{'two_ranks' if count == 2 else 'none'}/*/train/steps/000001.json"
        )
        found[count] = {
            (prompt["index"], tuple(response["token_ids"])): response["weights"]
            for prompt in json.loads(steps.read_text())["prompts"]
            for response in prompt["responses"]
        }
    assert found[1].keys() == found[2].keys()
    for key, weights in found[1].items():
        assert found[2][key] == pytest.approx(weights, abs=2e-6)  # they are written with six decimals
    flat = [weight for weights in found[1].values() for weight in weights]
    assert len(set(flat)) > 10
    assert min(flat) > 0
