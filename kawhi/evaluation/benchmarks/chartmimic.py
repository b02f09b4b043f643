"""ChartMimic: a picture of a chart in, a program that draws it out (Yang et al., ICLR 2025, arXiv 2406.09961).

The overall score is the mean of a low-level score (rules: text, layout, type, colour) and a high-level score (the judge
compares the two pictures).  A program that does not run scores 0 in both.

*Direct* Mimic asks for the picture itself.  *Customized* Mimic asks for the picture's style with other data; there the
data, a part of the reference program, are put before the response's program, as the authors do.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from kawhi.base.errors import CellError
from kawhi.evaluation.benchmark import Benchmark, JudgeQuestion, Outcome, Scored, TaskRun, one_image, refuse_unknown
from kawhi.evaluation.chartmimic import sandbox
from kawhi.evaluation.chartmimic.scores import low_level
from kawhi.evaluation.parsing import json_object, text, whole_number

logger = logging.getLogger(__name__)

LOW = ("text", "layout", "type", "color")
PROBLEMS = {"testmini": 600, "test": 1800}  # of each of the two tasks, in the release for ICLR
_UNMEASURED = 0.01  # our choice: at most this share of the samples may have a reference program that does not run
_CODE = re.compile(r"```python(.*?)```", re.DOTALL)
_LINE = "# ===================\n"
_DATA = re.compile(
    re.escape(_LINE + "# Part 2: Data Preparation\n" + _LINE)
    + "(.*?)"
    + re.escape(_LINE + "# Part 3: Plot Configuration and Rendering\n" + _LINE),
    re.DOTALL,
)
# What the authors import before the data of a customized problem.
_IMPORTS = """\
import colorsys, math
import matplotlib.colors as mcolors
import matplotlib.gridspec as gridspec
import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import cm
from matplotlib.colors import LogNorm
from matplotlib.gridspec import GridSpec
from matplotlib_venn import venn2
from scipy.stats import gaussian_kde, multivariate_normal, norm
np.random.seed(0)
"""


def facts(doc: Mapping[str, Any]) -> dict[str, Any]:
    """Raises:
    ValueError: a customized problem whose reference program does not say which part of it are the data.
    """
    code = doc["GroundTruthFigureCode"]
    before = ""
    if doc["Task"].startswith("customized"):
        data = _DATA.search(code)
        if data is None:
            raise ValueError(f"the data of {doc['Task']}/{doc['ExampleID']} are not marked in its program")
        before = _IMPORTS + data[1].strip() + "\n"
    return {
        "id": f"{doc['Task']}/{doc['ExampleID']}",
        "question": doc["Instruction"],
        "answer": code,
        "category": doc["ExampleID"].rpartition("_")[0],
        "before": before,
    }


def prompt(doc: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """The authors', which the data set gives with the figure's size filled in."""
    return doc["Instruction"]


def program(facts: Mapping[str, Any], response: str) -> str | None:
    """The first Python block of a response, after the data where there are any; ``None`` without a block."""
    found = _CODE.search(response)
    return None if found is None else facts["before"] + found[1].strip() + "\n"


def rule(facts: Mapping[str, Any], response: str) -> Outcome:
    """Parts: the four low-level scores, their mean ``low``, ``executed``, and ``measured``, which is 0 where the
    sandbox or the reference program failed, so that there is no score."""
    code = program(facts, response)
    nothing = dict.fromkeys((*LOW, "low", "executed"), 0.0)
    if code is None:
        return Outcome(0.0, parts={**nothing, "measured": 1.0})
    try:
        reference, drawing = sandbox.draw(facts["answer"]), sandbox.draw(code)
    except sandbox.Unavailable as error:
        logger.error("%s is not measured: %s", facts["id"], error)
        return Outcome(0.0, code, {**nothing, "measured": 0.0})
    if reference.figure is None:
        logger.error("%s is not measured: its reference program failed: %s", facts["id"], reference.error)
        return Outcome(0.0, code, {**nothing, "measured": 0.0})
    if drawing.figure is None:
        return Outcome(0.0, f"{code}\n# failed: {drawing.error}", {**nothing, "measured": 1.0})
    parts = low_level(drawing.figure, reference.figure, graph=facts["category"] == "graph")
    low = sum(parts.values()) / len(parts)
    return Outcome(low, code, {**parts, "low": low, "executed": 1.0, "measured": 1.0})


def quick_rule(facts: Mapping[str, Any], response: str) -> float:
    """Whether there is a program at all; none is run inside lmms-eval."""
    return float(program(facts, response) is not None)


def questions(facts: Mapping[str, Any], response: str, outcome: Outcome, shown: Sequence[bytes]) -> list[JudgeQuestion]:
    """The judge sees the reference picture and the response's, drawn again.

    Raises:
        CellError: the program ran when the rule judged it and does not run now.
    """
    code = program(facts, response)
    if not outcome.parts["executed"] or code is None:
        return []
    drawn = _picture(facts, code)
    # A customized problem's prompt shows another figure than the one that is to come out.
    wanted = _picture(facts, facts["answer"]) if facts["before"] else shown[0]
    parse = json_object({"comments": text, "score": whole_number(0, 100)})
    return [JudgeQuestion("high_level", {}, parse, (wanted, drawn))]


def _picture(facts: Mapping[str, Any], code: str) -> bytes:
    try:
        drawing = sandbox.draw(code)
    except sandbox.Unavailable as error:
        raise CellError(f"the program of {facts['id']} cannot be drawn for the judge: {error}") from error
    if drawing.figure is None:
        raise CellError(f"the program of {facts['id']} ran once and now does not: {drawing.error}; judge again")
    return drawing.figure.png


def verdict(facts: Mapping[str, Any], response: str, outcome: Outcome, replies: Sequence[Any]) -> Outcome:
    """(low + high) / 2."""
    high = replies[0]["score"] / 100
    return Outcome((outcome.parts["low"] + high) / 2, outcome.extraction, {**outcome.parts, "high": high})


def runs(options: Mapping[str, Any]) -> list[TaskRun]:
    """Options: ``split``, ``testmini`` (600 problems, the default) or ``test`` (1,800); ``task``, ``direct`` (the
    default), ``customized`` or ``both``."""
    refuse_unknown(options, ("split", "task"))
    split, task = options.get("split", "testmini"), options.get("task", "direct")
    if split not in PROBLEMS:
        raise ValueError(f"split is {split!r}; it can be testmini or test")
    if task not in ("direct", "customized", "both"):
        raise ValueError(f"task is {task!r}; it can be direct, customized or both")
    tasks = ("direct", "customized") if task == "both" else (task,)
    size = PROBLEMS[split]
    return [
        TaskRun(
            problems=size,
            name=each if task == "both" else "",
            task={"dataset_kwargs": {"filters": [["Task", "==", f"{each}_{size}"]]}},
        )
        for each in tasks
    ]


def scores(samples: Sequence[Scored]) -> dict[str, float]:
    """In percent, over the samples that could be measured: ``score`` (overall), its parts, and ``unmeasured``.

    Raises:
        CellError: too many could not be measured.
    """
    measured = [sample for sample in samples if sample.outcome.parts.get("measured", 1.0)]
    lost = len(samples) - len(measured)
    if lost > _UNMEASURED * len(samples):
        first = next(s.facts["id"] for s in samples if not s.outcome.parts.get("measured", 1.0))
        raise CellError(
            f"{lost} of {len(samples)} samples have no score, the first is {first}: the sandbox or the reference "
            "program failed, the log says why; install what the programs import and judge again"
        )
    names = [*LOW, "low", "executed"]
    if any("high" in sample.outcome.parts for sample in measured):
        names.append("high")
    found = {"score": 100 * sum(sample.outcome.score for sample in measured) / len(measured)}
    for name in names:
        total = sum(sample.outcome.parts.get(name, 0.0) for sample in measured)
        found["execution_rate" if name == "executed" else name] = 100 * total / len(measured)
    return {**found, "unmeasured": float(lost)}


BENCHMARK = Benchmark(
    "kawhi_chartmimic",
    {"dataset_path": "ChartMimic/ChartMimic", "dataset_name": "chartmimic", "test_split": "test"},
    facts,
    one_image("InputFigurePreview"),
    prompt,
    rule,
    runs,
    scores,
    questions=questions,
    verdict=verdict,
    quick_rule=quick_rule,
    full_images=True,
    require=sandbox.require,
    generation={"max_new_tokens": 4096},  # the authors'
)
