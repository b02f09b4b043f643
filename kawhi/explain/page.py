"""An explanation as one HTML file: no request leaves it, everything on it can be read without a mouse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from kawhi.explain.condition_chart import profile, signed
from kawhi.explain.content import Answer, Explanation, Paragraph, Scene
from kawhi.explain.style import CSS, SCRIPT
from kawhi.explain.template import PAGE
from kawhi.explain.verdict import FAITHFUL, caution, verdict
from kawhi.style.overlays import CONDITION_LOOKS, ORANGE, borders, diverging, heat_pixels, mix, png_uri

GRID_UP_TO = 600  # visual tokens; more of them make the dotted grid a veil
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


def render(explanation: Explanation) -> str:
    """The whole page."""
    aligned = bool(explanation.heads)
    limit, w_max = heat_limit(explanation), heaviest(explanation)
    answers = [_answer(explanation, number, limit, w_max) for number in range(len(explanation.answers))]
    shown = [paragraph for one in answers for paragraph in one["paragraphs"]]
    description, uri = explanation.wrong_image
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(PAGE).render(
        e=explanation,
        aligned=aligned,
        averaged_all=aligned and len(explanation.heads) == len(explanation.answers[0].paragraphs[0].head_alpha),
        answers=answers,
        css=Markup(CSS),
        faithful=FAITHFUL,
        first=max(shown, key=lambda paragraph: paragraph.weight),
        limit=limit,
        scene=_scene(explanation.scene),
        script=Markup(SCRIPT),
        signed=signed,
        spoken=_spoken,
        w_max=w_max,
        wrong={"said": description, "uri": uri},
    )


def heat_limit(explanation: Explanation) -> float:
    """The cosine with the fullest colour: one scale for all heat maps of a page."""
    return max((abs(v) for a in explanation.answers for p in a.paragraphs for v in p.heat), default=0.0)


def heaviest(explanation: Explanation) -> float:
    """The weight with the fullest shade: one scale for all answers of a page."""
    return max(p.weight for a in explanation.answers for p in a.paragraphs)


def shade(weight: float, w_min: float, w_max: float) -> str:
    """Colour of a paragraph."""
    return mix((weight - w_min) / (w_max - w_min) if w_max > w_min else 0.0, ORANGE)


def outcome(answer: Answer) -> str:
    """Reward and advantage, where training recorded them."""
    if answer.reward is None or answer.advantage is None:
        return ""
    return f"reward {answer.reward:g} · advantage {signed(answer.advantage, 2)}"


def _answer(explanation: Explanation, number: int, limit: float, w_max: float) -> dict[str, Any]:
    answer = explanation.answers[number]
    shape = explanation.scene.rows, explanation.scene.columns
    prefix = f"{answer.name}, " if len(explanation.answers) > 1 else ""
    shown = [
        Shown(
            id=f"a{number + 1}p{j + 1}",
            number=j + 1,
            text=p.text,
            weight=p.weight,
            alpha=p.alpha,
            shade=shade(p.weight, explanation.w_min, w_max),
            heat=png_uri(heat_pixels(np.reshape(p.heat, shape), limit)) if p.heat else "",
            name=f"{prefix}{explanation.unit} {j + 1}",
        )
        for j, p in enumerate(answer.paragraphs)
    ]
    found = {"name": answer.name, "notes": answer.notes, "outcome": outcome(answer), "paragraphs": shown}
    if not explanation.heads:
        return found
    controls = [
        {"name": CONDITION_LOOKS[c.condition][0], "alpha": c.alpha, "comparison": c.comparison} for c in answer.controls
    ]
    return {
        **found,
        **_heads(answer.paragraphs, shown, explanation.heads, explanation.unit),
        "controls": controls,
        "chart": profile(answer.controls),
        "verdict": verdict(answer, explanation.compared),
        "caution": caution(answer, explanation.compared),
    }


def _heads(paragraphs: list[Paragraph], shown: list[Shown], averaged: list[int], unit: str) -> dict[str, Any]:
    """The table of alphas, heads by paragraphs; the longer side runs down, so that the table is seldom too wide."""
    limit = max(abs(value) for p in paragraphs for value in p.head_alpha)
    count = len(paragraphs[0].head_alpha)
    heads = [{"name": str(head), "marked": head in averaged} for head in range(count)]
    heads.append({"name": "mean", "marked": False})
    own = [{"name": str(s.number), "marked": False} for s in shown]
    cells = []
    for p, s in zip(paragraphs, shown, strict=True):
        row = [{"of": s.id, "value": v, "colour": diverging(v, limit, _HEAD_SHADE)} for v in p.head_alpha]
        mean = float(np.mean([p.head_alpha[head] for head in averaged]))
        cells.append([*row, {"of": s.id, "value": mean, "colour": ""}])
    upright = len(paragraphs) <= count
    return {
        "corner": "head" if upright else unit,
        "across": own if upright else heads,
        "down": list(zip(heads, zip(*cells, strict=True), strict=True) if upright else zip(own, cells, strict=True)),
        "head_limit": limit,
    }


def _scene(scene: Scene) -> dict[str, Any]:
    """SVG paths in units of visual tokens; an image without regions is as wide as its pixels."""
    if not scene.rows:
        return {"image": scene.image, "w": scene.width, "h": scene.height, "tokens": 0, "said": "The image"}
    rows, columns = scene.rows, scene.columns
    labels = np.reshape(scene.labels, (rows, columns))
    key, kept = np.asarray(scene.key, dtype=bool), np.zeros(rows * columns, dtype=bool)
    kept[scene.kept] = True
    frame = f"M0 0H{columns}V{rows}H0Z"
    lines = "".join(f"M{x0} {y0}L{x1} {y1}" for (x0, y0), (x1, y1) in borders(labels))
    grid = [f"M{x} 0V{rows}" for x in range(1, columns)] + [f"M0 {y}H{columns}" for y in range(1, rows)]

    def at(chosen: np.ndarray, path: str) -> str:
        return "".join(path.format(x=int(i) % columns, y=int(i) // columns) for i in np.flatnonzero(chosen))

    regions, keys = len(np.unique(labels)), len(np.unique(labels.ravel()[key]))
    return {
        "image": scene.image,
        "w": columns,
        "h": rows,
        "tokens": rows * columns,
        "said": f"The image in {rows} rows of {columns} visual tokens: {regions} regions, {keys} of them key regions; "
        f"{len(scene.kept)} tokens are selected.",
        "borders": lines + frame,
        "grid": "".join(grid) if rows * columns <= GRID_UP_TO else "",
        "key": at(key, "M{x} {y}h1v1h-1z"),
        "dots": at(kept & ~key, "M{x}.5 {y}.5h0"),
        "crosses": at(key & ~kept, "M{x}.35 {y}.35l.3 .3m0 -.3l-.3 .3"),
    }


def _spoken(paragraph: Shown) -> Markup:
    """The line under the large heat map."""
    name = paragraph.name[0].upper() + paragraph.name[1:]
    alpha = "–" if paragraph.alpha is None else signed(paragraph.alpha)
    return Markup("<b>{}</b> <br>α {} · weight {}").format(name, alpha, f"{paragraph.weight:.2f}")
