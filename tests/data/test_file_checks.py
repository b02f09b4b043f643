"""What a row must be to be trained on, whether `kawhi prepare` makes it or somebody brings it."""

from __future__ import annotations

import io
from functools import cache
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kawhi.base.checkout import resolve_package_paths
from kawhi.base.errors import CellError
from kawhi.data import schema
from kawhi.data.example_checks import Dropped, Unfit, check, image_sizes, refuse_row
from kawhi.data.file_checks import check_file
from kawhi.data.prompt_length import PromptLength
from kawhi.data.prompts import compose
from kawhi.data.sources.base import Example
from tests.data.layouts import picture

LIMIT = 200
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just("<image>"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "bytes", "path", "ground_truth", "index"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)


@cache
def measure(family: str = "qwen2_5_vl") -> PromptLength:
    return PromptLength.of(resolve_package_paths(f"pkg://kawhi.tiny/checkpoints/{family}"))


def encoded(width: int = 40, height: int = 30, mode: str = "RGB", kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (width, height)).save(buffer, kind)
    return buffer.getvalue()


def row(**changed) -> dict:
    """A row that can be trained on, but for what is changed."""
    made = schema.example(
        source="own",
        split="train",
        index=3,
        id="q3",
        images=[encoded()],
        prompt="<image>Why?",
        question="Why?",
        answer="7",
        task="t",
    )
    return made | changed


def said(*rows: dict, folder, types: pa.Schema | None = None) -> str:
    """What a file with these rows is refused with; empty when it is not."""
    pq.write_table(pa.Table.from_pylist(list(rows), schema=types), folder / "own.parquet")
    try:
        check_file(folder / "own.parquet", measure(), LIMIT)
    except CellError as error:
        return str(error).removeprefix(f"{folder / 'own.parquet'}")
    return ""


def user(text: str, *before: tuple[str, str]) -> dict:
    messages = [*before, ("user", text)]
    return {"prompt": [{"role": role, "content": content} for role, content in messages]}


def pictures(*contents: bytes | None) -> dict:
    return {"images": [{"bytes": content} for content in contents]}


def truth(value) -> dict:
    return {"reward_model": {"style": "rule", "ground_truth": value}}


HALF = picture(0, (64, 64))[:2000], picture(0, (64, 64), "JPEG")[:2000]
ODD = {
    "no image": (pictures(), "1 <image> marker(s) but 0 image(s)"),
    "images of nothing": ({"images": None}, "1 <image> marker(s) but 0 image(s)"),
    "no marker": (user("Why?"), "0 <image> marker(s) but 1 image(s)"),
    "too many markers": (user("<image>Why?", ("system", "Look: <image>")), "2 <image> marker(s) but 1 image(s)"),
    "no question": (user("<image> "), "no user message with a question in it"),
    "no user": ({"prompt": [{"role": "system", "content": "<image>Why?"}]}, "no user message with a question in it"),
    "no content": ({"prompt": [{"role": "user", "content": None}]}, "message 1 of the prompt is not a role and a"),
    "no prompt": ({"prompt": None}, "the prompt is empty, not a list of messages with role and content"),
    "a video": (user("<image>What is <video>?"), "verl takes <video> in a message for an input"),
    "an input's token": (user("<image>What is <|image_pad|>?"), "the model takes <|image_pad|> in a message for a"),
    "a hidden token": (user("<image>Why?", ("system", "<|video_pad|>")), "the model takes <|video_pad|> in a"),
    "not an image": (pictures(b"no image"), "the image cannot be decoded: cannot identify image file"),
    "an empty image": (pictures(b""), "the image cannot be decoded: cannot identify image file"),
    "no bytes": (pictures(None), "the image cannot be decoded: cannot identify image file"),
    "half a PNG": (pictures(HALF[0]), "the image cannot be decoded: "),
    "half a JPEG": (pictures(HALF[1]), "the image cannot be decoded: "),
    "the second one": (pictures(encoded(), b"") | user("<image><image>Why?"), "image 2 cannot be decoded: "),
    "one pixel": (pictures(encoded(1, 1)), "the image has 1 x 1 pixels; the least side is 28"),
    "a strip": (pictures(encoded(28, 5601)), "the image has 28 x 5601 pixels; the highest ratio is 200"),
    "too long": (user("<image>" + "7 " * 150), "350 tokens, 40 of them for images; the limit is 200"),
    "too long behind a system message": (user("<image>" + "7 " * 150, ("system", "Be brief.")), "the limit is 200"),
    "too long with an earlier answer": (user("<image>Why?", ("assistant", "7 " * 150)), "the limit is 200"),
    "no truth": (truth(None), "no ground_truth in reward_model"),
    "an empty truth": (truth(" "), "no ground_truth in reward_model"),
    "no reward_model": ({"reward_model": None}, "no ground_truth in reward_model"),
    "no data_source": ({"data_source": None}, "the data_source is empty, not a text"),
    "an index of nothing": ({"extra_info": {"id": "q3", "index": None}}, "the index in extra_info is empty, not a"),
}


