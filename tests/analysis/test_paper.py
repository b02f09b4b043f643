"""The papers' numbers as they stand in paper.yaml, and what docs/discrepancies.md says of them."""

from __future__ import annotations

import re

import pytest

from analysis.paper import claims, number, paper_tables
from analysis.paper_checks import discrepancies
from tests.cells import ROOT

QWEN_2_5, QWEN_3 = "Qwen2.5-VL-7B-Instruct", "Qwen3-VL-4B-Instruct"

# rows, numbers, numbers beside them, gains; and the sum of all numbers, so that a slip in any of them shows.
SIZES = {
    "kawhi_1": (17, 85, 75, 6, "4357.53"),
    "kawhi_2": (3, 15, 10, 0, "866.8"),
    "kawhi_3": (10, 30, 18, 0, "1122.31"),
    "kawhi_figure_1a": (5, 1, 0, 0, "48.9"),
    "kawhi_section_4_4": (1, 3, 0, 0, "0.65"),
    "kawhi_section_4_5": (3, 4, 0, 0, "1084.8"),
    "kawhi_figure_7": (1, 0, 0, 0, "0"),
    "tor_1": (8, 40, 0, 0, "2239.1"),
    "tor_2": (8, 40, 0, 0, "2150.6"),
    "tor_3": (9, 45, 0, 0, "2572.5"),
    "tor_4": (20, 91, 0, 0, "4955.05"),
    "tor_5": (4, 15, 9, 0, "770.0"),
}


def test_the_tables_their_sizes_and_sums() -> None:
    found = {}
    for key, table in paper_tables().items():
        cells = [cell for row in table.rows for cell in row.cells.values()]
        counts = len(table.rows), len(cells), sum(bool(c.delta) for c in cells), sum(bool(r.gain) for r in table.rows)
        found[key] = (*counts, str(sum(number(cell.text) for cell in cells)))
    assert found == SIZES


@pytest.mark.parametrize(
    ("key", "row", "block", "column", "said"),
    [
        ("kawhi_1", "GRPO+KAWHI (Ours)", QWEN_2_5, "MathVista",
         ("69.30", "+1.83", "percent", "sec. 4.2, table 1, line 6")),
        ("kawhi_1", "DAPO", QWEN_3, "MathVista", ("69.40", "-1.03", "percent", "sec. 4.2, table 1, line 14")),
        ("kawhi_3", "Key–Key", None, "MathVision", ("28.95", "↓0.33", "percent", "sec. 4.3, table 3, line 6")),
        ("kawhi_section_4_5", "with KAWHI (R1)", None, "Per-step duration",
         ("521.0", "", "seconds", "sec. 4.5, text on figure 5, sentence 2")),
        ("tor_4", "ToR-DAPO", "RLVR on Qwen-2.5-VL-3B", "MathVerse",
         ("46.20", "", "percent", "sec. 4.3, table 4, line 19")),
        ("tor_5", "Logp Diff (best balance)", None, "Avg. Gain", ("+2.1", "", "points", "app. C, table 5, line 4")),
    ],
)  # fmt: skip
def test_numbers_are_as_printed(key: str, row: str, block: str | None, column: str, said: tuple[str, ...]) -> None:
    cell = paper_tables()[key].row(row, block).cells[column]
    assert (cell.text, cell.delta, cell.unit, cell.place.partition(", ")[2]) == said


def test_gains_dashes_and_sizes_of_data() -> None:
    assert paper_tables()["kawhi_1"].row("GSPO+KAWHI (Ours)", QWEN_3).gain == "+1.40"
    assert "WeMath" not in paper_tables()["tor_4"].row("InternVL-2.5-8B").cells
    sizes = [row.data_size for row in paper_tables()["tor_4"].rows if row.row.startswith("ToR-DAPO")]
    assert sizes == ["2.1K (Geo3K)", "39K (ViRL-39K)"] * 2


def test_every_number_has_its_value_and_unit_and_no_two_rows_one_name() -> None:
    for table in paper_tables().values():
        assert len({(row.block, row.row) for row in table.rows}) == len(table.rows)
        for cell in (cell for row in table.rows for cell in row.cells.values()):
            decimals = len(cell.text.partition(".")[2])
            assert f"{cell.value:.{decimals}f}" == cell.text.removeprefix("+")
            assert cell.unit in ("percent", "points", "seconds")
        found = {column for row in table.rows for column in row.cells}
        assert found == (set(table.columns) if table.key != "kawhi_figure_7" else set())


def test_a_row_is_found_or_the_sentence_helps() -> None:
    table = paper_tables()["kawhi_1"]
    assert table.row("VPPO").block == QWEN_2_5
    with pytest.raises(KeyError, match="has no row 'PPO', but"):
        table.row("PPO")
    with pytest.raises(KeyError, match=re.escape(f"['{QWEN_2_5}', '{QWEN_3}']: name one of these blocks, not None")):
        table.row("GRPO")
    with pytest.raises(KeyError, match=f"name one of these blocks, not '{QWEN_3}'"):
        table.row("VPPO", QWEN_3)


def test_claims_have_numbers_or_a_check() -> None:
    assert (len(claims()), sum(claim.check is not None for claim in claims())) == (74, 45)
    for claim in claims():
        assert claim.numbers or claim.check
        assert "*" not in claim.says


def test_the_document_lists_what_is_computed_and_nothing_else() -> None:
    text = (ROOT / "docs" / "discrepancies.md").read_text(encoding="utf-8")
    section = text.split("\n## Computed again\n")[1].split("\n## ")[0]
    assert [" ".join(item.split()) for item in section.split("\n- ")[1:]] == discrepancies()
    assert len(discrepancies()) == 14
    headings = re.findall(r"^## (.*)$", (ROOT / "docs" / "ambiguities.md").read_text(encoding="utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"ambiguities\.md#([^)]*)\)", text)) <= anchors
