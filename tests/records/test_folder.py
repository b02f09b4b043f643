"""What is refused, and that the sentence names the file and the place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kawhi.records.folder import RecordError, parse_record, read_folder, record_name
from tests.analysis.synthetic import changed, digits, grounding_record, hashed, record, timing_record

AT = ("benchmarks", "kawhi_tiny")


def broken(*path: str, value: Any) -> dict[str, Any]:
    return changed(record("kawhi", 1040), *path, value=value)


def ungrounded(*path: str, value: Any, image: str = "blank") -> dict[str, Any]:
    return changed(grounding_record(image), *path, value=value)


def untimed(*path: str, value: Any) -> dict[str, Any]:
    return changed(timing_record("kawhi"), *path, value=value)


def judged(**verdicts: Any) -> dict[str, Any]:
    content = record("kawhi", 12, n=20, verdicts=digits(20, 12))
    content["benchmarks"]["kawhi_tiny"]["verdicts"] |= verdicts
    return content


CONFIG = {"config", "hash"}
BROKEN = {
    "cut off": ('{"schema": 2', "cannot be read"),
    "a list": ("[1]", "not a JSON object"),
    "past": (broken("schema", value=1), "schema version is 1; this program knows 2"),
    "future": (broken("schema", value=3), "schema version is 3"),
    "no version": (broken("schema", value=KeyError), "schema version is None"),
    "unknown study": (broken("study", value="drawing"), "study is 'drawing'"),
    "another study": (broken("study", value="grounding"), "grounding: field required"),
    "unknown field": (broken("colour", value="red"), "colour: extra inputs are not permitted"),
    "unknown field below": (broken(*AT, "scoer", value=3), "benchmarks.kawhi_tiny.scoer: extra inputs"),
    "no health": (broken("health", value=KeyError), "health: field required"),
    "no hash": (broken("cell", "hash", value=KeyError), "cell.hash: field required"),
    "model": (broken("model", value="a name"), "model: input should be"),
    "steps as text": (broken("steps", value="20"), "steps: input should be a valid integer ('20')"),
    "no seed": (broken("seeds", "data", value=None), "seeds.data: input should be a valid integer (None)"),
    "provenance": (broken("provenance", value="paper"), "provenance: input should be 'measured' or 'tiny' ('paper')"),
    "config": (broken("config", value=[]), "config: input should be an object"),
    "edited config": (broken("config", "steps", value=40), "but its config has the hash"),
    "two steps": (hashed(broken("config", "steps", value=40)), "steps = 20 but its config says 40"),
    "two methods": (hashed(broken("config", "credit", "name", value="uniform")), "says credit.name = 'kawhi'"),
    "two seeds": (hashed(broken("config", "seeds", "rollout", value=3)), "says seeds.rollout = 0"),
    "two provenances": (broken("provenance", value="measured"), "says scale.provenance = 'measured' but its config"),
    "no benchmark": (broken("benchmarks", value={}), "asks for the benchmark kawhi_tiny, of which it has no score"),
    "another benchmark": (
        broken("benchmarks", "mathvision", value=record("kawhi", 1)["benchmarks"]["kawhi_tiny"]),
        "a score of mathvision, for which its config does not ask",
    ),
    "benchmark": (broken(*AT, value=3), "benchmarks.kawhi_tiny: input should be"),
    "no count": (broken(*AT, "correct", value=KeyError), "benchmarks.kawhi_tiny.correct: field required"),
    "true": (broken(*AT, "score", value=True), "score: input should be a valid number (True)"),
    "NaN": (broken(*AT, "score", value=float("nan")), "benchmarks.kawhi_tiny.score: input should be"),
    "infinite": (broken(*AT, "score", value=float("inf")), "benchmarks.kawhi_tiny.score: input should be"),
    "negative": (broken(*AT, "score", value=-0.1), "greater than or equal to 0 (-0.1)"),
    "147": (broken(*AT, "score", value=147.0), "the score 147.0 is not 1040 of 2000"),
    "147 of something": (
        broken(*AT, value={"title": "T", "metric": "score", "n": 3, "correct": None, "score": 147.0}),
        "benchmarks.kawhi_tiny.score is 147.0, and 100 is the most that can be",
    ),
    "fraction": (broken(*AT, "score", value=0.52), "the score 0.52 is not 1040 of 2000"),
    "too many": (broken(*AT, "correct", value=2001), "is not 2001 of 2000"),
    "none": (broken(*AT, "n", value=0), "benchmarks.kawhi_tiny.n: input should be greater than 0 (0)"),
    "judge": (broken(*AT, "judge_errors", value=2), "the judge failed on 2 samples"),
    "cut off more": (broken(*AT, "truncated", value=2001), "2001 truncated"),
    "interval": (broken(*AT, "interval", value=[10.0, 20.0]), "the score 52.0 is outside its own interval"),
    "responses": (broken(*AT, "generation", value={"n": 1999}), "scores 2000 of 1999 responses"),
    "verdicts": (judged(values=digits(20, 11)), "11 verdicts are right and the record says 12"),
    "fewer verdicts": (judged(values=digits(19, 12)), "19 verdicts of 20 samples"),
    "odd verdicts": (judged(values="2" * 20), "has only 0 and 1"),
    "problems": (judged(problems=[0, 1]), "20 verdicts have 2 problems"),
    "curve": (broken("training", value={"reward": [0.5]}), "training.reward has 1 numbers for 20 steps"),
    "NaN in a curve": (broken("training", value={"reward": [float("nan")] * 20}), "training.reward.0: input should be"),
    "not trained": (broken("health", "weights_changed", value=False), "nothing was trained"),
    "no grounding": (ungrounded("grounding", value=KeyError), "grounding: field required"),
    "black": (ungrounded("grounding", "image", value="black"), "grounding.image: input should be"),
    "two images": (ungrounded("grounding", "image", value="wrong_image"), "says study.image = 'wrong_image'"),
    "two studies": (hashed(ungrounded("config", "study", "name", value="training")), "says study.name = 'grounding'"),
    "alpha": (ungrounded("grounding", "alpha", value=1.1), "grounding.alpha: input should be less than"),
    "order": (ungrounded("grounding", "order", value=float("nan")), "grounding.order: input should be"),
    "percent": (ungrounded("grounding", "same_top", value=90.5), "grounding.same_top: input should be less than"),
    "shift": (ungrounded("grounding", "weight_shift", value=-0.1), "grounding.weight_shift: input should be greater"),
    "log-prob": (ungrounded("grounding", "log_prob", value=0.1), "grounding.log_prob: input should be less than"),
    "responses of none": (
        ungrounded("grounding", "responses", value=0),
        "grounding.responses: input should be greater",
    ),
    "half a response": (ungrounded("grounding", "responses", value=200.5), "grounding.responses: input should be"),
    "paragraphs": (ungrounded("grounding", "paragraphs", value=199), "200 responses with 199 paragraphs"),
    "true image": (ungrounded("grounding", "weight_shift", value=0.1, image="true_image"), "differs from itself"),
    "weights": (untimed("training", "weight_mean", value=[0.5, None, 0.5]), "not have the weights of 3 steps"),
    "short": (untimed("training", "weight_zero_share", value=[0.5]), "training.weight_zero_share has 1 numbers"),
    "no step": (untimed("run", "timing_s", value={"timing_s/kawhi": 0.1}), "lacks run.timing_s.timing_s/step"),
    "fast": (untimed("run", "timing_s", "timing_s/step", value="fast"), "run.timing_s.timing_s/step: input should be"),
}


def test_broken_records_are_named_and_the_others_are_used(tmp_path: Path) -> None:
    for kind, (content, _) in BROKEN.items():
        (tmp_path / f"{kind}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    (tmp_path / "sound.json").write_text(json.dumps(record("uniform", 1000)))
    found = read_folder(tmp_path)
    assert [file.name for file in found.records] == ["sound.json"]
    said = {refused.file.stem: str(refused) for refused in found.refused}
    assert {kind: said.get(kind) for kind, (_, sentence) in BROKEN.items() if sentence not in said.get(kind, "")} == {}
    assert len(found.refused) == len(BROKEN)
    assert not any("\n" in sentence for sentence in said.values())


def test_a_cell_that_two_files_claim_is_used_from_neither(tmp_path: Path) -> None:
    for name, correct in {"a": 1000, "b": 1200}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(record("kawhi", correct)))
    (tmp_path / "c.json").write_text(json.dumps(record("uniform", 900)))
    found = read_folder(tmp_path)
    assert [file.name for file in found.records] == ["c.json"]
    assert [each.file.name for each in found.refused] == ["a.json", "b.json"]
    assert "as b.json: remove all but one" in found.refused[0].reason


def test_of_a_cell_that_two_folders_have_the_first_one_s_record_counts(tmp_path: Path) -> None:
    own, published = tmp_path / "records", tmp_path / "published" / "records"
    files = {
        own / "b.json": record("kawhi", 1200),
        published / "a.json": record("kawhi", 1000),
        published / "c.json": record("uniform", 900),
        published / "b.json": record("kawhi_all", 800),  # its name is taken: pages of records are called after them
    }
    published.mkdir(parents=True)
    own.mkdir()
    for file, content in files.items():
        file.write_text(json.dumps(content))
    found = read_folder(own, published)
    assert [*found.records] == [own / "b.json", published / "c.json"]
    assert found.refused == []
    assert found.twice == (published / "a.json", published / "b.json")
    assert found.summary().startswith("records: 1 published, 1 of your own; published and not used")
    assert [*map(record_name, found.records)] == ["b.json", "published/c.json"]
    alone = read_folder(published)
    assert len(alone.records) == 3
    assert not alone.several


def test_a_folder_that_is_not_there_has_no_records(tmp_path: Path) -> None:
    assert read_folder(tmp_path / "none").records == {}


def test_a_score_rounded_to_two_decimals_is_consistent() -> None:
    rounded = {"title": "T", "metric": "accuracy", "n": 3, "correct": 1, "score": 33.33}
    assert parse_record(broken(*AT, value=rounded)).benchmarks["kawhi_tiny"].score == 33.33


def test_mme_has_points() -> None:
    points = {"title": "MME", "metric": "score", "n": 2374, "correct": None, "score": 2300.0}
    assert parse_record(record("kawhi", 0, benchmarks={"kawhi_mme": points})).benchmarks["kawhi_mme"].score == 2300
    with pytest.raises(RecordError, match="2800 is the most"):
        parse_record(record("kawhi", 0, benchmarks={"kawhi_mme": points | {"score": 2801.0}}))


def test_verdicts_are_numbers() -> None:
    found = parse_record(judged()).benchmarks["kawhi_tiny"].verdicts
    assert found.scores().tolist() == [float(digit) for digit in digits(20, 12)]
    partly = judged(values=[0.25] * 20)
    partly["benchmarks"]["kawhi_tiny"] |= {"metric": "score", "correct": None, "score": 25.0}
    assert parse_record(partly).benchmarks["kawhi_tiny"].verdicts.scores().tolist() == [0.25] * 20
