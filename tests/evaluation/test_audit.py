"""Right forms of truths are right and wrong neighbours wrong, in rewards and rules alike."""

from __future__ import annotations

from tests.evaluation.audit import audit, cases


def test_no_right_form_is_wrong_and_no_wrong_neighbour_right():
    assert {kind: (missed, taken) for kind, (missed, _, taken, _) in audit().items() if missed or taken} == {}


def test_the_audit_is_large():
    assert len({(case.truth, *case.right) for case in cases()}) >= 50
    assert sum(len(case.right) for case in cases()) >= 1500
    assert sum(len(case.wrong) for case in cases()) >= 4000
