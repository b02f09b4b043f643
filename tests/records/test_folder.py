"""What is refused, and that the sentence names the file and the place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kawhi.records.folder import RecordError, parse_record, read_folder, record_name
from tests.analysis.synthetic import changed, digits, grounding_record, hashed, record, timing_record
from tests.split import split

TRAINING, EVALUATION = split(record("kawhi", 1040))


def broken(*path: str, value: Any) -> dict[str, Any]:
    return changed(TRAINING, *path, value=value)


def misjudged(*path: str, value: Any) -> dict[str, Any]:
    return changed(EVALUATION, *path, value=value)


def ungrounded(*path: str, value: Any, image: str = "blank") -> dict[str, Any]:
    return changed(grounding_record(image), *path, value=value)


def untimed(*path: str, value: Any) -> dict[str, Any]:
    return changed(timing_record("kawhi"), *path, value=value)


def verdicts(**changes: Any) -> dict[str, Any]:
    content = split(record("kawhi", 12, n=20, verdicts=digits(20, 12)))[1]
    content["result"]["verdicts"] |= changes
    return content


def training(credit: str) -> dict[str, Any]:
    return split(record(credit, 0))[0]


def evaluation(credit: str, correct: int, **changes: Any) -> dict[str, Any]:
    return split(record(credit, correct, **changes))[1]


BROKEN = {
    "cut off": ('{"schema": 3', "cannot be read"),
    "a list": ("[1]", "not a JSON object"),
    "past": (broken("schema", value=1), "schema version is 1; this program knows 3"),
    "future": (broken("schema", value=4), "schema version is 4"),
    "no version": (broken("schema", value=KeyError), "schema version is None"),
    "unknown study": (broken("study", value="drawing"), "study is 'drawing'"),
    "a study that no file has": (broken("study", value="baseline"), "its study is 'baseline'; known are training"),
    "another study": (broken("study", value="grounding"), "grounding: field required"),
    "unknown field": (broken("colour", value="red"), "colour: extra inputs are not permitted"),
    "unknown field below": (misjudged("result", "scoer", value=3), "result.scoer: extra inputs"),
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
    "scores of its own": (
        broken("benchmarks", value={"kawhi_tiny": EVALUATION["result"]}),
        "a training has no scores of its own: its evaluations have records",
    ),
    "no result": (misjudged("result", value=KeyError), "result: field required"),
    "two benchmarks": (misjudged("task", value="mathvision"), "says benchmark.task = 'mathvision' but its config says"),
    "two samplings": (hashed(misjudged("config", "evaluation", "seed", value=7)), "says evaluation.seed = 0 but its"),
    "two models": (misjudged("model", "weights", value="12"), "says model.weights = '12' but its config says"),
    "of nothing": (hashed(misjudged("config", "of", value=KeyError)), "its config lacks of.hash, of.study"),
    "no decoding": (hashed(misjudged("config", "evaluation", value=KeyError)), "its config lacks evaluation.seed"),
    "a judge of no prompts": (hashed(misjudged("config", "judge", value={"name": "a"})), "lacks judge.prompts"),
    "another training": (misjudged("config", "of", "hash", value="0" * 12), "but its config has the hash"),
    "benchmark": (misjudged("result", value=3), "result: input should be"),
    "no count": (misjudged("result", "correct", value=KeyError), "result.correct: field required"),
    "true": (misjudged("result", "score", value=True), "score: input should be a valid number (True)"),
    "NaN": (misjudged("result", "score", value=float("nan")), "result.score: input should be"),
    "infinite": (misjudged("result", "score", value=float("inf")), "result.score: input should be"),
    "negative": (misjudged("result", "score", value=-0.1), "greater than or equal to 0 (-0.1)"),
    "147": (misjudged("result", "score", value=147.0), "the score 147.0 is not 1040 of 2000"),
    "147 of something": (
        misjudged("result", value={"title": "T", "metric": "score", "n": 3, "correct": None, "score": 147.0}),
        "the score of kawhi_tiny is 147.0, and 100 is the most that can be",
    ),
    "fraction": (misjudged("result", "score", value=0.52), "the score 0.52 is not 1040 of 2000"),
    "too many": (misjudged("result", "correct", value=2001), "is not 2001 of 2000"),
    "none": (misjudged("result", "n", value=0), "result.n: input should be greater than 0 (0)"),
    "judge": (misjudged("result", "judge_errors", value=2), "the judge failed on 2 samples"),
    "cut off more": (misjudged("result", "truncated", value=2001), "2001 truncated"),
    "interval": (misjudged("result", "interval", value=[10.0, 20.0]), "the score 52.0 is outside its own interval"),
    "responses": (misjudged("result", "generation", value={"n": 1999}), "scores 2000 of 1999 responses"),
    "verdicts": (verdicts(values=digits(20, 11)), "11 verdicts are right and the record says 12"),
    "fewer verdicts": (verdicts(values=digits(19, 12)), "19 verdicts of 20 samples"),
    "odd verdicts": (verdicts(values="2" * 20), "has only 0 and 1"),
    "problems": (verdicts(problems=[0, 1]), "20 verdicts have 2 problems"),
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
    (tmp_path / "sound.json").write_text(json.dumps(training("uniform")))
    found = read_folder(tmp_path)
    assert [file.name for file in found.records] == ["sound.json"]
    said = {refused.file.stem: str(refused) for refused in found.refused}
    assert {kind: said.get(kind) for kind, (_, sentence) in BROKEN.items() if sentence not in said.get(kind, "")} == {}
    assert len(found.refused) == len(BROKEN)
    assert not any("\n" in sentence for sentence in said.values())


def test_a_cell_that_two_files_claim_is_used_from_neither(tmp_path: Path) -> None:
    for name, correct in {"a": 1000, "b": 1200}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(evaluation("kawhi", correct)))
    (tmp_path / "c.json").write_text(json.dumps(evaluation("uniform", 900)))
    found = read_folder(tmp_path)
    assert [file.name for file in found.records] == ["c.json"]
    assert [each.file.name for each in found.refused] == ["a.json", "b.json"]
    assert "as b.json: remove all but one" in found.refused[0].reason


def test_of_a_cell_that_two_folders_have_the_first_one_s_record_counts(tmp_path: Path) -> None:
    own, published = tmp_path / "records", tmp_path / "published" / "records"
    files = {
        own / "b.json": evaluation("kawhi", 1200),
        published / "a.json": evaluation("kawhi", 1000),
        published / "c.json": evaluation("uniform", 900),
        published / "b.json": training("All vision tokens"),  # its name is taken: pages are called after files
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
    assert parse_record(misjudged("result", value=rounded)).result.score == 33.33


def test_mme_has_points() -> None:
    points = {"title": "MME", "metric": "score", "n": 2374, "correct": None, "score": 2300.0}
    assert parse_record(evaluation("kawhi", 0, benchmarks={"kawhi_mme": points})).result.score == 2300
    with pytest.raises(RecordError, match="2800 is the most"):
        parse_record(evaluation("kawhi", 0, benchmarks={"kawhi_mme": points | {"score": 2801.0}}))


def test_verdicts_are_numbers() -> None:
    found = parse_record(verdicts()).result.verdicts
    assert found.scores().tolist() == [float(digit) for digit in digits(20, 12)]
    partly = verdicts(values=[0.25] * 20)
    partly["result"] |= {"metric": "score", "correct": None, "score": 25.0}
    assert parse_record(partly).result.verdicts.scores().tolist() == [0.25] * 20
