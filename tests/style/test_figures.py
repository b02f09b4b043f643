"""Figures in files."""

from __future__ import annotations

from matplotlib.figure import Figure
from PIL import Image

from kawhi.style.figures import save


def test_a_figure_is_saved_in_every_form_that_is_asked_for(tmp_path):
    figure = Figure(figsize=(2, 1))
    figure.text(0.1, 0.5, "words")
    files = tmp_path / "new" / "a.png", tmp_path / "new" / "a.pdf"
    save(figure, files)
    assert Image.open(files[0]).convert("L").getextrema()[0] < 100
    assert files[1].read_bytes().startswith(b"%PDF")
