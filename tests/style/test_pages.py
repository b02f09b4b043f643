"""The frame that every page has."""

from __future__ import annotations

import jinja2
import pytest

from kawhi.style.pages import templates

PAGE = (
    '{% extends "frame.html" %}{% block title %}{{ text }}{% endblock %}{% block body %}<p>{{ text }}</p>{% endblock %}'
)


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.html").write_text(PAGE)
    return templates(str(tmp_path / "module.py")).get_template("own.html")


def test_text_is_text_and_the_style_is_inside(own):
    page = own.render(text="</p><script>")
    assert "<title>&lt;/p&gt;&lt;script&gt;</title>" in page
    assert "<p>&lt;/p&gt;&lt;script&gt;</p>" in page
    assert "--vermilion: #D55E00" in page
    assert "<link" not in page


def test_a_value_that_is_missing_is_an_error(own):
    with pytest.raises(jinja2.UndefinedError, match="text"):
        own.render()
