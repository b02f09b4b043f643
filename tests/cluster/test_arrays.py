"""Which cells become which arrays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kawhi.base.stage import STAGES
from kawhi.cluster.arrays import Wanted, divide
from tests.cluster.made import run_directory, task


def told(division) -> dict[str, list[str]]:
    return {array.name: [cell.folder.path.name for cell in array.cells] for array in division.arrays}


def test_new_cells_are_trained_and_then_evaluated(tmp_path):
    cells = [Wanted(run_directory(tmp_path / name), "training") for name in "ab"]
    division = divide(cells, {})
    assert told(division) == {"train": ["a", "b"], "evaluate-trained": ["a", "b"]}
    train, evaluate = division.arrays
    assert (train.part, train.after_each, train.after_all) == ("train", None, ())
    assert (evaluate.part, evaluate.after_each) == ("evaluate", "train")


def test_what_is_done_is_not_done_again(tmp_path):
    cells = [
        Wanted(run_directory(tmp_path / "done", until="record"), "training"),
        Wanted(run_directory(tmp_path / "trained", until="merge"), "training"),
        Wanted(run_directory(tmp_path / "training", until="train"), "training"),
    ]
    division = divide(cells, {})
    assert [cell.folder.path.name for cell in division.done] == ["done"]
    assert told(division) == {"evaluate": ["trained"], "train": ["training"], "evaluate-trained": ["training"]}


def test_a_cell_that_comes_twice_is_one(tmp_path):
    cell = Wanted(run_directory(tmp_path / "a"), "baseline")
    assert told(divide([cell, cell], {})) == {"evaluate": ["a"]}


def test_studies_without_a_part(tmp_path):
    cells = [
        Wanted(run_directory(tmp_path / study), study) for study in ("timing", "baseline", "training", "grounding")
    ]
    division = divide(cells, {})
    assert told(division) == {
        "evaluate": ["baseline", "grounding"],
        "train": ["training", "timing"],  # what is evaluated comes first, so that the indices of the two arrays agree
        "evaluate-trained": ["training"],
    }


def test_what_is_queued_or_running_is_not_submitted(tmp_path):
    a, b, c = (Wanted(run_directory(tmp_path / name), "training") for name in "abc")
    queue = {
        (a.folder.path, "train"): task("7_0"),
        (a.folder.path, "evaluate"): task("8_0"),
        (b.folder.path, "train"): task("7_1", state="RUNNING"),
    }
    division = divide([a, b, c], queue)
    assert told(division) == {"train": ["c"], "evaluate-trained": ["c"], "evaluate-later": ["b"]}
    assert division.arrays[-1].after_all == ("7_1",)  # whose evaluation somebody cancelled
    assert {folder.path.name for folder in division.queued} == {"a", "b"}


def test_a_cell_that_a_process_outside_slurm_works_on_is_left_alone(tmp_path):
    cell = Wanted(run_directory(tmp_path / "a"), "training")
    with cell.folder.locked():
        division = divide([cell], {})
    assert (division.arrays, division.held) == ([], [cell])
    assert told(divide([cell], {})) == {"train": ["a"], "evaluate-trained": ["a"]}


def test_the_untrained_model_comes_before_the_training(tmp_path):
    base = run_directory(tmp_path / "base")
    cells = [Wanted(run_directory(tmp_path / name), "training", base) for name in "ab"]
    division = divide(cells, {})
    assert told(division) == {"baseline": ["base"], "train": ["a", "b"], "evaluate-trained": ["a", "b"]}
    assert division.arrays[1].after_all == ("baseline",)
    # Also when the table has it as a cell of its own: it is evaluated once.
    assert told(divide([Wanted(base, "baseline"), *cells], {}))["baseline"] == ["base"]
    assert "evaluate" not in told(divide([Wanted(base, "baseline"), *cells], {}))
    # In the queue already.
    division = divide(cells, {(base.path, "evaluate"): task("5")})
    assert told(division) == {"train": ["a", "b"], "evaluate-trained": ["a", "b"]}
    assert division.arrays[0].after_all == ("5",)
    # Done.
    run_directory(tmp_path / "base", study="baseline", until="record")
    assert divide(cells, {}).arrays[0].after_all == ()


STATES = st.lists(
    st.tuples(st.sampled_from(sorted(STAGES)), st.booleans(), st.sampled_from(["", "train", "evaluate", "both"])),
    max_size=6,
)


@given(states=STATES)
def test_no_cell_is_lost_or_submitted_twice(tmp_path_factory, states):
    folder, queue, cells = tmp_path_factory.mktemp("runs"), {}, []
    for number, (study, done, queued) in enumerate(states):
        run = run_directory(folder / str(number), study=study, until=STAGES[study][-1] if done else None)
        cells.append(Wanted(run, study))
        for part in ("train", "evaluate"):
            if queued in (part, "both"):
                queue[run.path, part] = task(f"9_{number}")
    division = divide(cells, queue)
    submitted = [(cell.folder.path, array.part) for array in division.arrays for cell in array.cells]
    assert len(submitted) == len(set(submitted))
    assert not set(submitted) & set(queue)
    for cell in cells:
        path = cell.folder.path
        known = cell.folder.record.exists() or any(path == place for place, _ in [*submitted, *queue])
        assert known


@pytest.mark.parametrize("study", sorted(STAGES))
def test_an_evaluation_has_its_training_s_index(tmp_path, study):
    cells = [Wanted(run_directory(tmp_path / f"{study}{i}"), study) for i in range(3)]
    cells += [Wanted(run_directory(tmp_path / f"t{i}"), "timing") for i in range(2)]
    arrays = {array.name: array.cells for array in divide(cells, {}).arrays}
    after = arrays.get("evaluate-trained", [])
    assert arrays["train"][: len(after)] == after
