"""Synthetic records for figures, the figures made of them, and what their texts must not do."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis.figures import draw
from analysis.figures.parts import Drawn
from analysis.figures.radar import CHARTS
from kawhi.probes.critical_heads import SUBTASKS
from kawhi.probes.error_attribution import shares
from kawhi.probes.token_summary import summary
from kawhi.records.schema import Record
from tests.analysis.synthetic import accuracy, hashed, record, timing_record
from tests.probes.test_token_summary import made as token_rows
from tests.split import parsed as parsed_one

MEASURED = {"name": "qwen2.5-vl-7b", "family": "qwen2_5_vl", "weights": "c0ffee"}
LABELS = {
    "uniform": "GRPO",
    "kawhi": "GRPO + KAWHI",
    **{name: name for name in ("All vision tokens", "Random", "Inverse selection", "VisionZip, 50 %")},
    **{name: name for name in ("Sentence-level", "Constant weight", "Skip ratio 0.1", "Skip ratio 0.3")},
    **{name: name for name in ("Skip ratio 0.5", "Skip ratio 0.9")},
}
MATH = {"kawhi_mathvista": "MathVista", "kawhi_mathverse": "MathVerse", "kawhi_mathvision": "MathVision"}


def trained(
    credit: str, correct: int = 1000, *, rollout: int = 0, interval: bool = True, text: str = "", **changes: Any
) -> dict[str, Any]:
    """A training record with curves, weights, examples and timers."""
    steps = changes.setdefault("steps", 20)
    rng = np.random.default_rng(zlib.crc32(f"{credit}{rollout}".encode()))
    walk = np.cumsum(rng.normal(0, 0.02, (4, steps)), axis=1)
    words = text or "The two chords are congruent, so their arcs are congruent; with $m = 58$ the arc has $58^\\circ$."
    paragraphs = [
        {"text": words * (1 + i % 3), "weight": w, "alpha": 0.1 - 0.03 * i} for i, w in enumerate((0.2, 1.0, 0.5, 0.1))
    ]
    example = {"step": steps, "index": 7, "reward": 1.0, "advantage": -0.5, "paragraphs": paragraphs}
    plain = credit == "uniform"
    training = {
        "reward": (0.5 + walk[0]).tolist(),
        "response_length": (300 + 200 * walk[1]).tolist(),
        "entropy": [None, *(0.3 + walk[2, 1:]).tolist()],
        "weight_mean": (np.ones(steps) if plain else 0.4 + walk[3] / 3).tolist(),
        "weight_histogram": [0] * 19 + [500, 0] if plain else rng.integers(0, 400, 21).tolist(),
        "paragraph_counts": {str(k): int(v) for k, v in enumerate(rng.integers(0, 90, 14), start=1)},
        "examples": [example, {**example, "index": 8}],
    }
    timers = {"step": 20.0, "gen": 9.0, "old_log_prob": 4.0, "update_actor": 5.0, "adv": 0.5, "kawhi_weights": 0.1}
    timers |= {} if plain else {"kawhi_alignment": 0.5, "kawhi_regions": 0.3}
    model = {"model": MEASURED} if changes.get("provenance") == "measured" else {}
    content = record(credit, correct, rollout=rollout, **model, **changes)
    content["credit"]["label"] = LABELS.get(credit, credit).replace("GRPO", content["algorithm"].upper())
    content["training"] = training
    content["run"] = {"timing_s": {f"timing_s/{name}": value for name, value in timers.items()}}
    if interval:
        for each in content["benchmarks"].values():
            each["interval"] = [each["score"] - 2.0, each["score"] + 2.0]
    return hashed(content)


def results(tasks: Mapping[str, str], base: float) -> dict[str, Any]:
    return {task: accuracy(title, 1000, round(10 * (base + 3 * i))) for i, (task, title) in enumerate(tasks.items())}


def errors_record(provenance: str = "measured", benchmark: str = "kawhi_mathverse", of: str = "") -> dict[str, Any]:
    block = {"benchmark": benchmark, "judge": {"name": "gemini", "model": "g"}, "samples": 300}
    block |= shares(["VP"] * 90 + ["CE"] * 30 + ["RAE"] * 20 + ["AO"] * 8 + ["Others"] * 2)
    return _study("errors", provenance, block, {"errors": {"of": of}})


def heads_record(provenance: str = "measured", heads: int = 28) -> dict[str, Any]:
    subtasks = dict.fromkeys(SUBTASKS, 150.0)
    rows = [
        {"head": h, "total": 2100.0 - d, "drop": d, "drop_interval": [d - 15, d + 15], "critical": d > 50,
         "unreadable": 0, "subtasks": subtasks}
        for h, d in enumerate([-10.0, 20.0, 60.0, 120.0] * (heads // 4))
    ]  # fmt: skip
    block = {"threshold": 50.0, "baseline": {"total": 2100.0, "unreadable": 0, "subtasks": subtasks}}
    block |= {"guessing": 1050.0, "pairs": dict.fromkeys(SUBTASKS, 30), "heads": rows}
    return _study("heads", provenance, block | {"critical_heads": [row["head"] for row in rows if row["critical"]]}, {})


def tor_records(**changes: Any) -> list[dict[str, Any]]:
    """ToR with both kinds of tokens, and with one alone at several shares, of which 20 % has 45 and 40 % right."""
    both = {"types": "both", "reasoning_share": 0.3, "perception_share": 0.3}
    made = [trained("tor", 1100, options=both, **changes)]
    for kind, correct in (("reasoning", 900), ("perception", 800)):
        for i, share in enumerate((0.2, 0.3, 0.5, 0.8)):
            options = {**both, "types": kind, f"{kind}_share": share}
            made.append(trained("tor", correct + 40 * i, options=options, **changes))
    return [{**each, "training": {}} for each in made]


def tokens_record(provenance: str = "measured", seed: int = 0) -> dict[str, Any]:
    block = {**summary(token_rows(seed=seed)), "data": "geo3k", "group": 4}
    return _study("tokens", provenance, block, {"tokens": {"data": "geo3k"}})


def _study(study: str, provenance: str, block: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    model = MEASURED if provenance == "measured" else {**MEASURED, "name": "tiny-qwen2.5-vl"}
    cell = {"experiment": study, "name": study, "hash": ""}
    config = {"study": {"name": study}, "model": model, "scale": {"provenance": provenance}, **more}
    shared = {"schema": 3, "study": study, "cell": cell, "provenance": provenance, "model": model, "config": config}
    return hashed({**shared, "run": {}, study: block})


def everything() -> list[dict[str, Any]]:
    """Both provenances, several seeds and algorithms, and every study that a figure reads."""
    made = [trained(c, 900 + 20 * i + 15 * r, rollout=r) for i, c in enumerate(LABELS) for r in range(3)]
    made += [trained(c, 950, algorithm="dapo") for c in ("uniform", "kawhi", "Random")]
    full = {"provenance": "measured", "steps": 60, "data": "geo3k"}
    for i, credit in enumerate(("uniform", "kawhi", "VisionZip, 50 %", "Skip ratio 0.1", "Skip ratio 0.9")):
        made.append(trained(credit, benchmarks=results(MATH, 40 + i), **full))
    for i, credit in enumerate(("uniform", "kawhi")):
        made.append(trained(credit, benchmarks=results(CHARTS, 40 + 2 * i), **full | {"data": "chartqa"}))
    apart = {**full, "steps": 61, "benchmarks": results(MATH, 40)}  # in panels of their own: they have no curves
    made += tor_records(steps=24) + tor_records(**apart)
    made += [timing_record(credit, "gspo", **{"timing_s/gen": 1.0}) for credit in ("uniform", "kawhi", "vppo")]
    made += [errors_record(), errors_record("tiny", "kawhi_tiny"), heads_record(), heads_record("tiny", 4)]
    made += [tokens_record(), tokens_record("tiny", seed=1)]
    return made


def parsed(contents: list[dict[str, Any]]) -> dict[Path, Record]:
    return {Path(f"{i:03}.json"): parsed_one(content) for i, content in enumerate(contents)}


def drawn(name: str, *contents: dict[str, Any]) -> Drawn:
    made = draw(name, parsed(list(contents)))
    assert made is not None
    return made


def titled(figure: Figure, *parts: str) -> Axes:
    """The one panel whose title has all ``parts``."""
    (axes,) = (a for a in figure.axes if all(part in a.get_title(loc="left") for part in parts))
    return axes


def texts(axes: Axes) -> str:
    return "\n".join(text.get_text() for text in axes.findobj(Text))


def hidden(holder: Any) -> set[Text]:
    """Labels of ticks that are not drawn: outside the axis, or of a panel without axes."""
    if not isinstance(holder, Axes):
        return set()
    found: set[Text] = set()
    for axis in (holder.xaxis, holder.yaxis):
        low, high = sorted(axis.get_view_interval())
        slack = 1e-6 * (high - low)
        ticks = [t for t in axis.get_major_ticks() if not low - slack <= t.get_loc() <= high + slack]
        for tick in ticks if holder.axison else axis.get_major_ticks():
            found |= {tick.label1, tick.label2}
        found |= set() if holder.axison else {axis.label}
    return found


def refuse_overlaps(figure: Figure) -> None:
    """No text leaves the figure, none is below 7 pt, and no two lie on each other."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    page = figure.bbox
    boxes = []
    for holder in (*figure.axes, *figure.legends):
        for text in set(holder.findobj(Text)) - hidden(holder):
            if not text.get_visible() or not text.get_text().strip():
                continue
            box = text.get_window_extent(renderer)
            assert text.get_fontsize() >= 7, text
            assert box.x0 >= page.x0 - 1 and box.x1 <= page.x1 + 1, (text, box, page)  # noqa: PT018
            assert box.y0 >= page.y0 - 1 and box.y1 <= page.y1 + 1, (text, box, page)  # noqa: PT018
            boxes.append((text.get_text(), box))
    for (one, a), (other, b) in combinations(boxes, 2):
        wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert wide <= 0.5 or high <= 0.5, (one, other, a, b)
