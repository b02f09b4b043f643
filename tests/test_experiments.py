"""Every table of conf/ at both scales: its cells compose, verl accepts them, no value is lost on the way."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
from omegaconf import OmegaConf

pytest.importorskip("verl", reason="the training extra is not installed")

from verl.trainer.ppo.utils import need_reference_policy
from verl.utils.config import validate_config

from kawhi.base.attention_choice import chosen
from kawhi.base.checkout import resolve_package_paths
from kawhi.base.stage import STAGES, trains
from kawhi.runs.composing import compose_cells, labels
from kawhi.runs.validation import validate
from kawhi.runs.verl_command import leaves, overrides
from tests.cells import CONF, options
from tests.runs.test_verl_command import FILES, in_verl

SCALES = ("cpu", "h200x8")
CELLS = {  # as the papers print them
    "main_table": 17,
    "chart_table": 3,
    "ablation_table": 10,
    "region_selection": 5,
    "selector": 3,
    "skip_ratio": 6,
    "grounding": 4,
    "efficiency": 2,
    "methods": 32,
    "tor_table1": 8,
    "tor_table2": 8,
    "tor_table3": 9,
    "tor_table4": 9,
    "tor_table5": 4,
    "tor_main": 5,
    "controls": 15,
}
TABLES = {name: group for group in ("ablation", "experiment") for name in options(group)}
PAPER = ("qwen2_5_vl_7b", "geo3k", {"math", "ablation"})  # what the ablations' words are at full scale
composed_table = cache(lambda name, scale: compose_cells(CONF, [f"{TABLES[name]}={name}", f"scale={scale}"]))
_CHECKED: set[str] = set()  # what verl sees of a cell: tables share cells, and a method's own options are not verl's


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", TABLES)
def test_its_cells_reach_verl(name, scale):
    cells, rows = composed_table(name, scale)
    # In the tiny world one data set and one small model stand for several.
    assert len(cells) == CELLS.get(name, len(cells)) or (scale == "cpu" and name == "tor_table4")
    for asked, row in zip(cells, rows, strict=True):
        assert asked.table == name
        assert asked.scale.name == scale
        assert asked.study.name in STAGES
        said = dict(override.split("=", 1) for override in row)
        for override in row:  # nothing that the table says is overwritten by what comes later
            key, value = override.split("=", 1)
            if key.startswith(("kawhi.", "steps", "study.", "credit.")):
                assert OmegaConf.select(asked, key) == OmegaConf.create(f"x: {value}").x, override
            elif key in ("model", "algorithm", "credit", "data", "study"):
                called = asked[key].name.replace("-", "_").replace(".", "_")
                assert called == said.get(f"{key}.name", value), override
        validate(asked)
        if trains(asked):
            check(asked)


def check(asked) -> None:
    lines = overrides(asked, **FILES)
    seen = str([line for line in lines if not line.startswith("+kawhi.")])
    if seen in _CHECKED:
        return
    _CHECKED.add(seen)
    composed = in_verl(*lines)
    for block in (asked.verl, asked.verl_added):
        for key, value in leaves(resolve_package_paths(OmegaConf.to_container(block, resolve=True))):
            if key.endswith("attn_implementation"):
                value = chosen(value, asked.scale.device)
            assert OmegaConf.select(composed, key) == value, key
    validate_config(config=composed, use_reference_policy=need_reference_policy(composed), use_critic=False)
    if composed.algorithm.filter_groups.enable:
        sampler = composed.trainer.v1.sampler
        assert sampler.custom_sampler.name == "OrderedReplayBuffer"
        assert sampler.sampler_kwargs.metric == composed.algorithm.filter_groups.metric
        assert composed.reward.reward_kwargs.max_resp_len == composed.data.max_response_length
        assert composed.reward.reward_kwargs.overlong_buffer_cfg.len < composed.data.max_response_length / 2


@pytest.mark.parametrize("name", options("ablation"))
def test_an_ablation_is_of_the_papers_model_and_data_at_full_scale(name):
    cells, rows = composed_table(name, "h200x8")
    model, data, benchmarks = PAPER
    for row in rows:
        assert {f"model={model}", f"data={data}", f"table={name}"} < set(row)
        assert {word.split("=")[1] for word in row if word.startswith("benchmarks=")} <= benchmarks
    told = labels(cells)
    assert len(set(told)) == len(told) == len(rows)


@pytest.mark.parametrize("scale", SCALES)
def test_the_main_table_has_the_gaps_of_the_paper(scale):
    cells, _ = composed_table("main_table", scale)
    rows = Counter(
        (cell.model.name, cell.study.name if cell.study.name == "baseline" else cell.credit.name) for cell in cells
    )
    first, second = list(dict.fromkeys(model for model, _ in rows))
    assert {what: rows[first, what] for what in ("baseline", "step_grpo", "ft_rl", "vppo", "uniform", "kawhi")} == {
        **dict.fromkeys(("baseline", "step_grpo", "ft_rl", "vppo"), 1),
        **dict.fromkeys(("uniform", "kawhi"), 3),
    }
    assert {what: count for (model, what), count in rows.items() if model == second} == {
        "baseline": 1,
        "uniform": 3,
        "kawhi": 3,
    }


def test_appendix_a_at_full_scale():
    """The numbers that the paper prints, through to verl."""
    cells, _ = compose_cells(CONF, ["experiment=main_table", "scale=h200x8", "model=qwen2_5_vl_7b", "credit=kawhi"])
    by_name = {cell.algorithm.name: in_verl(*overrides(cell, **FILES)) for cell in cells}
    for name, batch, response, kl in (
        ("grpo", 512, 2048, 0.01),
        ("gspo", 512, 2048, 0.01),
        ("dapo", 1024, 1024, 0.001),
    ):
        found = by_name[name]
        assert (found.data.train_batch_size, found.data.max_response_length) == (batch, response)
        assert found.actor_rollout_ref.actor.use_kl_loss
        assert found.actor_rollout_ref.actor.kl_loss_coef == kl
        assert found.data.max_prompt_length == 1024
        assert found.actor_rollout_ref.rollout.n == 5
        assert found.actor_rollout_ref.actor.optim.lr == 1e-6
        assert found.trainer.n_gpus_per_node == 8
        assert found.kawhi.alignment.heads == [0, 1, 3, 22, 23, 24, 25, 26, 27]


def test_equations_of_the_paper_or_of_verl():
    (paper,), _ = compose_cells(CONF, ["scale=h200x8", "equations=paper"])
    (verl,), _ = compose_cells(CONF, ["scale=h200x8"])
    exact, stock = (in_verl(*overrides(cell, **FILES)) for cell in (paper, verl))
    assert (exact.algorithm.adv_estimator, stock.algorithm.adv_estimator) == ("grpo_population_std", "grpo")
    modes = [found.actor_rollout_ref.actor.loss_agg_mode for found in (exact, stock)]
    assert modes == ["seq-mean-token-mean", "token-mean"]
    assert exact.actor_rollout_ref.actor.clip_ratio_c > 1e6
    (dapo,), _ = compose_cells(CONF, ["algorithm=dapo", "equations=paper"])
    assert dapo.verl.actor_rollout_ref.actor.loss_agg_mode == "token-mean"