@pytest.mark.parametrize(("change", "told"), ODD.values(), ids=ODD)
def test_a_row_that_cannot_be_trained_on_is_named_with_the_reason(tmp_path, change, told):
    found = said(row(), row(**change), row(), folder=tmp_path, types=schema.SCHEMA)
    assert found.startswith(": 1 of 3 rows cannot be trained on: row 1 (id q3): "), found
    assert told in found
    assert found.endswith("; mend or drop them")
    assert "\n" not in found


OTHER_FORM = {
    "whole numbers": (truth(7), "the ground_truth 7 is a whole number, not a text"),
    "numbers": (truth(7.5), "the ground_truth 7.5 is a number, not a text"),
    "lists": (truth(["7", "8"]), "the ground_truth ['7', '8'] is a list, not a text"),
    "yes and no": (truth(True), "the ground_truth True is true or false, not a text"),
    "no truth at all": ({"reward_model": {"style": "rule"}}, "no ground_truth in reward_model"),
    "a text as prompt": ({"prompt": "<image>Why?"}, "the prompt is a text, not a list of messages"),
    "parts as content": (
        {"prompt": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}]},
        "message 1 of the prompt is not a role and a content that are texts",
    ),
    "messages without roles": ({"prompt": [{"content": "<image>Why?"}]}, "message 1 of the prompt is not a role"),
    "paths": ({"images": ["a/b.png"]}, "the image is the path 'a/b.png': put the file's bytes into the row"),
    "paths in a struct": ({"images": [{"bytes": None, "path": "b.png"}]}, "the image is the path 'b.png': put the"),
    "paths alone": ({"images": [{"image": "b.png"}]}, "the image is the path 'b.png': put the file's bytes"),
    "bare bytes": ({"images": [encoded()]}, "the image is bytes, not {'bytes': ...}"),
    "one image": ({"images": {"bytes": encoded()}}, "images is a struct, not a list"),
    "indices in words": ({"extra_info": {"id": "q3", "index": "3"}}, "the index in extra_info is a text, not a"),
    "a text about it": ({"extra_info": "q3"}, "extra_info is a text, not a struct"),
}


@pytest.mark.parametrize(("change", "told"), OTHER_FORM.values(), ids=OTHER_FORM)
def test_a_file_of_another_form_is_told_what_is_wrong(tmp_path, change, told):
    found = said(row(**change), row(**change), folder=tmp_path)
    assert "2 of 2 rows cannot be trained on: row 0" in found
    assert told in found


def test_many_rows_are_counted_and_the_first_are_named(tmp_path, capsys):
    found = said(*[row(**truth(""))] * 7, row(), folder=tmp_path)
    assert found.startswith(": 7 of 8 rows cannot be trained on: row 0 (id q3): no ground_truth in reward_model; row 1")
    assert "row 4 (id q3): no ground_truth in reward_model; and 2 more, all in the log of this stage; mend" in found
    assert "row 6 (id q3): no ground_truth" in capsys.readouterr().out


def test_other_columns_are_named_beside_those_that_are_expected(tmp_path):
    pq.write_table(pa.table({"question": ["Q?"], "images": [[]]}), tmp_path / "own.parquet")
    with pytest.raises(
        CellError,
        match="lacks the columns data_source, prompt, reward_model: data_source, prompt, images, reward_model are "
        "expected, and it has question, images",
    ):
        check_file(tmp_path / "own.parquet")


