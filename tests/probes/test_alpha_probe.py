"""What the probe of alpha counts, against attention weights and paragraph means taken by hand; then its page."""

from __future__ import annotations

import json
import re
from itertools import islice

import numpy as np
import pytest
import torch

from kawhi.commands.cli import main
from kawhi.credit.alignment import AlignmentOptions
from kawhi.credit.segments import segment_response
from kawhi.data import schema
from kawhi.models.inspection import Inspector
from kawhi.probes import alpha_report
from kawhi.probes.alpha_probe import IMAGES, STATISTICS, Seen, Subject, watch
from kawhi.probes.alpha_report import page, summary
from kawhi.probes.grounding import blank_like, paragraph_means
from kawhi.tiny.architectures import FAMILIES, LAYERS, QUERY_HEADS
from kawhi.tiny.dataset import write_split
from kawhi.tiny.warm_start import CHECKPOINTS
from kawhi.tiny.world import problems


@pytest.fixture(scope="module")
def scene():
    """Two subjects with a place for each of two digits, and what was seen of them."""
    inspector = Inspector(str(CHECKPOINTS / "qwen2_5_vl"), AlignmentOptions(heads=[1, 2]))
    subjects = []
    for index, problem in enumerate(islice(problems("heldout", 3), 2)):
        response = torch.tensor([*inspector.tokenizer(problem.worked)["input_ids"], inspector.tokenizer.eos_token_id])
        right = {0: frozenset({1}), 7: frozenset({5}), 9: frozenset({5, 30})}
        image = problem.drawing.render(FAMILIES["qwen2_5_vl"].image_size)
        subjects.append(Subject(index, image, problem.question, "tiny", response, right))
    return inspector, subjects, list(watch(inspector, subjects))


def test_attention_on_the_right_token_is_that_of_the_state_before_the_digit(scene):
    inspector, subjects, seen = scene
    subject, found = subjects[0], seen[0]
    prompt = inspector.prompt(subject.image, subject.question)
    assert found.on_right.shape == found.hits.shape == (2, LAYERS, QUERY_HEADS)  # a first token has no state before it
    np.testing.assert_allclose(found.chance, [1 / 36, 2 / 36], rtol=1e-5)
    for layer, look in inspector.looks(prompt, subject.response, range(LAYERS)).items():
        attention = look.attention()
        for row, (index, where) in enumerate(((7, [5]), (9, [5, 30]))):
            shares = attention[:, index - 1]
            expected = shares[:, where].sum(dim=1) / shares.sum(dim=1)
            np.testing.assert_allclose(found.on_right[row, layer], expected.numpy(), rtol=1e-4)
            assert found.hits[row, layer].tolist() == [int(best) in where for best in shares.argmax(dim=1)]


def test_alpha_of_a_paragraph_is_that_of_training_in_every_layer_and_statistic(scene):
    inspector, subjects, seen = scene
    subject, found = subjects[0], seen[0]
    assert (found.kinds, found.known) == (["task", "reading", "computation", "answer"], True)
    assert found.alpha.shape == (3, LAYERS, len(STATISTICS), 4, QUERY_HEADS)
    segments = segment_response(subject.response, inspector.tokenizer, "paragraph")
    from kawhi.models.seen import seen_by_model
    from kawhi.regions.selectors import select_tokens
    from kawhi.regions.sguf import sguf

    region_map = sguf(seen_by_model(subject.image, inspector.processor.image_processor), 28)
    selected = select_tokens(region_map, "sguf", seed=subject.index)
    shown = dict(zip(IMAGES, (subject.image, blank_like(subject.image), subjects[1].image), strict=True))
    for number, image in enumerate(shown.values()):
        looks = inspector.looks(inspector.prompt(image, subject.question), subject.response, ["last", 1])
        for layer, look in ((LAYERS - 1, looks["last"]), (1, looks[1])):
            for which, statistic in enumerate(STATISTICS):
                expected = paragraph_means(look.making(statistic).alpha(selected), segments)
                averaged = found.alpha[number, layer, which][:, [1, 2]].mean(axis=1)
                np.testing.assert_allclose(averaged, expected.numpy(), atol=1e-5)


