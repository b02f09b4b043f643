"""The sandbox's output is foreign."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image

from kawhi.evaluation.chartmimic import limits
from kawhi.evaluation.chartmimic.drawn import parse


def png(size=(3, 2), form="PNG"):
    file = io.BytesIO()
    Image.new("RGB", size).save(file, form)
    return file.getvalue()


def output(image=None, **changes):
    good = {"error": "", "texts": ["A"], "layout": [[1, 1, 0, 0, 0, 0], None], "types": {"bar": 1}}
    record = good | {"colors": [["bar", "#FF0000"]]} | changes
    return json.dumps(record).encode() + b"\n" + (png() if image is None else image)


def test_a_good_record():
    figure, error, fonts = parse(output())
    assert (error, fonts) == ("", {})
    assert figure.texts == ("A",)
    assert figure.layout == ((1, 1, 0, 0, 0, 0), None)
    assert dict(figure.types) == {"bar": 1}
    assert figure.colors == (("bar", "#FF0000"),)
    assert figure.png == png()


def test_a_failed_program():
    assert parse(b'{"error": "ValueError: no"}\n') == (None, "ValueError: no", {})


@pytest.mark.parametrize(
    "changes",
    [
        {"texts": None},
        {"texts": [1]},
        {"texts": ["A"] * (limits.TEXTS + 1)},
        {"layout": [[1, 1, 0, 0, 0]]},
        {"layout": [[1, 1, 0, 0, 0, 0.5]]},
        {"layout": [[1, 1, 0, 0, 0, -1]]},
        {"layout": "none"},
        {"types": {"bar": True}},
        {"types": {"bar": 10**9}},
        {"types": {"<script>": 1}},
        {"types": []},
        {"colors": [["bar", "#ff0000"]]},
        {"colors": [["bar"]]},
        {"colors": [["bar", "#FF0000", 1]]},
        {"error": 3},
        {"fonts": {"../x": "y"}},
    ],
)
def test_any_other_form_is_refused(changes):
    with pytest.raises(ValueError):  # noqa: PT011  any reason will do
        parse(output(**changes))


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"\n",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b"[[[[",
        b"\x80",
        b"\xff\xfe\n",
        b'{"error": NaN}\n',
        b"[" * 200_000 + b"\n",
        b'{"a":' * 100_000 + b"\n",
        output(image=b"no picture"),
        output(image=png()[:-20]),
        output(image=png(form="JPEG")),
        output(image=png((limits.PIXELS + 2, 1))),
    ],
    ids=range(15),
)
def test_no_output_does_anything_but_be_refused(given):
    with pytest.raises(ValueError):  # noqa: PT011
        parse(given)


def test_a_long_text_is_cut_and_a_broken_one_is_mended():
    figure, *_ = parse(output(texts=["x" * 10**5, "\ud800"]))
    assert len(figure.texts[0]) == limits.CHARACTERS
    assert figure.texts[1].encode() == b"?"
