"""The papers' numbers as they stand in paper.yaml, and what is computed again from them."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from analysis.paper import claims, discrepancies, paper_tables
from analysis.paper_checks import number
from tests.cells import ROOT

QWEN_2_5, QWEN_3 = "Qwen2.5-VL-7B-Instruct", "Qwen3-VL-4B-Instruct"

# rows, numbers, numbers beside them, gains
COUNTS = {
    "kawhi_1": (17, 85, 75, 6),
    "kawhi_2": (3, 15, 10, 0),
    "kawhi_3": (10, 30, 18, 0),
    "kawhi_figure_1a": (5, 1, 0, 0),
    "kawhi_section_4_4": (1, 3, 0, 0),
    "kawhi_section_4_5": (3, 4, 0, 0),
    "kawhi_figure_7": (1, 0, 0, 0),
    "tor_1": (8, 40, 0, 0),
    "tor_2": (8, 40, 0, 0),
    "tor_3": (9, 45, 0, 0),
    "tor_4": (20, 91, 0, 0),
    "tor_5": (4, 15, 9, 0),
}
# The sum of all numbers of a table, so that a slip in any of them shows.
SUMS = {
    "kawhi_1": "4357.53",
    "kawhi_2": "866.8",
    "kawhi_3": "1122.31",
    "tor_1": "2239.1",
    "tor_2": "2150.6",
    "tor_3": "2572.5",
    "tor_4": "4955.05",
    "tor_5": "770.0",
}


def printed(key: str, row: str, column: str, block: str | None = None) -> tuple[str, str, str]:
    cell = paper_tables()[key].row(row, block).cells[column]
    return cell.text, cell.delta, cell.unit


def texts(key: str) -> list[str]:
    return [cell.text for row in paper_tables()[key].rows for cell in row.cells.values()]


def test_the_tables_and_their_sizes() -> None:
    assert list(paper_tables()) == list(COUNTS)
    for key, expected in COUNTS.items():
        rows = paper_tables()[key].rows
        cells = [cell for row in rows for cell in row.cells.values()]
        found = len(rows), len(cells), sum(bool(c.delta) for c in cells), sum(bool(r.gain) for r in rows)
        assert found == expected, key


@pytest.mark.parametrize("key", SUMS)
def test_the_numbers_of_a_table_have_their_sum(key: str) -> None:
    assert sum(map(number, texts(key))) == Decimal(SUMS[key])


def test_numbers_are_as_printed() -> None:
    ours, chart = "GRPO+KAWHI (Ours)", "+ GRPO + KAWHI (Ours)"
    assert printed("kawhi_1", ours, "MathVista", QWEN_2_5) == ("69.30", "+1.83", "percent")
    assert printed("kawhi_1", "Base", "Avg", QWEN_3) == ("50.53", "", "percent")
    assert printed("kawhi_1", "DAPO", "MathVista", QWEN_3) == ("69.40", "-1.03", "percent")
    assert printed("kawhi_2", chart, "Chart Mimic") == ("45.1", "+4.9", "percent")
    assert printed("kawhi_3", "Key–Key", "MathVision", "Reward Metric") == ("28.95", "↓0.33", "percent")
    assert printed("kawhi_figure_1a", "VP", "Share of failures") == ("48.9", "", "percent")
    assert printed("kawhi_section_4_4", "VisionZip", "MathVision drop") == ("0.30", "", "points")
    assert printed("kawhi_section_4_5", "with KAWHI (R1)", "Per-step duration") == ("521.0", "", "seconds")
    assert printed("kawhi_section_4_5", "Temporal overhead", "Relative to the baseline") == ("3.6", "", "percent")
    assert printed("tor_1", "80%", "WeMath") == ("67.6", "", "percent")
    assert printed("tor_2", "80%", "HalluBench") == ("53.4", "", "percent")
    assert printed("tor_3", "0.5", "MathVista") == ("71.9", "", "percent")
    assert printed("tor_4", "ToR-DAPO", "MathVerse", "RLVR on Qwen-2.5-VL-3B") == ("46.20", "", "percent")
    assert printed("tor_5", "Logp Diff (best balance)", "Avg. Gain") == ("+2.1", "", "points")
    assert paper_tables()["kawhi_1"].row("GSPO+KAWHI (Ours)", QWEN_3).gain == "+1.40"
    assert "WeMath" not in paper_tables()["tor_4"].row("InternVL-2.5-8B").cells
    sizes = [row.data_size for row in paper_tables()["tor_4"].rows if row.row.startswith("ToR-DAPO")]
    assert sizes == ["2.1K (Geo3K)", "39K (ViRL-39K)"] * 2


def test_every_number_has_its_value_unit_and_place() -> None:
    for table in paper_tables().values():
        places = [{cell.place for cell in row.cells.values()} for row in table.rows]
        assert all(len(place) <= 1 for place in places)
        assert len(set().union(*places)) == sum(map(len, places)) or table.key == "kawhi_section_4_5"
        for row in table.rows:
            assert set(row.cells) <= set(table.columns)
            for cell in row.cells.values():
                decimals = len(cell.text.partition(".")[2])
                assert f"{cell.value:.{decimals}f}" == cell.text.removeprefix("+")
                assert cell.unit in ("percent", "points", "seconds")
                assert cell.place.startswith(f"{table.paper}, {table.place}, ")
    assert paper_tables()["kawhi_1"].row("Step-GRPO").cells["Avg"].place == "KAWHI, sec. 4.2, table 1, line 2"


def test_every_column_is_printed_somewhere() -> None:
    for key, table in paper_tables().items():
        found = {column for row in table.rows for column in row.cells}
        assert found == (set(table.columns) if key != "kawhi_figure_7" else set())


def test_a_row_is_found_or_the_sentence_helps() -> None:
    table = paper_tables()["kawhi_1"]
    assert table.row("VPPO").block == QWEN_2_5
    assert table.row("GRPO", QWEN_3).cells["Avg"].text == "51.17"
    with pytest.raises(KeyError, match="has no row 'PPO', but"):
        table.row("PPO")
    with pytest.raises(KeyError, match=re.escape(f"['{QWEN_2_5}', '{QWEN_3}']: name one of these blocks, not None")):
        table.row("GRPO")
    with pytest.raises(KeyError, match=f"name one of these blocks, not '{QWEN_3}'"):
        table.row("VPPO", QWEN_3)


def test_a_block_does_not_name_two_rows_alike() -> None:
    for table in paper_tables().values():
        assert len({(row.block, row.row) for row in table.rows}) == len(table.rows)


def test_claims_stand_in_their_own_words() -> None:
    assert len(claims()) == 74
    assert sum(claim.check is not None for claim in claims()) == 45
    for claim in claims():
        assert claim.paper in ("KAWHI", "ToR")
        assert claim.place
        assert claim.numbers or claim.check
        assert all(text in claim.says for text in claim.numbers), claim.says


# What the checks say


def in_the_document() -> list[str]:
    text = (ROOT / "docs" / "discrepancies.md").read_text(encoding="utf-8")
    section = text.split("\n## Computed again\n")[1].split("\n## ")[0]
    return [" ".join(item.split()) for item in section.split("\n- ")[1:]]


def test_the_document_lists_what_is_computed_and_nothing_else() -> None:
    assert in_the_document() == discrepancies()
    assert len(discrepancies()) == 14


def test_links_of_the_document_have_their_headings() -> None:
    text = (ROOT / "docs" / "discrepancies.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", (ROOT / "docs" / "ambiguities.md").read_text(encoding="utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"ambiguities\.md#([^)]*)\)", text)) <= anchors
