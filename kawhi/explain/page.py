"""An explanation as one HTML file: no request leaves it, everything on it can be read without a mouse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kawhi.credit.measures import MEASURES
from kawhi.explain.content import Answer, Course, Explanation, Scene
from kawhi.explain.course import curve, of_the_step, over_steps, size
from kawhi.explain.drawings import chart, marked, overlay, shade, svg_uri
from kawhi.explain.token_view import rows, strips
from kawhi.explain.words import FAITHFUL, caution, outcome, signed, verdict
from kawhi.style.overlays import CONDITION_LOOKS, diverging, heat_pixels, png_uri
from kawhi.style.pages import templates

_HEAD_SHADE = 0.65  # of full colour, so that the numbers stay readable on it


@dataclass(frozen=True)
class Shown:
    """A paragraph with its place on the page."""

    id: str
    number: int
    text: str
    weight: float
    alpha: float | None
    shade: str
    heat: str
    name: str
    measures: list[tuple[str, float]]


def render(explanation: Explanation) -> str:
    """The whole page."""
    answers = [_answer(explanation, number) for number in range(len(explanation.answers))]
    shown = [paragraph for one in answers for paragraph in one["paragraphs"]]
    return (
        templates(__file__)
        .get_template("page.html")
        .render(
            e=explanation,
            aligned=bool(explanation.heads),
            averaged_all=len(explanation.heads) == len(explanation.answers[0].paragraphs[0].head_alpha),
            answers=answers,
            course=_course(explanation.course) if explanation.course else None,
            faithful=FAITHFUL,
            first=max(shown, key=lambda paragraph: paragraph.weight),
            measures=[MEASURES[name] for name in explanation.answers[0].paragraphs[0].measures],
            scene=_scene(explanation.scene),
            signed=signed,
        )
    )


def _answer(explanation: Explanation, number: int) -> dict[str, Any]:
    answer = explanation.answers[number]
    shape = explanation.scene.rows, explanation.scene.columns
    prefix = f"{answer.name}, " if len(explanation.answers) > 1 else ""
    name = f"{prefix}{explanation.unit}"
    shown = [
        Shown(
            id=f"a{number + 1}p{j + 1}",
            number=j + 1,
            text=p.text,
            weight=p.weight,
            alpha=p.alpha,
            shade=shade(p.weight, explanation.w_min, explanation.heaviest),
            heat=png_uri(heat_pixels(np.reshape(p.heat, shape), explanation.heat_limit)) if p.heat else "",
            name=f"{name[0].upper()}{name[1:]} {j + 1}",
            measures=[(MEASURES[measure].short, value) for measure, value in p.measures.items()],
        )
        for j, p in enumerate(answer.paragraphs)
    ]
    found: dict[str, Any] = {
        "name": answer.name,
        "notes": answer.notes,
        "outcome": outcome(answer),
        "paragraphs": shown,
        "strips": strips(explanation, answer),
        "rows": rows(answer.tokens) if answer.tokens else None,
    }
    if not explanation.heads:
        return found
    controls = [
        {"name": CONDITION_LOOKS[c.condition][0], "alpha": c.alpha, "comparison": c.comparison} for c in answer.controls
    ]
    return {
        **found,
        **_heads(answer, shown, explanation),
        "controls": controls,
        "chart": svg_uri(chart(answer.controls, explanation.unit)),
        "verdict": verdict(answer, explanation.compared),
        "caution": caution(answer, explanation.compared),
    }


def _heads(answer: Answer, shown: list[Shown], explanation: Explanation) -> dict[str, Any]:
    """The table of alphas, heads by paragraphs; the longer side runs down, so that the table is seldom too wide."""
    averaged = explanation.heads
    alphas = np.array([paragraph.head_alpha for paragraph in answer.paragraphs])
    limit = float(np.abs(alphas).max())
    count = alphas.shape[1]
    heads = [{"name": str(head), "marked": head in averaged} for head in range(count)]
    heads.append({"name": "mean", "marked": False})
    own = [{"name": str(paragraph.number), "marked": False} for paragraph in shown]
    cells = [
        [
            *({"of": s.id, "value": v, "colour": diverging(v, limit, _HEAD_SHADE)} for v in row.tolist()),
            {"of": s.id, "value": float(row[averaged].mean()), "colour": ""},
        ]
        for s, row in zip(shown, alphas, strict=True)
    ]
    upright = len(shown) <= count
    down, across = (heads, own) if upright else (own, heads)
    lines = zip(*cells, strict=True) if upright else cells
    return {
        "corner": "head" if upright else explanation.unit,
        "across": across,
        "down": list(zip(down, lines, strict=True)),
        "head_limit": limit,
    }


def _course(course: Course) -> dict[str, Any]:
    """The drawings of a training, and the numbers behind its lines: step, and means of all tokens and by weight."""
    names = [name for name in (course.uncertainty, course.perception) if name]
    lines = [curve(course, how, name) for name in names for how in ("mean", "weighted")]
    weights = [step["all"]["weight"] for step in course.kept]
    return {
        "shown": course.shown,
        "over_steps": svg_uri(over_steps(course)),
        "of_the_step": svg_uri(of_the_step(course)),
        "heads": [f"{size(name)}, {whose}" for name in names for whose in ("all tokens", "by weight")],
        "rows": list(zip(course.steps, zip(*lines, weights, strict=True), strict=True)),
        "pushes": course.perception is not None,
    }


def _scene(scene: Scene) -> dict[str, Any]:
    """In units of visual tokens; an image without regions is as wide as its pixels."""
    if not scene.rows:
        return {"image": scene.image, "w": scene.width, "h": scene.height, "tokens": 0, "said": "The image"}
    labels, key = np.asarray(scene.labels), np.asarray(scene.key, dtype=bool)
    return {
        "image": scene.image,
        "w": scene.columns,
        "h": scene.rows,
        "tokens": labels.size,
        "said": f"The image in {scene.rows} rows of {scene.columns} visual tokens: {len(np.unique(labels))} regions, "
        f"{len(np.unique(labels[key]))} of them key regions; {len(scene.kept)} tokens are selected.",
        "overlay": svg_uri(overlay(scene)),
        "marked": {name: len(tokens) for name, tokens in marked(scene).items()},
    }
