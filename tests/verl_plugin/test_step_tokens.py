"""What is kept of a step's tokens, against plain sums; its size and its time at full scale."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
import torch

from kawhi.credit.kinds import KINDS
from kawhi.verl_plugin.step_samples import write_step
from kawhi.verl_plugin.step_tokens import summary, write_tokens

TOR = ("entropy", "nucleus_entropy", "log_probs", "blank_log_probs")
EVERY = (*TOR, "perturbed_log_probs", "blank_entropy", "alignment")


def made(lengths: list[int], names: tuple[str, ...], seed: int = 0) -> dict[str, list[torch.Tensor]]:
    """One ``(T,)`` per response, of each signal and of the weight."""
    generator = torch.Generator().manual_seed(seed)
    total, found = sum(lengths), {}
    for name in (*names, "weight"):
        values = torch.empty(total).exponential_(2.0, generator=generator)
        found[name] = list((-values if "log_probs" in name else values).split(lengths))
    return found


def split(rows: dict[str, list[torch.Tensor]]) -> tuple[dict[str, list[torch.Tensor]], list[torch.Tensor]]:
    return {name: own for name, own in rows.items() if name != "weight"}, rows["weight"]


def test_means_are_plain_means_of_tokens_and_by_weight():
    signals, weights = split(made([3, 5, 0, 4], TOR))
    found = summary(signals, weights, ["a", "b", "a", "b"], torch.tensor([True, False, True, False]))
    flat = {name: torch.cat(rows).double().numpy() for name, rows in signals.items()}
    weight = torch.cat(weights).double().numpy()
    difference = np.abs(flat["log_probs"] - flat["blank_log_probs"])
    for part, tokens in ((found["all"], slice(None)), (found["by_right"][1], slice(0, 3))):
        assert part["weight"] == pytest.approx(weight[tokens].mean(), abs=1e-6)
        for name, values in (("entropy", flat["entropy"]), ("logp_diff", difference)):
            assert part["mean"][name] == pytest.approx(values[tokens].mean(), abs=1e-6)
            by_weight = np.average(values[tokens], weights=weight[tokens])
            assert part["weighted"][name] == pytest.approx(by_weight, abs=1e-6)
        assert sum(part["mean"][kind] for kind in KINDS) == pytest.approx(1, abs=1e-5)
    assert (found["all"]["responses"], found["all"]["tokens"]) == (4, 12)
    assert [(own["right"], own["of"], own["responses"], own["tokens"]) for own in found["by_right"]] == [
        (0, 2, 2, 9),
        (2, 2, 2, 3),
    ]


def test_histograms_count_every_token_in_bins_that_are_always_the_same():
    signals = {
        "entropy": [torch.tensor([0.0, 0.05, 0.95, 5.99, 80.0])],
        "alignment": [torch.tensor([-1.0, -0.01, 0, 0, 1])],
    }
    found = summary(signals, [torch.tensor([0.0, 0.0, 1.0, 9.0, -1.0])], ["a"], None)["histograms"]
    counted = {
        name: {place: count for place, count in enumerate(own["counts"]) if count} for name, own in found.items()
    }
    assert counted == {
        "entropy": {0: 2, 9: 1, 59: 2},
        "alignment": {0: 1, 49: 1, 50: 2, 99: 1},
        "weight": {0: 3, 20: 1, 39: 1},
    }
    assert {name: (own["low"], own["high"], own["zero"]) for name, own in found.items()} == {
        "entropy": (0, 6, 1),
        "alignment": (-1, 1, 2),
        "weight": (0, 2, 2),
    }


def test_only_what_its_signals_are_enough_for_is_said_of_a_method():
    signals, weights = split(made([3, 4], ("entropy",)))
    found = summary(signals, weights, ["a", "a"], None)
    assert set(found["histograms"]) == {"entropy", "weight"}
    assert set(found["all"]["mean"]) == {"entropy"}
    assert found["by_right"] == []
    nothing = summary(signals, [0 * row for row in weights], ["a", "a"], None)["all"]
    assert nothing["weighted"] == {}


@pytest.mark.parametrize("names", [("entropy",), ("entropy", "alignment"), TOR, EVERY], ids=len)
def test_a_step_of_2560_responses_of_2048_tokens_takes_less_than_a_megabyte(tmp_path, monkeypatch, names):
    monkeypatch.setenv("KAWHI_RUN_DIR", str(tmp_path))
    count, length = 2560, 2048
    signals, weights = split(made([length] * count, names))
    groups = [str(i // 5) for i in range(count)]
    write_tokens(7, signals, weights, groups=groups, correct=torch.arange(count) % 3 == 0)
    ids = list(torch.randint(0, 151_936, (count, length)))
    own = dict(signals)
    alpha = own.pop("alignment", None)
    write_step(
        7,
        uids=groups,
        extra_fields=[{}] * count,
        responses=ids,
        advantages=weights,
        rewards=weights,
        weights=weights,
        alpha=alpha,
        signals=own,
    )
    files = [tmp_path / "train" / kind / "000007.json" for kind in ("tokens", "steps")]
    assert sum(file.stat().st_size for file in files) < 1e6
    tokens, samples = (json.loads(file.read_text()) for file in files)
    assert sum(tokens["histograms"]["weight"]["counts"]) == count * length
    assert Counter(len(prompt["responses"]) for prompt in samples["prompts"]).keys() == {5}


def test_nothing_is_written_outside_the_harness(tmp_path, monkeypatch):
    monkeypatch.delenv("KAWHI_RUN_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    signals, weights = split(made([2], ("entropy",)))
    write_tokens(1, signals, weights, groups=["a"], correct=None)
    assert not list(tmp_path.iterdir())


def test_a_measure_that_is_no_number_stops_the_training():
    rows = [torch.tensor([0.5, float("nan")]), torch.tensor([0.1])]
    with pytest.raises(RuntimeError, match="1 of 3 tokens have no finite entropy"):
        summary({"entropy": rows}, [torch.ones(2), torch.ones(1)], [0, 0], None)
