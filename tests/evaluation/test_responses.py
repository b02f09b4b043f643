"""Responses survive a kill and are never given to another prompt."""

from __future__ import annotations

import pytest

from kawhi.base.errors import CellError
from kawhi.evaluation.responses import Response, ResponseStore, prompt_hash, sample_seed


def response(index: int, text: str = "seven\n\nßo 漢") -> Response:
    return Response(index, prompt_hash(f"question {index}"), text, "stop", 3)


def test_what_was_added_is_there_again(tmp_path):
    store = ResponseStore(tmp_path / "new" / "responses.jsonl")
    store.add([response(0), response(1)])
    store.add([response(2, "\u2028 \x85")])
    again = ResponseStore(store.path)
    assert again.responses == store.responses == {i: again.responses[i] for i in range(3)}
    assert again.get(2, "question 2") == response(2, "\u2028 \x85")
    assert again.get(3, "question 3") is None


@pytest.mark.parametrize("cut", range(1, 40, 6))
def test_a_line_that_was_cut_off_is_dropped_and_the_next_one_is_whole(tmp_path, cut):
    store = ResponseStore(tmp_path / "responses.jsonl")
    store.add([response(0), response(1)])
    store.path.write_bytes(store.path.read_bytes()[:-cut])
    again = ResponseStore(store.path)
    assert list(again.responses) == [0]
    again.add([response(1), response(2)])
    assert list(ResponseStore(store.path).responses) == [0, 1, 2]


def test_a_response_to_another_prompt_is_refused(tmp_path):
    store = ResponseStore(tmp_path / "responses.jsonl")
    store.add([response(0)])
    with pytest.raises(CellError, match="has a response to another prompt for row 0: remove the file"):
        store.get(0, "another question")


def test_a_line_that_is_no_response_is_refused(tmp_path):
    (tmp_path / "responses.jsonl").write_text('{"index": 0}\n')
    with pytest.raises(CellError, match=r"line 1 of .* is no response"):
        ResponseStore(tmp_path / "responses.jsonl")


def test_every_row_has_a_seed_of_its_own():
    seeds = {sample_seed(seed, index) for seed in range(3) for index in range(100)}
    assert len(seeds) == 300
    assert all(0 <= seed < 2**31 for seed in seeds)
