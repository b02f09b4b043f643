"""Text in lines that fit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kawhi.style.lettering import width, wrapped

texts = st.text(st.sampled_from("ab Wil.\n 图中的 $\\{}\t"), max_size=120)


@given(text=texts, most=st.integers(1, 3))
def test_lines_fit_and_what_is_left_out_ends_in_an_ellipsis(text, most):
    lines, cut = wrapped(text, 1.0, 9), wrapped(text, 1.0, 9, most=most)
    assert all(width(line, 9) <= 1.0 for line in [*lines, *cut])
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert len(cut) == min(len(lines), most)
    assert (len(lines) > most) == cut[-1].endswith("…")
