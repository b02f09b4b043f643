"""The table of methods: means over steps, and what was added to a step."""

from __future__ import annotations

import yaml

from analysis.methods import ALGORITHMS, METHODS
from tests.analysis.synthetic import FAMILIES, Folder, hashed, timing_record
from tests.cells import ROOT


def test_a_row_per_pair(folder: Folder) -> None:
    passes = {"timing_s/kawhi_perturbed_pass": 0.5, "timing_s/kawhi_blank_pass": 0.25}
    folder.add(timing_record("uniform"), timing_record("vppo", "gspo", **passes))
    table = folder.made_rows("methods")
    assert [list(line.values())[:7] for line in table] == [
        ["GRPO, uniform", "0.500", "25.0", "0.250", "–", "3.00", "9.1"],
        ["GSPO, VPPO", "0.500", "25.0", "0.250", "0.750", "3.00", "50.0"],
    ]


def test_its_rows_are_what_make_methods_runs() -> None:
    (block,) = yaml.safe_load((ROOT / "conf" / "experiment" / "methods.yaml").read_text())["hydra"]["sweeper"]["blocks"]
    assert block["credit"] == list(METHODS)
    assert set(block["algorithm"]) <= set(ALGORITHMS)


def test_models_and_numbers_of_steps_stand_apart(folder: Folder) -> None:
    other = timing_record("kawhi")
    other["model"] = FAMILIES["qwen3_vl"]
    other["config"]["model"] |= FAMILIES["qwen3_vl"]
    folder.add(timing_record("kawhi"), hashed(other), timing_record("kawhi", steps=2))
    text = folder.made_text("methods")
    for head in ("tiny-qwen2.5-vl, 3 steps", "tiny-qwen2.5-vl, 2 steps", "tiny-qwen3-vl, 3 steps"):
        assert f"tiny: {head} (CPU world" in text
