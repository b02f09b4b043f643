"""What is kept about lost responses, and which rows are not tried a third time."""

from __future__ import annotations

import pytest

from kawhi.base import lost


def prompt(index=7, **about) -> dict:
    """What verl knows about a response when it fails: it has put the image into the message."""
    parts = [{"type": "image", "image": object()}, {"type": "text", "text": "Why\n is it?"}]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}]
    return {"index": index, "global_steps": 3, "raw_prompt": messages, "extra_info": about}


@pytest.fixture
def launch(tmp_path):
    """Begins a launch of the training, which is told by its metrics file, and loses responses in it."""
    (tmp_path / "train").mkdir()

    def losing(*lost_ones: tuple[BaseException, dict]) -> None:
        number = len(list(tmp_path.glob("train/metrics-*")))
        (tmp_path / "train" / f"metrics-{number}.jsonl").touch()
        for error, of_prompt in lost_ones:
            lost.note(tmp_path, error, of_prompt)

    return losing


def test_a_loss_is_told_by_row_and_cause(tmp_path, launch):
    assert lost.losses(tmp_path) == []
    two_lines = ValueError("no such\ntoken")
    launch((two_lines, prompt(id="q7")), (two_lines, prompt(id="q7")), (KeyError("x"), prompt(8)))
    found = lost.losses(tmp_path)
    assert [(each.launch, each.step, each.index, each.id) for each in found] == [(1, 3, "7", "q7")] * 2 + [
        (1, 3, "8", None)
    ]
    assert (
        lost.described(found)
        == "row 7 (id q7, 'Why is it?'): ValueError: no such token; row 8 ('Why is it?'): KeyError: 'x'"
    )
    assert lost.described([*found, *(lost.Lost(1, 3, str(n), None, "", "x", True) for n in range(3))]).endswith(
        "; and 2 more"
    )


def test_an_error_of_another_process_is_its_last_line(tmp_path, launch):
    class RayTaskErrorOfAReward(Exception):
        """As Ray names what another process raised."""

    RayTaskErrorOfAReward.__name__ = "RayTaskError(AttributeError)"
    launch((RayTaskErrorOfAReward("Traceback:\n  File x\nAttributeError: no strip"), prompt()))
    assert lost.losses(tmp_path)[0].cause == "AttributeError: no strip"


def test_a_row_that_two_launches_lost_is_not_tried_again(tmp_path, launch):
    launch((ValueError("bad"), prompt(7)), (ValueError("bad"), prompt(7)), (ValueError("bad"), prompt(8)))
    assert lost.lost_twice(tmp_path) == []
    launch((ValueError("worse"), prompt(7)), (ValueError("bad"), prompt(9)))
    assert [(each.index, each.cause) for each in lost.lost_twice(tmp_path)] == [("7", "ValueError: worse")]


@pytest.mark.parametrize("error", [TimeoutError("late"), ConnectionError("gone"), OSError("disk")])
def test_what_the_machine_did_says_nothing_about_a_row(tmp_path, launch, error):
    launch((error, prompt()))
    launch((error, prompt()))
    assert lost.lost_twice(tmp_path) == []
