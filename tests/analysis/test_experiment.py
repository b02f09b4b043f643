"""Tables of conf/experiment from synthetic records: which record stands in which row, and which do not."""

import pytest
from omegaconf import OmegaConf

from analysis.experiment import experiments
from analysis.make_tables import NAMES, PAPERS, on_request
from analysis.significance import detectable_difference, wilson_interval
from kawhi.records.contradictions import dotted
from kawhi.runs.composing import compose_cells
from tests.analysis.synthetic import Folder, baseline_record, changed, column, hashed, record
from tests.cells import CONF


def test_every_table_with_scores_can_be_asked_for():
    assert {"main_table", "chart_table", "ablation_table", *(f"tor_table{i}" for i in range(1, 6))} == set(PAPERS)
    assert {"tor_main", "controls"} == set(on_request())
    assert not set(NAMES) & set(on_request())
    assert len(experiments()["main_table"].rows) == 17


def test_every_cell_of_the_controls_stands_in_its_row_beside_what_it_is_compared_with():
    table = experiments()["controls"]
    cells, _ = compose_cells(CONF, ["experiment=controls", "scale=h200x8"])
    scored = set(table.tasks("h200x8"))
    found = [table.row_of(dotted(OmegaConf.to_container(cell, resolve=True)), scored) for cell in cells]
    assert found == list(range(15))
    against = {
        row.label: table.rows[k].label for i, row in enumerate(table.rows) if (k := table.reference(i)) is not None
    }
    assert against.pop("GRPO") == against.pop("GRPO, gradient norm 0.01") == "Base"
    assert against.pop("KAWHI, gradient norm 0.01") == "GRPO, gradient norm 0.01"
    assert set(against.values()) == {"GRPO"}
    assert len(against) == 11


MAIN, SECOND = "Qwen2.5-VL-7B-Instruct", "Qwen3-VL-4B-Instruct"


def by_name(folder: Folder) -> dict[tuple[str, str], dict[str, str]]:
    return {(row["Block"], row["Experiment"]): row for row in folder.rows("main_table")}


def test_rows_of_the_main_table(folder: Folder) -> None:
    folder.add(
        baseline_record(800),
        baseline_record(700, family="qwen3_vl"),
        record("uniform", 1000),
        record("kawhi", 1040, algorithm="dapo"),
        record("kawhi", 900, family="qwen3_vl"),
        record("vppo", 1001, algorithm="sapo"),  # not in the table
        record("kawhi", 1002, data="other"),
    )
    assert folder.make("main_table") == 0
    rows = by_name(folder)
    assert len(rows) == 17
    scores = {name: column([row], "tiny", "Tiny world (%)")[0] for name, row in rows.items()}
    assert {name: score for name, score in scores.items() if score != "–"} == {
        (MAIN, "Base"): "40.00",
        (SECOND, "Base"): "35.00",
        (MAIN, "GRPO"): "50.00",
        (MAIN, "DAPO+KAWHI (Ours)"): "52.00",
        (SECOND, "GRPO+KAWHI (Ours)"): "45.00",
    }
    low, high = wilson_interval(1040, 2000)
    ours = rows[MAIN, "DAPO+KAWHI (Ours)"]
    assert column([ours], "tiny", "interval") == [f"[{100 * low:.2f}, {100 * high:.2f}]"]
    assert column([ours], "tiny", "vs base") == ["–"]  # DAPO was not run
    assert column([rows[MAIN, "GRPO"]], "tiny", "vs base") == ["+10.00"]
    assert column([rows[MAIN, "VPPO"]], "tiny", "Verdict") == ["not run"]
    text = folder.text("md", "main_table")
    assert "CPU world, not comparable with the paper" in text
    assert "main is tiny_qwen2_5_vl, second is tiny_qwen3_vl" in text
    points = 100 * detectable_difference((800 + 700 + 1000 + 1040 + 900) / 10000, 2000)
    assert f"two cells of one seed, unpaired: Tiny world {points:.2f} points" in text
    assert "Seeds: data 1, rollout 0, regions 0." in text


