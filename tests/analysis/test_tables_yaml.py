"""The tables' definitions against the sweeps that fill them and the paper's numbers."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import DictConfig

from analysis import make_tables
from analysis.experiment import experiments
from analysis.paper_layout import layouts
from analysis.records import columns, frame
from analysis.table import EMPTY
from analysis.training_tables import BASELINE, OURS, ablations, training_table
from kawhi.records.folder import read_folder
from kawhi.runs.composing import compose_cells
from kawhi.runs.identity import cell_hash, evaluation_identity, identity
from tests.analysis.synthetic import Folder, grounding_record, hashed, record
from tests.analysis.test_grounding_table import IMAGES
from tests.cells import CONF, cell

ROOT = Path(make_tables.__file__).parents[1]
TABLES = yaml.safe_load((ROOT / "analysis" / "tables.yaml").read_text(encoding="utf-8"))


def test_every_ablation_has_a_table() -> None:
    assert {file.stem for file in (ROOT / "conf" / "ablation").glob("*.yaml")} == {*make_tables.ABLATIONS} - {
        "methods",
        "efficiency",
    }


@pytest.mark.parametrize("name", ablations())
def test_rows_are_the_files(name: str) -> None:
    content: Any = yaml.safe_load((ROOT / "conf" / "ablation" / f"{name}.yaml").read_text(encoding="utf-8"))
    (block,) = content["hydra"]["sweeper"]["blocks"]
    own = ablations()[name]
    assert [*own.rows] == [row.get("credit.label", row["credit"]) for row in block["rows"]]
    assert next(iter(own.rows)) == BASELINE
    assert OURS in own.rows
    assert (TABLES["training"].get(name) or {}).get("rows", {}).keys() <= own.rows.keys()
    assert len({*own.rows.values()}) == len(own.rows)


def test_grounding_rows_are_what_its_file_has() -> None:
    content: Any = yaml.safe_load((ROOT / "conf" / "ablation" / "grounding.yaml").read_text(encoding="utf-8"))
    (block,) = content["hydra"]["sweeper"]["blocks"]
    assert [*TABLES["grounding"]["rows"]] == block["study.image"] == list(IMAGES)


def test_the_papers_numbers_stand_in_the_rows_they_belong_to() -> None:
    printed = {}
    for name, ablation in ablations().items():
        groups = [group for group in training_table(ablation, frame({})).groups if group.name.startswith("paper")]
        printed[name] = [[cell.text for cell in line] for group in groups for line in group.cells]
    both = [["45.94", "28.29", "37.11"], ["47.56", "29.28", "38.42"]]
    others = [["46.58", "28.45", "37.52"], ["46.34", "28.98", "37.66"], ["45.74", "27.82", "36.78"]]
    assert printed["region_selection"] == [*both, *others]
    assert printed["reward_metric"] == [*both, ["47.08", "28.95", "38.02"]]
    assert printed["granularity"] == [*both, ["47.11", "26.64", "36.88"], ["46.21", "26.64", "36.42"]]
    assert printed["heads"] == [*both, ["46.57", "28.32", "37.45"]]
    assert printed["positional_encoding"] == [*both, ["47.08", "28.62", "37.85"]]
    assert printed["selector"] == [[EMPTY] * 3, [EMPTY] * 3, ["0.13", "0.22", "0.30"]]
    for name in ("skip_ratio", "weights", "temperature", "query_position"):
        assert not printed[name]  # where the paper prints nothing there is no group of dashes


@pytest.mark.parametrize("model", ["tiny_qwen2_5_vl", "tiny_qwen3_vl"])
def test_the_cells_of_an_ablation_share_one_column(tmp_path: Path, folder: Folder, model: str) -> None:
    names = ablations() if model == "tiny_qwen2_5_vl" else ["region_selection", "heads"]
    for name in names:
        for words in compose_cells(CONF, [f"ablation={name}", f"model={model}"])[1]:
            part = joined_identity(cell(tmp_path, *(word for word in words if not word.startswith("ablation="))))
            said = {"model": named(part), "steps": part["steps"], "seeds": part["seeds"]}
            content = record(part["credit"]["name"], 500, n=1000, **said, config=part)
            if (name := f"{content['cell']['hash']}.json") not in {file.name for file in folder.records.iterdir()}:
                folder.add(content, name=name)
    for image in IMAGES:
        part = identity(cell(tmp_path, "ablation=grounding", f"study.image={image}"))
        folder.add(hashed(grounding_record(image) | {"model": named(part), "seeds": part["seeds"], "config": part}))
    found = read_folder(folder.records).joined()
    assert not found.refused
    assert len(columns(frame(found.records), ["study"], "{study}")) == 2


def joined_identity(asked: DictConfig) -> dict[str, Any]:
    """The configuration of a training's record with its evaluations."""
    parts = [evaluation_identity(asked, each, cell_hash(asked)) for each in asked.benchmarks]
    joined = {"benchmarks": [part["benchmark"] for part in parts], "evaluation": parts[0]["evaluation"]}
    return identity(asked) | joined


def named(part: dict[str, Any]) -> dict[str, Any]:
    return {key: part["model"][key] for key in ("name", "family", "weights")}


@pytest.mark.parametrize("name", TABLES["papers"])
def test_the_lines_of_a_paper_are_the_rows_of_its_experiment(name: str) -> None:
    layout, rows = layouts()[name], experiments()[name].rows
    assert len(layout.rows) == len(layout.paper.rows)
    assert sorted(row for row in layout.rows if row is not None) == list(range(len(rows)))
    assert set(layout.columns) | ({layout.mean} - {""}) <= set(layout.paper.columns)
    assert set(layout.columns.values()) <= set(experiments()[name].tasks("h200x8"))
    words = {"step_grpo": "Step-GRPO", "ft_rl": "FT-RL", "vppo": "VPPO", "kawhi": "KAWHI", "tor": "ToR"}
    for line, number in zip(layout.paper.rows, layout.rows, strict=True):
        if number is None:
            continue
        row, printed = rows[number], f"{line.row} {line.data_size}"
        if row.options and name != "ablation_table":  # a share in percent, a weight as it is, a proxy by its name
            key, value = [*row.options.items()][-1]
            shown = f"{100 * value:.0f}%" if "share" in key else str(value)
            assert shown.lower() in printed.lower()
        elif row.method in words:
            assert words[row.credit] in printed
        if row.study == "training" and row.credit in ("uniform", "kawhi") and name != "ablation_table":
            assert row.algorithm.removesuffix("_no_kl").upper() in printed
        assert (row.data == "large") == ("ViRL" in printed)
