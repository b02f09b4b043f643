"""What is written into the samples page, and what is refused."""

from __future__ import annotations

import base64
import io
import re

import pytest
from PIL import Image

from kawhi.base.errors import CellError
from kawhi.evaluation.browser.gather import IMAGE_SIDE, data_uri, gather
from kawhi.evaluation.browser.page import render
from kawhi.evaluation.results import open_evaluations
from kawhi.evaluation.samples import write_samples
from tests.evaluation.made import JUDGE, MADE, OTHER_JUDGE, TINY, make_run, of, responses


def test_the_file_names_no_other(files):
    text = files["run"].read_text(encoding="utf-8")
    assert re.findall(r"\s(?:src|href|action|data|poster|srcset)=\"([^\"]*)", text) == ["data:,"]
    assert text.count("<script>") == 1
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_limit_keeps_the_first_and_says_so(run):
    book = gather(run.run.evaluations(), limit=2)
    assert [(s["task"], s["id"]) for s in book.samples] == [(MADE, "0"), (MADE, "1"), (TINY, "0"), (TINY, "1")]
    assert [row.n for row in book.summaries] == [7, 4]
    assert "7 samples are left out of this page" in render(book)


def test_an_image_that_several_samples_share_is_there_once(run):
    book = gather([of(run, MADE)])
    assert len(book.samples) == 7
    assert len(book.images) == 2


def test_a_benchmark_that_was_evaluated_twice_is_told_by_its_folders(tmp_path):
    first, second = (make_run(tmp_path, judge=judge) for judge in (JUDGE, OTHER_JUDGE))
    book = gather(open_evaluations(first.run.path))
    assert book.name == f"made/{first.run.path.name}"
    folders = {of(place, MADE).path.name for place in (first, second)}
    assert {row.task for row in book.summaries} == {each["task"] for each in book.samples} == {*folders, TINY}
    assert len(book.samples) == 7 + 7 + 4


@pytest.mark.parametrize(
    ("size", "form", "kind"), [((40, 30), "PNG", "png"), ((2000, 100), "PNG", "webp"), ((40, 30), "BMP", "webp")]
)
def test_large_images_are_made_smaller(size, form, kind):
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, form)
    head, _, body = data_uri(buffer.getvalue()).partition(",")
    assert head == f"data:image/{kind};base64"
    shown = Image.open(io.BytesIO(base64.b64decode(body)))
    assert shown.size == ((IMAGE_SIDE, 38) if size == (2000, 100) else size)


def test_what_is_no_image_has_no_address():
    assert data_uri(b"nonsense") is None


def test_samples_of_another_version_are_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    run = make_run(tmp_path)
    file = of(run, TINY).path / "samples.parquet"
    pq.write_table(pa.table({"id": [1]}), file)
    with pytest.raises(CellError, match=r"lacks extraction, .*: another version wrote it"):
        gather(run.run.evaluations())
    file.write_text("nonsense")
    with pytest.raises(CellError, match="is not a parquet file"):
        gather(run.run.evaluations())
    write_samples(file, responses()[TINY])
    assert len(gather(run.run.evaluations()).samples) == 11
