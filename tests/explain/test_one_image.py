"""What is computed for an image: the numbers of training, of exactly the pixels that the model sees."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from PIL import Image

from kawhi import paragraph_weights, segment_response, select_tokens, sguf
from kawhi.explain.checkpoint import model_folder, open_inspector
from kawhi.explain.gather import choose_wrong_image, encode_response
from kawhi.explain.one_image import explain_image
from kawhi.explain.page import render
from kawhi.explain.settings import CRITICAL_HEADS, SHIPPED, Settings
from kawhi.explain.words import verdict
from kawhi.probes.grounding import CONDITIONS, compare, look_under

ODD = (
    '<script>alert("x")</script> & $\\frac{1}{2}$\n\n' + "W" * 300 + "\n\n图中A的值是3。\n\n<|im_end|><|image_pad|> end"
)


def explain(inspector, image, question="What is A?", settings=None, **more):
    return explain_image(inspector, settings or Settings(), image, question, title="chart.png", **more)


@pytest.fixture(scope="module")
def worked(inspector, drawing, problem):
    return explain(inspector, drawing, problem.question, text=problem.worked)


def test_alpha_weights_and_selection_are_those_of_the_library(inspector, drawing, problem, worked):
    ids = [*inspector.tokenizer(problem.worked).input_ids, inspector.tokenizer.eos_token_id]
    regions = sguf(drawing, 28)
    selected = select_tokens(regions, "sguf")
    assert worked.scene.kept == selected.tolist()
    assert worked.scene.labels == regions.labels.ravel().tolist()
    assert worked.scene.key == regions.key_tokens.ravel().tolist()
    alpha = inspector.look(inspector.prompt(drawing, problem.question), ids).alpha(selected)
    segments = segment_response(ids, inspector.tokenizer)
    weights = paragraph_weights(alpha, segments)
    paragraphs = worked.answers[0].paragraphs
    assert [p.text for p in paragraphs] == list(problem.paragraphs)
    for j, paragraph in enumerate(paragraphs):
        assert paragraph.alpha == pytest.approx(alpha[segments == j].mean().item(), abs=1e-6)
        assert paragraph.weight == pytest.approx(weights[segments == j][0].item(), abs=1e-6)
        assert paragraph.tokens == int((segments == j).sum())


def test_heat_and_heads_average_to_alpha(worked):
    for paragraph in worked.answers[0].paragraphs:
        assert np.mean(paragraph.head_alpha) == pytest.approx(paragraph.alpha, abs=1e-4)
        assert np.mean(np.array(paragraph.heat)[worked.scene.kept]) == pytest.approx(paragraph.alpha, abs=1e-4)


def test_controls_are_those_of_the_probe(inspector, drawing, problem, worked):
    ids = encode_response(inspector.tokenizer, problem.worked)
    segments = segment_response(ids, inspector.tokenizer)
    regions = sguf(drawing, 28)
    options = {
        "selected": select_tokens(regions, "sguf"),
        "background": np.flatnonzero(~regions.key_tokens),
        "other_image": choose_wrong_image(inspector, drawing)[0],
    }
    true, _ = look_under(inspector, drawing, problem.question, ids, "true_image", **options)
    assert [control.condition for control in worked.answers[0].controls] == list(CONDITIONS)
    for control in worked.answers[0].controls:
        alpha, log_prob = look_under(inspector, drawing, problem.question, ids, control.condition, **options)
        assert control.comparison == compare(alpha, true, log_prob, segments)


def test_it_is_plain_data(worked):
    assert json.loads(json.dumps(asdict(worked), allow_nan=False)) == json.loads(json.dumps(asdict(worked)))


def test_all_heads_are_shown_and_some_averaged(drawing, problem):
    settings = Settings(alignment=replace(Settings().alignment, heads=CRITICAL_HEADS[SHIPPED]))
    found = explain(open_inspector(SHIPPED, settings.alignment), drawing, settings=settings, text=problem.worked)
    assert found.heads == [1, 2]
    for paragraph in found.answers[0].paragraphs:
        assert len(paragraph.head_alpha) == 4
        assert np.mean(paragraph.head_alpha[1:3]) == pytest.approx(paragraph.alpha, abs=1e-4)


@pytest.mark.parametrize("size", [(2000, 1500), (90, 400), (30, 30)])
def test_an_image_of_any_size_has_the_grid_the_model_sees(inspector, size):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    found = explain(inspector, image, text="One.\n\nTwo.")
    assert found.scene.width == 28 * found.scene.columns
    assert found.scene.height == 28 * found.scene.rows
    assert len(found.answers[0].paragraphs[0].heat) == found.scene.rows * found.scene.columns


def test_odd_text_comes_back_as_it_was(inspector, drawing):
    question = ODD.replace("<|image_pad|>", "")
    found = explain(inspector, drawing, question, text=ODD)
    assert [p.text for p in found.answers[0].paragraphs] == ODD.split("\n\n")
    assert found.question == question


def test_no_token_selected_is_said(inspector):
    blank = Image.new("RGB", (168, 168), "white")
    found = explain(inspector, blank, settings=Settings(skip_ratio=1.0), text="One.\n\nTwo.")
    assert found.scene.kept == []
    assert [p.alpha for p in found.answers[0].paragraphs] == [0, 0]
    assert len({p.weight for p in found.answers[0].paragraphs}) == 1
    assert any("No visual token is selected" in note for note in found.notes)


def test_the_model_answers_where_no_response_is_given(inspector, drawing, problem):
    greedy = explain(inspector, drawing, problem.question)
    assert greedy.answers[0].name == "Greedy answer"
    assert len(greedy.answers[0].paragraphs) >= 1
    sampled = explain(inspector, drawing, problem.question, seeds=[1, 2])
    assert [answer.name for answer in sampled.answers] == ["Answer sampled with seed 1", "Answer sampled with seed 2"]
    cut = explain(inspector, drawing, problem.question, max_new_tokens=3)
    assert cut.answers[0].notes == ["The answer was cut off after 3 tokens."]


@pytest.mark.parametrize("strategy", ["all", "random", "inverse", "visionzip"])
def test_every_strategy(inspector, drawing, strategy):
    found = explain(inspector, drawing, settings=Settings(strategy=strategy), text="One.\n\nTwo.")
    assert len(found.scene.kept) == {"all": 36, "visionzip": 18}.get(strategy, len(found.scene.kept)) > 0


def test_a_question_with_image_tokens_is_refused(inspector, drawing):
    with pytest.raises(ValueError, match=r"the question holds <\|image_pad\|>, which stands for an image"):
        explain(inspector, drawing, "What is <|image_pad|>?", text="One.")


def test_a_template_that_drops_the_image_is_told(inspector, drawing, monkeypatch):
    monkeypatch.setattr(
        inspector.processor, "chat_template", "{% for m in messages %}{{ m['content'][1]['text'] }}{% endfor %}"
    )
    with pytest.raises(ValueError, match=r"0 image tokens .* the chat template drops the image"):
        explain(inspector, drawing, text="One.")


@pytest.mark.parametrize("text", ["", " \n\n "])
def test_an_empty_response_is_refused(inspector, drawing, text):
    with pytest.raises(ValueError, match="the response is empty"):
        explain(inspector, drawing, text=text)


def test_the_wrong_image_is_another_one(inspector, drawing):
    other, words = choose_wrong_image(inspector, drawing)
    assert other.size == drawing.size
    assert np.abs(np.asarray(other, int) - np.asarray(drawing, int)).max() > 0
    assert words == "another drawing of the tiny world"


def test_models_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match="there is no model folder"):
        model_folder(str(tmp_path / "none"))
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ValueError, match="of type llama; only qwen2_5_vl and qwen3_vl"):
        open_inspector(str(tmp_path), None)


def test_a_picture_that_is_no_drawing_is_told(inspector, drawing, problem):
    """Of a photograph the tiny model's answer is noise, whatever its alphas do; this one has no background, either."""
    assert explain(inspector, drawing, problem.question, text=problem.worked).notes == []
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (168, 168, 3), dtype=np.uint8))
    found = explain(inspector, photo, problem.question, text=problem.worked)
    all_key, no_drawing = found.notes
    assert "no control with the background alone" in all_key
    assert "has learnt to read grey drawings" in no_drawing
    assert "This model cannot read such a picture" in verdict(found.answers[0], "paragraph")
    assert [control.condition for control in found.answers[0].controls] == [*CONDITIONS[:3]]
    assert '<th scope="row">background only' not in render(found)
