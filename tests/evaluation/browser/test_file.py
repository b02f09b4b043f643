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
from kawhi.evaluation.samples import write_samples
from tests.evaluation.made import MADE, TINY, make_run, responses


def test_the_file_names_no_other(files):
    text = files["run"].read_text(encoding="utf-8")
    assert re.findall(r"\s(?:src|href|action|data|poster|srcset)=\"([^\"]*)", text) == ["data:,"]
    assert text.count("<script>") == 1
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_limit_keeps_the_first_and_says_so(run):
    book = gather(run, limit=2)
    assert [(s["task"], s["id"]) for s in book.samples] == [(MADE, "0"), (MADE, "1"), (TINY, "0"), (TINY, "1")]
    assert [row.n for row in book.summaries] == [7, 4]
    assert "7 samples are left out of this page" in render(book)


def test_an_image_that_several_samples_share_is_there_once(run):
    book = gather(run, MADE)
    assert len(book.samples) == 7
    assert len(book.images) == 2


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


def test_a_run_without_samples_is_one_sentence(tmp_path, run):
    with pytest.raises(CellError, match=r"has no samples of kawhi_nope; it has kawhi_made, kawhi_tiny"):
        gather(run, "kawhi_nope")
    empty = make_run(tmp_path)
    for task in (MADE, TINY):
        (empty.evaluation(task) / "samples.parquet").unlink()
    with pytest.raises(CellError, match="has no samples yet"):
        gather(empty)


def test_samples_of_another_version_are_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    run = make_run(tmp_path)
    pq.write_table(pa.table({"id": [1]}), run.evaluation(TINY) / "samples.parquet")
    with pytest.raises(CellError, match=r"lacks extraction, .*: another version wrote it"):
        gather(run)
    (run.evaluation(TINY) / "samples.parquet").write_text("nonsense")
    with pytest.raises(CellError, match="is not a parquet file"):
        gather(run)
    write_samples(run.evaluation(TINY) / "samples.parquet", responses()[TINY])
    assert len(gather(run).samples) == 11