def test_the_largest_attention_is_of_digits_only(scene):
    inspector, subjects, seen = scene
    texts = [inspector.tokenizer.decode([token]) for token in subjects[0].response.tolist()]
    assert seen[0].largest.shape == (2, sum(map(str.isdecimal, texts)), LAYERS, QUERY_HEADS)


def made(kinds, tops, *, right=0.0, digits=1, blank=0.1, known=True) -> Seen:
    """A response of one layer and two heads whose paragraphs ``tops`` are on top of each image, for every statistic."""
    alpha = np.zeros((3, 1, len(STATISTICS), len(kinds), 2))
    for image, top in enumerate(tops):
        alpha[image, 0, :, top, 0] = 1.0  # the other head sees nothing
    on_right = np.full((digits, 1, 2), [right, 0.1], np.float32)
    largest = np.stack([np.full((2, 1, 2), 0.5), np.full((2, 1, 2), blank)]).astype(np.float32)
    return Seen(kinds, known, alpha, on_right, on_right > 0.4, np.full(digits, 0.1, np.float32), largest)


FOUR, TWO = ["task", "reading", "computation", "answer"], ["reading", "answer"]


def test_counts_how_often_a_paragraph_that_reads_is_on_top():
    seen = [
        made(FOUR, (1, 0, 1), right=0.5),
        made(TWO, (0, 1, 0), right=0.6),
        made(["answer"], (0, 0, 0), right=0.7),  # nothing to compare
        made(FOUR, (2, 0, 1), right=0.6),
    ]
    found = summary(seen, [0])
    assert (found["responses"], found["compared"], found["digits_located"]) == (4, 3, 4)
    assert found["chance"] == pytest.approx((0.25 + 0.5 + 0.25) / 3)
    assert found["reading_heads"] == [{"layer": 0, "heads": [0]}]
    assert found["best_layer"] == 0
    assert found["heads"][0]["right"] == pytest.approx(0.6)
    assert found["heads"][0]["uniform"] == pytest.approx(0.1)
    rows = {(row["statistic"], row["averaged"]): row for row in found["top"]}
    assert len(rows) == len(STATISTICS) * 3
    for row in rows.values():
        assert [row[image] for image in IMAGES] == pytest.approx([2 / 3, 0, 1], abs=1e-6)
    assert rows["max_attention", "all"]["heads"] == [0, 1]
    assert rows["max_attention", "reading"]["heads"] == [0]


def test_without_places_the_blank_image_tells_which_heads_read():
    found = summary([made(FOUR, (1, 1, 1), digits=0, known=False)] * 2, None)
    assert [head["reads"] for head in found["heads"]] == [True, True]
    assert "right" not in found["heads"][0]
    found = summary([made(FOUR, (1, 1, 1), digits=0, blank=0.4, known=False)] * 2, None)
    assert found["reading_heads"] == []
    assert found["best_layer"] is None
    text = page(found | {"model": "m", "data": "d", "command": "c"})
    assert "No head does." in text
    assert "told by its form alone" in text
    assert "right token" not in text


def test_the_page_says_what_the_null_is_and_leaves_out_what_does_not_matter(monkeypatch):
    found = summary([made(FOUR, (1, 0, 1), right=0.6)] * 2, [0]) | {"model": "m", "data": "d", "command": "kawhi it"}
    text = page(found)
    assert "A wrong image is read, too" in text
    assert alpha_report.NO_VERDICTS in text
    assert page(found, "the signal").endswith("the signal\n")
    assert "`kawhi.alignment.layer=0 kawhi.alignment.heads=[0]`" in text
    assert "| 0 | 0 ● | 60.0 % | 10.0 % | 6.0 | 100.0 % | 50.0 % | 10.0 % |" in text
    assert "| 0 | max_attention | all (0, 1) | 100.0 % | 0.0 % | 100.0 % | [34, 100] |" in text
    assert "rows" not in text
    monkeypatch.setattr(alpha_report, "_FEW", 1)
    assert "These are 1 of 2 rows" in page(found)


