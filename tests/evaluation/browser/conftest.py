"""Runs and their samples pages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kawhi.evaluation.browser.gather import gather
from kawhi.evaluation.browser.page import render
from tests.evaluation.made import MADE, TINY, known, make_run, sample
from tests.explain.browser import tab  # noqa: F401

MANY = 4000


@pytest.fixture(scope="module", autouse=True)
def known_benchmark():
    with pytest.MonkeyPatch.context() as patch:
        known(patch)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def files(tmp_path_factory, run) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    long = "A line of the response that is as long as many are.\n\n" * 60
    many = {TINY: [replace(sample(TINY, i, f"{long}\\boxed{{{i}}}"), prompt=long) for i in range(MANY)]}
    odd = replace(sample(MADE, 1, "It is a/b%20c"), id="p/1 %zz <b>", run="p")
    odd_image = replace(sample(MADE, 2, "No image"), images=["lost"])
    runs = {
        "run": run,
        "many": make_run(tmp_path_factory.mktemp("many"), **many),
        "odd": make_run(tmp_path_factory.mktemp("odd"), **{MADE: [odd, odd_image]}),
    }
    for name, each in runs.items():
        (folder / f"{name}.html").write_text(render(gather(each.run.evaluations())), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in runs}