def test_an_image_size_of_the_models_own_is_no_setting(folder: Folder) -> None:
    sizes = {"qwen2_5_vl": 28224, "qwen3_vl": 36864}
    for family, pixels in sizes.items():
        content = baseline_record(800, family=family)
        content["config"]["evaluation"] = {"max_pixels": pixels, "seed": 0}
        folder.add(hashed(content))
    odd = baseline_record(900, n=2000)
    odd["config"]["evaluation"] = {"max_pixels": 100, "seed": 0}
    folder.add(hashed(odd))
    assert folder.make("main_table") == 0
    bases = [by_name(folder)[model, "Base"] for model in (MAIN, SECOND)]
    assert column(bases, "setting 1", "Tiny world (%)") == ["40.00", "40.00"]
    assert column(bases, "setting 2", "Tiny world (%)") == ["45.00", "–"]


def test_untrained_models_of_another_setting_share_a_column(folder: Folder) -> None:
    other = [baseline_record(16, family=family, n=32) for family in ("qwen2_5_vl", "qwen3_vl")]
    folder.add(baseline_record(800), record("uniform", 1000), *other)
    assert folder.make("main_table") == 0
    rows = by_name(folder)
    scores = {name: [text for head, text in row.items() if "Tiny world (%)" in head] for name, row in rows.items()}
    assert scores[MAIN, "Base"] == ["40.00", "50.00"]
    assert scores[SECOND, "Base"] == ["–", "50.00"]


def test_seeds_of_a_row_are_pooled_and_steps_are_not(folder: Folder) -> None:
    folder.add(
        baseline_record(800),
        *(record("kawhi", correct, rollout=seed) for seed, correct in enumerate((1000, 1100))),
        record("kawhi", 500, steps=5),
    )
    assert folder.make("chart_table") == 0
    base, grpo, kawhi = folder.rows("chart_table")
    assert column([kawhi], "20 steps", "Tiny world (%)") == ["52.50"]
    assert column([kawhi], "20 steps", "Seeds") == ["2"]
    assert column([kawhi], "5 steps", "Tiny world (%)") == ["25.00"]
    assert column([base], "20 steps", "Tiny world (%)") == column([base], ", 5 steps", "Tiny world (%)") == ["40.00"]
    assert column([grpo], "20 steps", "Tiny world (%)") == ["–"]


def test_options_tell_rows_apart(folder: Folder) -> None:
    recipe = {"algorithm": {"name": "grpo", "recipe": "tor"}}
    for correct, share in ((1000, 0.3), (1100, 0.8)):
        content = record("tor", correct, options={"types": "reasoning", "reasoning_share": share})
        content["config"] |= recipe
        folder.add(hashed(content))
    folder.add(record("tor", 1, options={"types": "reasoning", "reasoning_share": 0.2}))  # without ToR's recipe
    assert folder.make("tor_table1") == 0
    rows = {row["Experiment"]: column([row], "tiny", "(%)")[0] for row in folder.rows("tor_table1")[:-1]}
    assert rows == {"20%": "–", "30%": "50.00", "40%": "–", "50%": "–", "60%": "–", "70%": "–", "80%": "55.00"}


def test_two_settings_of_one_row_are_refused(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.add(record("kawhi", 1000), record("kawhi", 1001, learning_rate=1e-4))
    assert folder.make("chart_table") == 1
    said = capsys.readouterr().err
    assert "are both GRPO + KAWHI but differ in verl.actor_rollout_ref.actor.optim.lr: remove one." in said
    assert not list(folder.out.glob("*"))


def test_one_seed_twice_is_refused(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.add(record("kawhi", 1000))
    folder.add(hashed(changed(record("kawhi", 1001), "config", "kawhi", "regions", "seed", value=9)))
    assert folder.make("chart_table") == 1
    assert "with equal seeds but different hashes" in capsys.readouterr().err


def test_without_records_the_rows_are_empty(folder: Folder) -> None:
    assert folder.make(*on_request()) == 0
    for name in on_request():
        assert [row["Experiment"] for row in folder.rows(name)] == [row.label for row in experiments()[name].rows]
        assert len({row.label for row in experiments()[name].rows}) == len(experiments()[name].rows)
