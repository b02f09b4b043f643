"""The tiny world: every answer follows from what is drawn, and no drawing is in two splits."""

from __future__ import annotations

import hashlib
import random
import re
from itertools import islice
from typing import get_args

import numpy as np
import pytest

from kawhi.credit.segments import segment_response
from kawhi.rewards.boxed import boxed_answer, is_correct
from kawhi.tiny.architectures import FAMILIES
from kawhi.tiny.drawing import PAGE, Drawing
from kawhi.tiny.world import Problem, Split, make_problem, problems, split_of

SPLITS = get_args(Split)


@pytest.fixture(scope="module")
def sample() -> list[Problem]:
    return [make_problem(random.Random(f"sample/{i}")) for i in range(600)]


def labels(drawing: Drawing) -> list[tuple[float, float, str]]:
    return [(*where, extra[0]) for kind, where, *extra in drawing.primitives if kind == "label"]


def chart_values(drawing: Drawing) -> dict[str, int]:
    """Name -> value, from the glyphs that stand above each name."""
    names = {x: character for x, _, character in drawing.glyphs if character in "ABCD"}
    return {names[x]: int(character) for x, _, character in drawing.glyphs if x in names and character.isdigit()}


def answer_from_the_drawing(problem: Problem) -> int:
    """Solves the problem from the drawing and the question, without the problem's own numbers."""
    kind, asked = problem.task.split("_")[:2]
    numbers = [int(text) for _, _, text in labels(problem.drawing) if text.isdigit()]
    if kind == "rectangle":
        width, height = numbers
        return width * height if asked == "area" else 2 * (width + height)
    if kind == "triangle":
        return sum(numbers) if asked == "perimeter" else 180 - sum(numbers)
    if kind == "circle":
        return 2 * numbers[0]
    values = chart_values(problem.drawing)
    named = [values[name] for name in re.findall(r"\b[ABCD]\b", problem.question)]
    if asked == "value":
        return named[0]
    if asked in ("largest", "smallest"):
        return (max if asked == "largest" else min)(values.values())
    return sum(named) if asked == "sum" else abs(named[0] - named[1])


def test_answers_follow_from_the_drawings(sample):
    for problem in sample:
        assert problem.answer == str(answer_from_the_drawing(problem)), problem.task


def test_every_kind_of_task_was_sampled(sample):
    charts = {
        f"{kind}_{asked}_{style}"
        for kind in ("bar", "line")
        for asked in ("value", "largest", "smallest", "difference", "sum")
        for style in ("labelled", "axis")
    }
    geometry = {"rectangle_area", "rectangle_perimeter", "triangle_perimeter", "triangle_angle", "circle_diameter"}
    assert {problem.task for problem in sample} == charts | geometry


def test_both_styles_are_correct(sample):
    for problem in sample:
        assert is_correct(problem.worked, problem.answer)
        assert is_correct(problem.short, problem.answer)
        assert problem.worked.endswith(problem.short)
        assert boxed_answer("\n\n".join(problem.paragraphs[:3])) is None  # only the last paragraph answers


def test_computations_are_true(sample):
    for problem in sample:
        chain = re.search(r"is ([\d+*() =-]+)\.$", problem.paragraphs[2])
        assert chain, problem.paragraphs[2]
        # Digits, + - * ( ) only: see the pattern above.
        results = {eval(part) for part in chain[1].split("=")}
        assert results == {int(problem.answer)}, problem.paragraphs[2]


def test_what_is_read_aloud_is_in_the_image(sample):
    for problem in sample:
        if problem.task.startswith(("bar", "line")):
            values = chart_values(problem.drawing)
            read = re.findall(r"([ABCD]) = (\d+)", problem.paragraphs[1])
            assert read
            assert all(values[name] == int(value) for name, value in read)
        else:
            shown = [text for _, _, text in labels(problem.drawing) if text.isdigit()]
            assert re.findall(r"\d+", problem.paragraphs[1]) == shown


def test_worked_answers_have_four_paragraphs_and_short_ones_one(sample, tokenizer):
    for problem in sample[:100]:
        for text, count in ((problem.worked, 4), (problem.short, 1)):
            ids = [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
            assert segment_response(ids, tokenizer).max().item() + 1 == count
        assert len(problem.paragraphs) == 4
        assert not any("\n" in paragraph for paragraph in problem.paragraphs)


def test_streams_are_reproducible_and_depend_on_the_seed():
    def fingerprints(seed: int) -> list[tuple]:
        return [(p.drawing.fingerprint(), p.question, p.worked) for p in islice(problems("train", seed), 20)]

    assert fingerprints(5) == fingerprints(5)
    assert fingerprints(5) != fingerprints(6)


def test_splits_share_no_picture():
    pictures: dict[str, set] = {}
    for split in SPLITS:
        for seed in (0, 1):
            for problem in islice(problems(split, seed), 60):
                assert split_of(problem.drawing) == split
                # The pixels, not the fingerprint: two descriptions of one picture would be a leak, too.
                picture = hashlib.sha256(problem.drawing.render(168).tobytes()).digest()
                pictures.setdefault(split, set()).add(picture)
    assert sorted(pictures) == sorted(SPLITS)
    assert sum(map(len, pictures.values())) == len(set.union(*pictures.values()))


def test_split_shares(sample):
    share = {split: np.mean([split_of(problem.drawing) == split for problem in sample]) for split in SPLITS}
    assert share == pytest.approx({"warmup": 0.4, "train": 0.3, "validation": 0.1, "heldout": 0.2}, abs=0.06)


def test_equal_fingerprints_mean_equal_pictures(sample):
    by_fingerprint = {problem.drawing.fingerprint(): problem.drawing.render(168).tobytes() for problem in sample[:200]}
    assert len(set(by_fingerprint.values())) == len(by_fingerprint)


def test_the_fingerprint_ignores_what_is_not_drawn():
    plain, annotated, moved = Drawing(), Drawing(), Drawing()
    for drawing, x in ((plain, 40), (annotated, 40), (moved, 41)):
        drawing.label(x, 50, "7")
    annotated.value_at(10, 10, 3)
    assert plain.fingerprint() == annotated.fingerprint() != moved.fingerprint()


def test_drawings_fit_the_page_at_both_sizes(sample):
    for problem in sample[:60]:
        for spec in FAMILIES.values():
            image = problem.drawing.render(spec.image_size)
            assert (image.size, image.mode) == ((spec.image_size, spec.image_size), "RGB")
            pixels = np.asarray(image)
            border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
            assert (border == 255).all()  # nothing is cut off
            assert 0.002 < (pixels < 255).mean() < 0.2  # sparse strokes on an empty page
        assert all(0 <= x <= PAGE and 0 <= y <= PAGE for x, y, _ in problem.drawing.glyphs)


def test_a_label_records_one_glyph_per_character_around_its_centre():
    drawing = Drawing()
    drawing.label(50, 60, "12", size=20)
    (x0, y0, first), (x1, y1, second) = drawing.glyphs
    assert (first, second) == ("1", "2")
    assert (y0, y1) == (60, 60)
    assert x0 < 50 < x1
    assert (x0 + x1) / 2 == pytest.approx(50)
