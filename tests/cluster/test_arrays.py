"""Which cells become which arrays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kawhi.base.stage import STAGES
from kawhi.cluster.arrays import Division, Wanted, dependency_of, divide
from tests.cluster.made import place, queue, task


def told(division: Division) -> dict[str, list[str]]:
    return {array.name: [cell.folder.path.name for cell in array.cells] for array in division.arrays}


def evaluated(division: Division) -> dict[str, list[list[str]]]:
    """Names of the evaluations that each task of an array does."""
    arrays = [array for array in division.arrays if array.part == "evaluate"]
    return {array.name: [array.evaluations(cell) for cell in array.cells] for array in arrays}


def dependencies(division: Division) -> dict[str, str | None]:
    """What Slurm is told that each array waits for; its own job is called as the array is."""
    jobs = {array.name: array.name for array in division.arrays}
    return {array.name: dependency_of(array, division.arrays, jobs) for array in division.arrays}


def test_new_cells_are_trained_and_then_evaluated(tmp_path):
    cells = [Wanted(place(tmp_path / name)) for name in "ab"]
    division = divide(cells, {})
    assert told(division) == {"train": ["a", "b"], "evaluate-trained": ["a", "b"]}
    assert evaluated(division) == {"evaluate-trained": [["task-1"], ["task-1"]]}
    train, evaluate = division.arrays
    assert (train.part, train.after_each, train.after_all) == ("train", None, ())
    assert (evaluate.part, evaluate.after_each) == ("evaluate", "train")


def test_what_is_done_is_not_done_again(tmp_path):
    both = ("one-1", "two-2")
    cells = [
        Wanted(place(tmp_path / "done", until="record", evaluations=both, done=both)),
        Wanted(place(tmp_path / "trained", until="record", evaluations=both, done=["one-1"])),
        Wanted(place(tmp_path / "training", until="train", evaluations=both)),
    ]
    division = divide(cells, {})
    assert [cell.folder.path.name for cell in division.done] == ["done"]
    assert told(division) == {"evaluate": ["trained"], "train": ["training"], "evaluate-trained": ["training"]}
    assert evaluated(division) == {"evaluate": [["two-2"]], "evaluate-trained": [["one-1", "two-2"]]}


def test_a_cell_that_comes_twice_is_one(tmp_path):
    cell = Wanted(place(tmp_path / "a", study="baseline"))
    division = divide([cell, cell], {})
    assert (told(division), evaluated(division)) == ({"evaluate": ["a"]}, {"evaluate": [["task-1"]]})


def test_two_cells_of_one_training_are_trained_once_and_evaluated_together(tmp_path):
    one, two = (Wanted(place(tmp_path / "a", evaluations=[name])) for name in ("task-1", "task-2"))
    division = divide([one, two], {})
    assert told(division) == {"train": ["a"], "evaluate-trained": ["a"]}
    assert evaluated(division) == {"evaluate-trained": [["task-1", "task-2"]]}


def test_studies_without_a_part(tmp_path):
    studies = ("timing", "baseline", "training", "grounding")
    division = divide([Wanted(place(tmp_path / study, study=study)) for study in studies], {})
    assert told(division) == {
        "evaluate": ["baseline", "grounding"],
        "train": ["training", "timing"],  # what is evaluated comes first, so that the indices of the two arrays agree
        "evaluate-trained": ["training"],
    }
    assert evaluated(division) == {"evaluate": [["task-1"], []], "evaluate-trained": [["task-1"]]}


def test_what_is_queued_or_running_is_not_submitted(tmp_path):
    a, b, c = (place(tmp_path / name) for name in "abc")
    there = queue((a, "train", task("7_0")), (a, "evaluate", task("8_0")), (b, "train", task("7_1", state="RUNNING")))
    division = divide(list(map(Wanted, (a, b, c))), there)
    assert told(division) == {"train": ["c"], "evaluate-trained": ["c"], "evaluate-later": ["b"]}
    assert division.arrays[-1].after_all == ("7_1",)  # whose evaluation somebody cancelled
    assert {folder.path.name for folder in division.queued} == {"a", "b"}


def test_an_evaluation_comes_after_one_of_the_same_training_that_is_queued(tmp_path):
    """One job works in a folder at a time; how the other one ends is no matter."""
    first, again = (place(tmp_path / "a", evaluations=names) for names in (["task-1"], ["task-1", "task-2"]))
    other = place(tmp_path / "b", until="record")
    there = queue((first, "train", task("7_0")), (first, "evaluate", task("8_0")), (other, "evaluate", task("9")))
    division = divide([Wanted(again), Wanted(other)], there)
    assert told(division) == {"evaluate-more": ["a"]}
    assert evaluated(division) == {"evaluate-more": [["task-2"]]}
    assert dependencies(division) == {"evaluate-more": "afterany:8_0"}
    assert str(division.arrays[0]) == "evaluate-more: 1 job, after others"
    # All of it in the queue.
    there |= queue((place(tmp_path / "a", evaluations=["task-2"]), "evaluate", task("10")))
    assert told(divide([Wanted(again), Wanted(other)], there)) == {}


def test_a_cell_that_a_process_outside_slurm_works_on_is_left_alone(tmp_path):
    cell = Wanted(place(tmp_path / "a"))
    with cell.folder.locked():
        division = divide([cell], {})
    assert (division.arrays, division.held) == ([], [cell])
    assert told(divide([cell], {})) == {"train": ["a"], "evaluate-trained": ["a"]}


def test_the_untrained_model_comes_before_the_training(tmp_path):
    base = place(tmp_path / "base", study="baseline")
    cells = [Wanted(place(tmp_path / name), base) for name in "ab"]
    division = divide(cells, {})
    assert told(division) == {"baseline": ["base"], "train": ["a", "b"], "evaluate-trained": ["a", "b"]}
    assert dependencies(division) == {
        "baseline": None,
        "train": "afterok:baseline",
        "evaluate-trained": "aftercorr:train",
    }
    # In the queue already.
    division = divide(cells, queue((base, "evaluate", task("5"))))
    assert told(division) == {"train": ["a", "b"], "evaluate-trained": ["a", "b"]}
    assert division.arrays[0].after_all == ("5",)
    # Done.
    place(tmp_path / "base", study="baseline", done=["task-1"])
    assert divide(cells, {}).arrays[0].after_all == ()


def test_an_untrained_model_that_is_a_row_too_is_evaluated_once(tmp_path):
    base = place(tmp_path / "base", study="baseline")
    cells = [Wanted(place(tmp_path / name), base) for name in "ab"]
    division = divide([Wanted(base), *cells], {})
    assert told(division) == {"baseline": ["base"], "train": ["a", "b"], "evaluate-trained": ["a", "b"]}
    # With more than its gate needs: one job does it all.
    row = place(tmp_path / "base", study="baseline", evaluations=["task-1", "task-2"])
    division = divide([Wanted(row), *cells], {})
    assert told(division)["baseline"] == ["base"]
    assert evaluated(division)["baseline"] == [["task-1", "task-2"]]
    assert "evaluate" not in told(division)
    # The gate is passed and another evaluation is missing: nothing waits for it.
    place(tmp_path / "base", study="baseline", done=["task-1"])
    division = divide([Wanted(row), *cells], {})
    assert told(division)["evaluate"] == ["base"]
    assert evaluated(division)["evaluate"] == [["task-2"]]
    assert dependencies(division)["train"] is None


def test_a_gate_comes_after_another_evaluation_of_its_model_that_is_queued(tmp_path):
    base, other = (place(tmp_path / "base", study="baseline", evaluations=[name]) for name in ("task-1", "task-2"))
    there = queue((other, "evaluate", task("5")))
    cell = Wanted(place(tmp_path / "a"), base)
    for rows in ([], [Wanted(base)]):
        division = divide([*rows, cell], there)
        assert told(division) == {"baseline-more": ["base"], "train": ["a"], "evaluate-trained": ["a"]}
        assert evaluated(division)["baseline-more"] == [["task-1"]]
        assert dependencies(division) == {
            "baseline-more": "afterany:5",
            "train": "afterok:baseline-more",
            "evaluate-trained": "afterok:train",
        }


def test_two_ways_of_evaluating_a_training_have_two_gates_of_one_model(tmp_path):
    cells = [
        Wanted(
            place(tmp_path / "a", evaluations=[name]), place(tmp_path / "base", study="baseline", evaluations=[name])
        )
        for name in ("task-1", "task-2")
    ]
    division = divide(cells, {})
    assert evaluated(division) == {"baseline": [["task-1", "task-2"]], "evaluate-trained": [["task-1", "task-2"]]}
    (trained,) = division.arrays[1].cells
    assert [each.path.name for each in trained.baseline.evaluations] == ["task-1", "task-2"]


STATES = st.lists(
    st.tuples(
        st.sampled_from(sorted(STAGES)),
        st.booleans(),
        st.booleans(),
        st.sampled_from(["", "train", "evaluate", "both"]),
        st.integers(0, 2),
    ),
    max_size=6,
)


@given(states=STATES)
def test_no_cell_is_lost_or_submitted_twice(tmp_path_factory, states):
    folder, there, cells = tmp_path_factory.mktemp("runs"), {}, []
    names = ("task-1", "task-2")
    for number, (study, trained, done, queued, asked) in enumerate(states):
        last = STAGES[study][-1] if STAGES[study] and (trained or done) else None
        its = place(folder / str(number), study=study, until=last, evaluations=names, done=names if done else ())
        cells.append(Wanted(its))
        before = place(folder / str(number), study=study, evaluations=names[:asked])
        parts = [part for part in ("train", "evaluate") if queued in (part, "both")]
        there |= queue(*((before, part, task(f"9_{number}")) for part in parts))
    division = divide(cells, there)
    tasks = [(array, cell) for array in division.arrays for cell in array.cells]
    submitted = [(cell.folder.path, array.part) for array, cell in tasks]
    assert len(submitted) == len(set(submitted))
    again = {(cell.folder.path, array.part) for array, cell in tasks if array.after_any}
    assert set(submitted) & set(there) == again
    evaluations = [cell.folder.evaluation(name).path for array, cell in tasks for name in array.evaluations(cell)]
    evaluations += [path for path, _ in there if path.parent.name == "eval"]
    assert len(evaluations) == len(set(evaluations)), "each evaluation is one job's"
    for cell in cells:
        known = cell.place.done or any(cell.folder.path == path for path, _ in [*submitted, *there])
        assert known
        assert {each.path for each in cell.place.missing} <= set(evaluations)


@pytest.mark.parametrize("study", sorted(STAGES))
def test_an_evaluation_has_its_training_s_index(tmp_path, study):
    cells = [Wanted(place(tmp_path / f"{study}{i}", study=study)) for i in range(3)]
    cells += [Wanted(place(tmp_path / f"t{i}", study="timing")) for i in range(2)]
    arrays = {array.name: array.cells for array in divide(cells, {}).arrays}
    after = arrays.get("evaluate-trained", [])
    assert arrays["train"][: len(after)] == after
