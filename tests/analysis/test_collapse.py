"""What was not run takes one line of a table, not its width."""

from __future__ import annotations

from analysis.collapse import collapsed
from analysis.table import EMPTY, Group, Source, Table, empty_group, empty_line, plain

FROM = Source("a row", ("a command",))


def table(*groups: Group, rows: int = 4, **more) -> Table:
    return Table("name", "caption", [f"row {i}" for i in range(rows)], [*groups], "a command", **more)


def group(*texts: str) -> Group:
    return Group("tiny: x", ("Score",), [plain(text, source=FROM) for text in texts], "tiny: x.")


def test_columns_without_a_number_are_left_to_their_note() -> None:
    made = collapsed(table(group("1", "2", "3", "4"), empty_group(("A", "B"), 4), notes=("last",)))
    assert [each.name for each in made.groups] == ["tiny: x"]
    assert made.notes == ("measured: nothing was run.", "last")
    assert len(made.rows) == 4


def test_rows_without_a_number_are_named_and_the_others_keep_their_marks() -> None:
    made = collapsed(
        table(group(EMPTY, "2", EMPTY, "4"), ours=frozenset({0, 3}), blocks={0: "first", 2: "second"}, notes=("last",))
    )
    assert made.rows == ["row 1", "row 3"]
    assert [line[0].text for line in made.groups[0].cells] == ["2", "4"]
    assert made.ours == {1}
    assert made.blocks == {0: "first", 1: "second"}
    assert made.notes == ("Not run: row 0; row 2.", "last")


def test_a_block_of_which_nothing_was_run_has_no_heading() -> None:
    made = collapsed(table(group("1", "2", EMPTY, EMPTY), blocks={0: "first", 2: "second"}))
    assert made.blocks == {0: "first"}


def test_a_table_without_any_number_keeps_its_heads_and_counts_its_rows() -> None:
    made = collapsed(table(empty_group(("A", "B"), 4)))
    assert (made.rows, made.groups[0].columns, made.groups[0].cells) == ([], ("A", "B"), [])
    assert made.notes == ("Not run: all 4 rows.",)


def test_a_full_table_stays_as_it_is() -> None:
    full = table(group("1", "2", "3", "4"), blocks={1: "block"}, ours=frozenset({2}))
    assert collapsed(full) == full
    assert empty_line(1) not in full.groups[0].cells
