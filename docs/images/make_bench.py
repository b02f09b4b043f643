"""Draws the README's first result: a drawing, an answer, what each method credits in it, and what each one gained.

    python docs/images/make_bench.py        # -> docs/images/bench.png

Weights are computed by the code of the bench on the shipped model of the reading world, for the first held-out drawing
that it answers rightly.  Gains are those of the committed study, ``results/published/lab/table.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kawhi.wheels import torchvision_shim

torchvision_shim.install()

import torch  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import FancyBboxPatch  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402

from kawhi.base.checkout import PUBLISHED, resolve_package_paths  # noqa: E402
from kawhi.credit.methods import configured  # noqa: E402
from kawhi.credit.segments import packed_segments, paragraphs  # noqa: E402
from kawhi.explain.drawings import shade  # noqa: E402
from kawhi.lab.losses import BoxedReward  # noqa: E402
from kawhi.lab.policy import Policy  # noqa: E402
from kawhi.lab.rollouts import Rollouts, item_of, sample  # noqa: E402
from kawhi.lab.signals import Gatherer  # noqa: E402
from kawhi.lab.study import chosen, compose  # noqa: E402
from kawhi.style.overlays import GREY, INK  # noqa: E402
from kawhi.tiny.reading_world import ReadingProblem, problems  # noqa: E402

FAMILY, ALGORITHM = "qwen2_5_vl", "grpo"
COLUMNS = {
    "uniform": "GRPO",
    "oracle": "oracle",
    "kawhi": "KAWHI",
    "kawhi largest attention": "KAWHI,\nlargest att.",
}
GAINS = ("oracle", "kawhi largest attention", "kawhi", "anti-oracle")
COLOURS = {"oracle": "#E69F00", "anti-oracle": "#E69F00"}
OUT = Path(__file__).with_name("bench.png")


def answered(policy: Policy, cell: Any) -> tuple[ReadingProblem, Rollouts]:
    """The first held-out rectangle that the model answers rightly, with its response."""
    for index, problem in enumerate(problems("heldout", seed=11, difficulty="long")):
        item = item_of(index, problem, cell.model.image_size)
        found = sample(policy, [item], 1, cell.verl.data.max_response_length, index, BoxedReward(cell))
        if len(problem.readings) == 2 and bool(found.correct.all()):
            return problem, found
    raise AssertionError("the stream of problems does not end")


def weights(policy: Policy, cell: Any, rollouts: Rollouts) -> list[float]:
    """What the method of a cell gives each paragraph of the response."""
    kawhi: Any = OmegaConf.to_container(cell.kawhi, resolve=True)
    method = configured(kawhi)
    with torch.no_grad():
        _, signals = Gatherer(policy, kawhi, method.needs)(rollouts, 0, [])
    own = method.weights(rollouts.batch(policy.tokenizer, signals, rollouts.rewards))
    segments = packed_segments(rollouts.token_ids, rollouts.offsets, policy.tokenizer, "paragraph")
    return [float(own[segments == number].mean()) for number in range(int(segments.max()) + 1)]


def draw_credit(axes: Axes, texts: list[str], columns: dict[str, list[float]]) -> None:
    axes.set(xlim=(0, 1), ylim=(len(texts), -1.25))
    axes.axis("off")
    width, first = 0.105, 0.58
    for place, name in enumerate(columns):
        axes.text(
            first + (place + 0.5) * width, -0.2, COLUMNS[name], fontsize=7.5, color=GREY, ha="center", va="bottom"
        )
    for row, text in enumerate(texts):
        reads = any(character.isdigit() for character in text) and "=" not in text and "boxed" not in text
        weight = "bold" if reads else "normal"
        axes.text(0, row + 0.5, text.strip(), fontsize=7.2, color=INK, va="center", weight=weight)
        for place, values in enumerate(columns.values()):
            colour = shade(values[row], 0.0, 1.0)
            look = {"boxstyle": "round,pad=0,rounding_size=0.008", "edgecolor": "#9A9A9A", "linewidth": 0.6}
            box = FancyBboxPatch(
                (first + place * width + 0.008, row + 0.08), width - 0.016, 0.84, facecolor=colour, **look
            )
            axes.add_patch(box)
            middle = first + (place + 0.5) * width
            axes.text(middle, row + 0.5, f"{values[row]:.2f}", fontsize=7.6, color=INK, ha="center", va="center")


def draw_gains(axes: Axes, rows: dict[str, dict[str, Any]]) -> None:
    for place, label in enumerate(GAINS):
        row, colour = rows[label], COLOURS.get(label, "#0072B2")
        axes.plot(row["interval"], (place, place), color=colour, linewidth=1.6)
        axes.plot(row["gain"], place, "o", color=colour, markersize=5)
        axes.text(
            row["gain"], place - 0.2, f"{row['gain']:+.1f}".replace("-", "−"), fontsize=7.5, ha="center", color=INK
        )
    axes.axvline(0, color="#5F5F5F", linewidth=0.8)
    names = {"kawhi": "KAWHI", "kawhi largest attention": "KAWHI,\nlargest att."}
    axes.set_yticks(range(len(GAINS)), [names.get(label, label) for label in GAINS], fontsize=7.5)
    axes.set_ylim(len(GAINS) - 0.5, -0.6)
    axes.tick_params(axis="x", labelsize=7)
    axes.set_xlabel("points of P(read) above GRPO", fontsize=7.5)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)


def main() -> None:
    torch.set_num_threads(1)
    study = chosen(None, [])
    cells = {row.label: compose(study, row, FAMILY) for row in study.rows if row.label in COLUMNS}
    policy = Policy(resolve_package_paths(cells["uniform"].model.path))
    problem, rollouts = answered(policy, cells["uniform"])
    columns = {label: weights(policy, cells[label], rollouts) for label in COLUMNS}
    table = json.loads((PUBLISHED.parent / "lab" / "table.json").read_text(encoding="utf-8"))
    rows = {row["label"]: row for row in table if (row["family"], row["algorithm"]) == (FAMILY, ALGORITHM)}

    figure = Figure(figsize=(10.4, 3.9), dpi=200, facecolor="white")
    head = {"fontsize": 10, "weight": "bold", "color": INK, "va": "top"}
    figure.text(0.015, 0.97, "A drawing and a question", **head)
    figure.text(0.245, 0.97, "What each method credits in one right answer", **head)
    figure.text(0.8, 0.97, "What training gained", **head)
    image = figure.add_axes((0.015, 0.24, 0.205, 0.62))
    image.imshow(problem.drawing.render(336))
    image.set(xticks=[], yticks=[])
    question = problem.question.replace(" of ten", "\nof ten")
    figure.text(0.015, 0.2, question, fontsize=7.6, color=INK, va="top")
    draw_credit(figure.add_axes((0.245, 0.1, 0.53, 0.8)), paragraphs(rollouts.texts[0]), columns)
    draw_gains(figure.add_axes((0.855, 0.22, 0.135, 0.64)), rows)
    seeds = rows["kawhi"]["seeds"]
    small_print = (
        "Made by kawhi bench credit: Qwen2.5-VL's architecture at 1.8 M parameters, drawn geometry, 12 steps of GRPO, "
        f"{seeds} paired seeds, 95 % intervals. Bold: the paragraph that reads the image.\n"
        "Oracle and anti-oracle are controls that know it. A 7B model may behave otherwise: docs/bench.md has the "
        "commands that ask one."
    )
    figure.text(0.015, 0.015, small_print, fontsize=6.6, color=GREY, va="bottom", linespacing=1.35)
    figure.savefig(OUT, metadata={"Software": None})
    print(f"wrote {OUT.name}")


if __name__ == "__main__":
    main()
