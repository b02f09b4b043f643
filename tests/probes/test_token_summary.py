"""What rows of tokens are summed up to, against plain counts; then the page and its figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from kawhi.credit.kinds import KINDS, membership
from kawhi.probes.token_figures import FIGURES, draw_all, push_pull_of_models
from kawhi.probes.token_page import PAPER, SEEN, page
from kawhi.probes.token_summary import rank_correlation, summary


def made(prompts: int = 6, group: int = 4, length: int = 25, seed: int = 0, judged: bool = True) -> pd.DataFrame:
    """Rows whose hard groups are uncertain, whose easy ones look at the image, and that look where it matters."""
    rng = np.random.default_rng(seed)
    count = prompts * group * length
    prompt = np.repeat(np.arange(prompts), group * length)
    response = np.tile(np.repeat(np.arange(group), length), prompts)
    hard = prompt < prompts // 2
    frame = pd.DataFrame(
        {
            "prompt": prompt,
            "response": response,
            "position": np.tile(np.arange(length), prompts * group),
            "token": rng.choice(["a", "b|", "\n", "`"], count),
            "reward": np.where(hard, 0.0, response % 2) if judged else np.nan,
            "nucleus_entropy": rng.random(count) + hard,
            "logp_diff": (rng.random(count) + ~hard) * rng.choice([-1, 1], count),
            "alignment": rng.random(count),
            "weight same": 1.0,
        }
    )
    frame["prob_diff"], frame["entropy"] = frame["logp_diff"] / 3, frame["nucleus_entropy"]
    frame["entropy_diff"] = rng.normal(size=count)
    frame["attention_last"] = frame["logp_diff"].abs() + 0.1 * rng.random(count)
    frame["attention_mean"] = rng.random(count)
    frame["weight b alone"] = (frame["token"] == "b|") * 2.0
    frame["weight not b"] = (frame["token"] != "b|") * 1.0
    return frame


def test_kinds_are_the_top_shares_counted_by_hand():
    frame = made()
    found = summary(frame)["kinds"]
    count = round(0.3 * len(frame))
    reasoning = {*frame["nucleus_entropy"].nlargest(count).index}
    perception = {*frame["logp_diff"].abs().nlargest(count).index}
    expected = {
        "reasoning": reasoning - perception,
        "both": reasoning & perception,
        "perception": perception - reasoning,
    }
    for kind, rows in expected.items():
        assert found["tokens"][kind] == pytest.approx(len(rows) / len(frame), abs=1e-6)
        own = frame.loc[[*rows], "weight b alone"].sum() / frame["weight b alone"].sum()
        assert found["weights"]["b alone"][kind] == pytest.approx(own, abs=1e-6)
    assert found["weights"]["same"] == found["tokens"]
    assert found["tied"] is False


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.floats(0.05, 1.0))
def test_equal_tokens_at_the_border_are_in_part_and_all_together_as_many_as_asked_for(values, share):
    found = membership(np.array(values, float), share)
    assert found.sum() == pytest.approx(min(len(values), max(1, int(round(share * len(values), 9) + 0.5))))
    assert ((found >= 0) & (found <= 1)).all()
    for one in set(values):
        assert len({*found[np.array(values) == one].round(9)}) == 1


def test_correlations_are_spearman_s_and_intervals_are_of_responses():
    rng = np.random.default_rng(3)
    first = rng.normal(size=400)
    second = first + rng.normal(size=400)
    found = rank_correlation(first, second, np.repeat(np.arange(40), 10))
    assert found["value"] == pytest.approx(spearmanr(first, second).statistic, abs=1e-6)
    assert found["low"] < found["value"] < found["high"]
    # Ten copies of a token in each response are one token: the interval is that of the tokens without copies.
    copied = [np.repeat(each[:40], 10) for each in (first, second)]
    alone = rank_correlation(first[:40], second[:40], np.arange(40))
    together = rank_correlation(*copied, np.repeat(np.arange(40), 10))
    assert (together["low"], together["high"]) == pytest.approx((alone["low"], alone["high"]), abs=1e-3)
    as_if_apart = rank_correlation(*copied, np.arange(400))
    assert as_if_apart["high"] - as_if_apart["low"] < 0.6 * (alone["high"] - alone["low"])


def test_nothing_correlates_with_what_never_varies():
    assert rank_correlation(np.ones(9), np.arange(9.0), np.arange(9)) is None
    found = summary(made())
    assert found["correlations"]["attention_last"]["weight same"] is None
    assert found["correlations"]["attention_last"]["logp_diff"]["value"] > 0.9
    assert abs(found["correlations"]["attention_mean"]["logp_diff"]["value"]) < 0.2


def test_hard_groups_and_easy_ones_differ_where_they_do():
    found = {own["class"]: own for own in summary(made())["difficulty"]}
    assert [*found] == ["all wrong", "half or more right"]
    hard, easy = found.values()
    assert hard["responses"] == easy["responses"] == 12
    assert hard["tokens"]["reasoning"] > 0.3 > easy["tokens"]["reasoning"]
    assert easy["tokens"]["perception"] > 0.3 > hard["tokens"]["perception"]
    for own in found.values():
        assert sum(own["tokens"][kind] for kind in KINDS) == pytest.approx(1, abs=1e-5)
    assert summary(made())["push_pull"]["correlation"]["value"] < -0.5


def test_methods_agree_as_their_weights_do():
    found = summary(made())["agreement"]
    assert (found["methods"], found["alike"]) == (["b alone", "not b"], ["same"])
    np.testing.assert_allclose(found["correlation"], [[1, -1], [-1, 1]], atol=1e-6)
    words = summary(made())["words"]
    assert words["b alone"][0]["token"] == "b|"
    assert words["same"] == []


def test_without_verdicts_there_is_no_difficulty():
    found = summary(made(judged=False))
    assert (found["right"], found["difficulty"]) == (None, [])
    assert FIGURES["difficulty"]({**found, "group": 4}) is None


def test_the_page_has_the_paper_s_statement_and_what_is_seen_for_every_figure(tmp_path):
    found = {name: {**summary(made(seed=seed)), "group": 4, "tiny": True} for seed, name in enumerate(("one", "two"))}
    drawn = draw_all(found, tmp_path)
    text = page(found, drawn, "drawn", "kawhi tokens")
    assert "Not the paper's model" in text
    assert "Not the paper's" not in page({"one": {**found["one"], "tiny": False}}, drawn, "drawn", "kawhi tokens")
    for figure, statement in PAPER.items():
        assert text.count(statement) == 1
        for name, own in found.items():
            assert f"**{name}.** {SEEN[figure](own)}" in text
            assert f"]({name}/{figure}.png)" in text
    linked = {part.split(")")[0] for part in text.split("](")[1:]}
    assert linked == {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.png")}
    assert "`b¦` " in text


def test_a_figure_that_is_no_longer_drawn_goes(tmp_path):
    found = {**summary(made()), "group": 4, "tiny": True}
    draw_all({"one": found}, tmp_path)
    assert (tmp_path / "one" / "difficulty.png").is_file()
    draw_all({"one": {**found, "difficulty": []}}, tmp_path)
    assert not (tmp_path / "one" / "difficulty.png").exists()


def test_checkpoints_in_their_order_are_one_line():
    found = {str(step): {**summary(made(seed=step)), "group": 4, "tiny": True} for step in range(3)}
    sketch = push_pull_of_models(found)
    assert sketch is not None
    figure = sketch.figure()
    x, y = figure.axes[0].lines[0].get_data()
    assert [*zip(x, y, strict=True)] == [tuple(own["push_pull"]["mean"]) for own in found.values()]
    assert push_pull_of_models({"0": found["0"]}) is None