def test_nothing_to_compare_is_said():
    found = summary([made(["answer"], (0, 0, 0), right=0.6)], None)
    assert (found["top"], found["chance"]) == ([], None)
    assert "No response has a paragraph that reads" in page(found | {"model": "m", "data": "d", "command": "c"})


def ran(*arguments: str) -> int:
    return main(["probe", "alpha", *arguments])


def test_a_drawn_world_gives_a_page_and_its_numbers(tmp_path, capsys):
    assert ran("--model", "tiny_qwen3_vl", "--data", "reading_plain", "--problems", "2", "--out", str(tmp_path)) == 0
    printed = capsys.readouterr().out
    assert "2 of 2 responses seen" in printed
    found = json.loads((tmp_path / "alpha.json").read_text())
    assert (found["model"], found["critical_heads"], found["readings_known"]) == ("tiny_qwen3_vl", [0, 3], True)
    assert found["digits_located"] >= 2
    assert found["chance"] == 0.25
    text = (tmp_path / "alpha.md").read_text()
    assert text.startswith("# What alpha sees: tiny_qwen3_vl on reading_plain\n")
    assert text.endswith(f"{alpha_report.NO_VERDICTS}\n")


@pytest.mark.slow
def test_the_reading_world_s_own_model_is_asked_for_its_gradient_too(tmp_path):
    words = ["--model", "tiny_reading_qwen2_5_vl", "--data", "reading_plain", "--problems", "2", "--prompts", "4"]
    assert ran(*words, "--out", str(tmp_path)) == 0
    text = (tmp_path / "alpha.md").read_text()
    assert re.search(r"^\| reading +\|", text.partition("## Where the gradient's signal lies")[2], re.MULTILINE)
    found = json.loads((tmp_path / "probe-tiny_reading_qwen2_5_vl-grpo.json").read_text())
    assert set(found["clear"]) == {"SGD", "Adam"}


def test_one_problem_has_no_wrong_image(tmp_path, capsys):
    file = tmp_path / "one.parquet"
    write_split(file, "heldout", 1, 168, 0)
    assert ran("--model", "tiny_qwen2_5_vl", "--data", str(file), "--max-new-tokens", "5") == 1
    assert capsys.readouterr().err == f"error: {file} has 1 problem(s); a wrong image needs two\n"


def test_other_data_are_answered_by_the_model_itself(tmp_path):
    """The same problems under a name of which nothing is known."""
    file = tmp_path / "problems.parquet"
    write_split(file, "heldout", 3, 168, 0)
    rows = schema.pq.read_table(file).to_pylist()
    schema.write(file, [row | {"data_source": "geo3k"} for row in rows])
    arguments = ["--model", str(CHECKPOINTS / "qwen2_5_vl"), "--data", str(file), "--problems", "2"]
    assert ran(*arguments, "--max-new-tokens", "60", "--heads", "3,0", "--out", str(tmp_path)) == 0
    found = json.loads((tmp_path / "alpha.json").read_text())
    assert (found["critical_heads"], found["readings_known"], found["digits_located"]) == ([0, 3], False, 0)
    assert found["command"].endswith("--max-new-tokens 60 --heads 3,0")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "tiny_qwen2_5_vl", "--data", "geo3k"], "validation.parquet; run `kawhi prepare geo3k` first"),
        (["--model", "tiny_qwen2_5_vl", "--data", "nothing"], "there is no file nothing, and no data set of that name"),
        (["--model", "no/model", "--data", "tiny"], "there is no model folder no/model"),
        (["--model", "tiny_qwen2_5_vl", "--data", "tiny", "--heads", "a"], "--heads takes numbers with commas"),
        (["--model", "tiny_qwen2_5_vl", "--data", "tiny", "--heads", "7"], "has the heads 0 to 3, not [7]"),
    ],
)
def test_a_mistake_is_one_sentence(capsys, monkeypatch, tmp_path, arguments, sentence):
    monkeypatch.setattr("kawhi.base.checkout.RESULTS", tmp_path)
    assert ran(*arguments) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.startswith("error: ")
