"""The tiny MME, and the checkpoint that can answer it."""

from __future__ import annotations

import json
import re
from itertools import islice

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from kawhi.commands.cli import main
from kawhi.evaluation.benchmarks.mme import BENCHMARK, COGNITION, PERCEPTION, subtask_scores
from kawhi.probes.critical_heads import GUESSING
from kawhi.tiny.mme_split import END, SUBTASKS, pairs, write_mme
from kawhi.tiny.warm_start import CHECKPOINTS
from kawhi.tiny.world import split_of
from kawhi.tiny.yes_no import ENDINGS

EACH = pytest.mark.parametrize("subtask", SUBTASKS)
SOME = 60


def some(subtask, split="heldout"):
    return list(islice(pairs(subtask, split, seed=3), SOME))


def test_the_subtasks_are_mme_s_in_its_order():
    assert tuple(SUBTASKS) == (*PERCEPTION, *COGNITION)


@EACH
def test_a_pair_asks_two_questions_of_one_form(subtask):
    for pair in some(subtask):
        assert pair.true != pair.false
        assert pair.true.endswith("?")
        assert pair.false.endswith("?")
        assert not re.search(r"\b(yes|no)\b", pair.seen, re.IGNORECASE)  # it stands before the answer


@EACH
def test_the_question_alone_does_not_tell_the_answer(subtask):
    """Every question that is often asked is sometimes true and sometimes false."""
    asked = list(islice(pairs(subtask, "heldout", 3), 600))
    true, false = [pair.true for pair in asked], [pair.false for pair in asked]
    often = {question for question in true + false if (true + false).count(question) >= 40}
    assert often or subtask in ("numerical_calculation", "text_translation", "code_reasoning")
    for question in often:
        assert 0.1 < true.count(question) / (true + false).count(question) < 0.9, question


def marks(pair):
    """Letter -> value, of a chart: names stand below their marks."""
    glyphs = sorted(pair.drawing.glyphs)
    names = [(x, c) for x, _, c in glyphs if c.isalpha()]
    return {name: int(next(c for gx, _, c in glyphs if gx == x and c.isdigit())) for x, name in names}


WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def is_true(subtask, question, pair):
    """The answer, worked out from what is drawn."""
    kinds = [primitive[0] for primitive in pair.drawing.primitives]
    if subtask == "existence":
        circle, rectangle = "circle" in kinds, "rectangle" in kinds
        return {"circle": circle, "rectangle": rectangle, "triangle": not circle and not rectangle}[question.split()[3]]
    if subtask == "count":
        return kinds.count("rectangle") == WORDS.index(question.split()[2])
    if subtask == "color":
        grey = any(primitive[0] == "line" and primitive[2] for primitive in pair.drawing.primitives)
        return grey == ("grey" in question)
    if subtask == "scene":
        return ("rectangle" in kinds) == ("bar" in question)
    if subtask == "artwork":
        return any(c == "?" for *_, c in pair.drawing.glyphs) == ("angles" in question)
    if subtask == "OCR":
        return re.findall(r"\d", question)[0] in [c for *_, c in pair.drawing.glyphs]
    values = marks(pair)
    letters, digits = re.findall(r"\b[A-D]\b", question), [int(n) for n in re.findall(r"\d+", question)]
    if subtask == "position":
        low, high = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
        return (high < low) == ("left" in question)
    if subtask == "posters":
        return letters[0] in values
    if subtask in ("celebrity", "landmark"):
        return values[letters[0]] == (max if subtask == "celebrity" else min)(values.values())
    if subtask == "commonsense_reasoning":
        return (values[letters[0]] > values[letters[1]]) == ("larger" in question)
    if subtask == "numerical_calculation":
        return values[letters[0]] + values[letters[1]] == digits[0]
    if subtask == "text_translation":
        return values[letters[0]] == WORDS.index(question.split()[5])
    return (max if "max" in question else min)(values.values()) == digits[0]


@EACH
def test_the_first_question_is_true_and_the_second_is_not(subtask):
    for pair in some(subtask):
        assert is_true(subtask, pair.true, pair), (pair.true, pair.drawing.glyphs)
        assert not is_true(subtask, pair.false, pair), (pair.false, pair.drawing.glyphs)


@EACH
def test_no_drawing_is_in_two_splits(subtask):
    for split in ("warmup", "heldout"):
        assert {split_of(pair.drawing) for pair in some(subtask, split)} == {split}


@EACH
def test_what_is_learnt_to_be_said_fits_into_mme_s_tokens(subtask, tokenizer):
    for pair in some(subtask, "warmup"):
        assert len(tokenizer(f"{pair.seen}. Yes")["input_ids"]) < 16


def test_the_file_is_what_the_benchmark_reads(tmp_path):
    write_mme(tmp_path / "mme.parquet", 168, pairs_per_subtask=2, seed=1)
    rows = load_dataset("parquet", data_files=str(tmp_path / "mme.parquet"), split="train", cache_dir=str(tmp_path))
    assert rows.column_names == ["question_id", "image", "question", "answer", "category"]
    assert len(rows) == 14 * 2 * 2
    facts = [BENCHMARK.facts(row) for row in rows]
    assert len({each["id"] for each in facts}) == len(rows)
    assert all(BENCHMARK.images(row)[0].size == (168, 168) for row in rows)
    assert all(row["question"].endswith(END) for row in rows)
    asked = [BENCHMARK.prompt(row, {}) for row in rows]
    assert all(text.endswith(ENDINGS[1]) for text in asked)  # what the checkpoint was taught to hear
    assert {row["question_id"].split("/")[0] == row["category"] for row in rows} == {True}

    from kawhi.evaluation.benchmark import Scored

    right = [Scored(each, BENCHMARK.rule(each, f"B. {each['answer']}")) for each in facts]
    assert subtask_scores(right) == dict.fromkeys(SUBTASKS, 200)
    always = [Scored(each, BENCHMARK.rule(each, "Yes")) for each in facts]
    assert subtask_scores(always) == dict.fromkeys(SUBTASKS, 50)


def test_equal_arguments_give_equal_bytes(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_mme(tmp_path / name, 168, pairs_per_subtask=1, seed=seed)
    first, again, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == again != other
    assert pq.read_table(tmp_path / "a").num_rows == 28


def test_the_checkpoint_differs_from_the_shipped_one_in_its_weights_alone():
    taught, shipped = CHECKPOINTS / "qwen2_5_vl_yes_no", CHECKPOINTS / "qwen2_5_vl"
    files = {file.name for file in shipped.iterdir()}
    assert {file.name for file in taught.iterdir()} == files
    differ = [name for name in sorted(files) if (taught / name).read_bytes() != (shipped / name).read_bytes()]
    assert differ == ["model.safetensors"]


@pytest.mark.slow
def test_the_checkpoint_answers_better_than_a_coin(tmp_path):
    checkpoint = str(CHECKPOINTS / "qwen2_5_vl_yes_no")
    arguments = ["--data", "tiny", "--only", "whole", "--device", "cpu", "--out", str(tmp_path)]
    assert main(["heads", checkpoint, *arguments]) == 0
    points = sum(json.loads((tmp_path / "heads" / "whole.json").read_text())["subtasks"].values())
    assert points > GUESSING + 200  # measured: 1387.5
