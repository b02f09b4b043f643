"""Trainings and their evaluations, put together for tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kawhi.records.folder import parse_record, read_folder
from kawhi.records.join import joined, orphans
from kawhi.records.schema import BaselineRecord, Record, TrainingRecord
from tests.analysis.synthetic import accuracy, baseline_record, grounding_record, record, timing_record
from tests.split import parsed, split

RULED, JUDGED, OTHER = "kawhi_chartqa", "kawhi_mathverse", "kawhi_wemath"
JUDGE = {"name": "first", "model": "judge-a", "seed": 0}


def evaluated(
    *tasks: str, judge: str = "", seed: int = 0, problems: int = 50, rollout: int = 0, untrained: bool = False
) -> dict[str, Any]:
    """A training with these benchmarks, or an untrained model with them, all evaluated in one way.

    Args:
        judge: the model that judges all but ``RULED``.
        seed: of the decoding.
        problems: an option of each benchmark.
    """
    scores = {task: accuracy(task, problems, problems // 2) for task in tasks}
    content = (
        baseline_record(0, benchmarks=scores) if untrained else record("kawhi", 0, benchmarks=scores, rollout=rollout)
    )
    content["config"] |= {"evaluation": {"seed": seed, "temperature": 0.0}}
    if untrained:
        del content["config"]["model"]["critical_heads"]
    else:
        content["seeds"] = content["seeds"] | {"sampling": seed}
    if prompts := {task: f"of {task}" for task in tasks if judge and task != RULED}:
        content["config"]["judge"] = JUDGE | {"model": judge, "prompts": prompts}
    return content


def files(*contents: dict[str, Any]) -> dict[Path, Record]:
    """Their parts as records by file; a part that two of them share is there once."""
    parts = {part["cell"]["hash"]: part for content in contents for part in split(content)}
    return {Path(f"{i:02}.json"): parse_record(part) for i, part in enumerate(parts.values())}


def told(records: dict[Path, Record]) -> list[tuple[str, list[str]]]:
    """File and benchmarks of each."""
    return [(file.stem, sorted(each.benchmarks)) for file, each in records.items()]


def test_what_was_evaluated_in_one_way_is_one_record():
    found = joined(files(evaluated(RULED, JUDGED, OTHER, judge="a")))
    assert told(found) == [("00", [RULED, JUDGED, OTHER])]
    (whole,) = found.values()
    assert isinstance(whole, TrainingRecord)
    assert whole.benchmarks[JUDGED].title == JUDGED
    assert whole.config["judge"]["prompts"] == {JUDGED: f"of {JUDGED}", OTHER: f"of {OTHER}"}
    assert [entry["task"] for entry in whole.config["benchmarks"]] == [RULED, JUDGED, OTHER]
    assert (whole.seeds.rollout, whole.seeds.sampling) == (0, 0)


def test_a_benchmark_that_is_evaluated_later_joins_the_others():
    first, more = evaluated(RULED), evaluated(JUDGED, judge="a")
    assert told(joined(files(first, more))) == [("00", [RULED, JUDGED])]


def test_a_training_without_evaluations_has_no_benchmarks():
    alone = files(split(evaluated(RULED))[0])
    assert told(joined(alone)) == [("00", [])]
    assert joined(alone) == alone


def test_two_decodings_are_two_records_of_one_training():
    found = joined(files(evaluated(RULED, OTHER), evaluated(RULED, OTHER, seed=7)))
    assert told(found) == [("00", [RULED, OTHER]), ("03", [RULED, OTHER])]
    assert [each.config["evaluation"]["seed"] for each in found.values()] == [0, 7]
    assert [each.seeds.sampling for each in found.values()] == [0, 7]
    assert len({each.cell.hash for each in found.values()}) == 1


def test_two_judges_share_what_nobody_judged():
    a, b = (evaluated(RULED, JUDGED, OTHER, judge=judge) for judge in ("a", "b"))
    found = joined(files(a, b))
    assert told(found) == [("00", [RULED, JUDGED, OTHER]), ("04", [RULED, JUDGED, OTHER])]
    assert [each.config["judge"]["model"] for each in found.values()] == ["a", "b"]


def test_a_judge_of_one_benchmark_does_not_stand_beside_another_judge():
    found = joined(files(evaluated(JUDGED, judge="a"), evaluated(OTHER, judge="b")))
    assert told(found) == [("00", [JUDGED]), ("02", [OTHER])]


def test_another_option_of_a_benchmark_is_another_record_with_what_was_evaluated_in_one_way_alone():
    found = joined(files(evaluated(RULED, OTHER), evaluated(RULED, problems=20)))
    assert told(found) == [("00", [RULED, OTHER]), ("03", [RULED, OTHER])]
    assert [each.benchmarks[RULED].n for each in found.values()] == [50, 20]
    assert [each.benchmarks[OTHER].n for each in found.values()] == [50, 50]


def test_evaluations_of_an_untrained_model_are_one_record_without_a_training():
    content = evaluated(RULED, JUDGED, judge="a", untrained=True)
    found = joined(files(content))
    assert told(found) == [("00", [RULED, JUDGED])]
    (whole,) = found.values()
    assert isinstance(whole, BaselineRecord)
    assert whole.config["study"] == {"name": "baseline"}
    assert whole.cell.name == content["cell"]["name"]
    (training,) = {part["config"]["of"]["hash"] for part in split(content)}
    assert whole.cell.hash == training


def test_evaluations_without_their_training_are_named_and_in_no_record(tmp_path):
    lost, kept = files(evaluated(RULED)), files(evaluated(RULED, untrained=True))
    (evaluation,) = [each for each in lost.values() if each.study == "evaluation"]
    both = {Path("lost.json"): evaluation, **kept}
    assert orphans(both) == [Path("lost.json")]
    assert told(joined(both)) == [("00", [RULED])]
    (tmp_path / "lost.json").write_text(evaluation.model_dump_json(by_alias=True))
    (refused,) = read_folder(tmp_path).joined().refused
    assert str(refused).endswith("lost.json: the training that it is an evaluation of has no record")
    assert read_folder(tmp_path).refused == []  # a sound record


def test_a_training_and_its_evaluation_may_lie_in_two_folders(tmp_path):
    own, published = tmp_path / "own", tmp_path / "published"
    for folder, each in zip((published, own), split(evaluated(RULED)), strict=True):
        folder.mkdir()
        (folder / f"{each['study']}.json").write_text(parse_record(each).model_dump_json(by_alias=True))
    found = read_folder(own, published).joined()
    assert told(found.records) == [("training", [RULED])]
    assert found.refused == []


def test_other_studies_are_left_as_they_are():
    others = files(grounding_record("blank"), timing_record("kawhi"))
    assert joined(others) == others


def test_nobody_s_evaluations_are_another_s():
    two = [evaluated(RULED, rollout=rollout) for rollout in (0, 1)]
    found = joined(files(*two, evaluated(RULED, untrained=True)))
    assert told(found) == [("00", [RULED]), ("02", [RULED]), ("04", [RULED])]
    assert [type(each) for each in found.values()] == [TrainingRecord, TrainingRecord, BaselineRecord]


@given(
    tasks=st.lists(st.sampled_from([RULED, JUDGED, OTHER]), unique=True, min_size=1),
    judge=st.sampled_from(["", "a"]),
    seed=st.integers(0, 2**31),
    problems=st.integers(1, 500),
    untrained=st.booleans(),
    rollout=st.integers(0, 5),
)
def test_what_is_split_and_joined_is_what_it_was(tasks, judge, seed, problems, untrained, rollout):
    content = evaluated(*tasks, judge=judge, seed=seed, problems=problems, untrained=untrained, rollout=rollout)
    found = parsed(content)
    content["cell"] = content["cell"] | {"hash": found.cell.hash}  # of what was trained, or not, alone
    expected = type(found).model_validate_json(json.dumps(content))
    assert found.model_dump() == expected.model_dump()