def test_no_parquet_file_is_one_sentence(tmp_path):
    (tmp_path / "own.parquet").write_text("{}")
    with pytest.raises(CellError, match=r"own.parquet cannot be read as parquet \("):
        check_file(tmp_path / "own.parquet")


FINE = {
    "two images": pictures(encoded(), encoded()) | user("<image>or<image>?"),
    "markers in any message": pictures(encoded(), encoded()) | user("<image>Why?", ("system", "Like <image>.")),
    "a question in text alone": pictures() | user("Why?"),
    "nothing more about it": {"extra_info": None},
    "the least side and the highest ratio": pictures(encoded(28, 5600)),
    "CMYK": pictures(encoded(mode="CMYK", kind="JPEG")),
    "16 bits": pictures(encoded(mode="I;16")),
    "a palette": pictures(encoded(mode="P", kind="GIF")),
    "tags that are no tokens": user("<image>Why <think>, <im_end> or < | image_pad | >?"),
    "another alphabet": user("<image>为什么 🙂\u3000?"),
}


@pytest.mark.parametrize("change", FINE.values(), ids=FINE)
def test_an_odd_row_that_can_be_trained_on_passes(tmp_path, change):
    assert not said(row(), row(**change), folder=tmp_path, types=schema.SCHEMA)


def test_a_file_may_be_empty_of_rows_and_bring_paths_beside_bytes(tmp_path):
    schema.write(tmp_path / "empty.parquet", [])
    assert check_file(tmp_path / "empty.parquet") == 0
    assert not said(row(images=[{"bytes": encoded(), "path": "b.png"}]), folder=tmp_path)


@settings(deadline=None)
@given(
    ANYTHING,
    st.fixed_dictionaries({}, optional=dict.fromkeys(("prompt", "images", "reward_model", "extra_info"), ANYTHING)),
)
def test_whatever_a_row_holds_it_is_a_sentence_at_worst(source, changes):
    strange = row(data_source=source, **changes)
    for checked in (lambda: refuse_row(strange, ("<|image_pad|>",)), lambda: image_sizes(strange)):
        told = "a sentence"
        try:
            checked()
        except Unfit as why:
            told = why.detail
        assert told
        assert "\n" not in told


QUESTIONS = st.text(max_size=40) | st.sampled_from(["<image>", "<|image_pad|>", "<audio>", "<image>" + "7 " * 150, " "])
SIDES = st.sampled_from([1, 27, 28, 40, 5601])


@settings(deadline=None, max_examples=60)
@given(
    parts=st.lists(QUESTIONS, max_size=3),
    answer=st.text(max_size=5),
    sizes=st.lists(st.tuples(SIDES, SIDES).filter(lambda size: size[0] * size[1] < 10**6), max_size=2),
)
def test_what_prepare_keeps_is_what_a_file_may_bring(parts, answer, sizes):
    """One set of checks: `kawhi prepare` asks for an image and an answer besides."""
    question, contents = "".join(parts), [encoded(*size) for size in sizes]
    images = tuple(lambda content=content: content for content in contents)
    made = check(Example("q3", 3, question, answer.strip(), images, "t"), "own", "train", measure(), LIMIT)
    asked = row(**pictures(*contents), **user(compose(question, len(images))), **truth(answer))
    try:
        messages, found = refuse_row(asked, measure().special), image_sizes(asked)
        fits = measure()(messages, found).total <= LIMIT
    except Unfit:
        fits = False
    assert isinstance(made, dict) == (fits and bool(images) and bool(question.replace("<image>", "").strip()))
    if isinstance(made, Dropped):
        assert made.reason


INPUTS = ["<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]


def test_the_tokens_that_stand_for_inputs_are_those_of_the_model_s_tokenizer(family):
    assert set(INPUTS) <= set(measure(family).special)


def test_qwen_s_own_tokenizer_has_them_too(qwen_tokenizer):
    special = PromptLength(SimpleNamespace(tokenizer=qwen_tokenizer)).special
    assert set(INPUTS) <= set(special)
    assert "<think>" not in special
