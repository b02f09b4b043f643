"""Draws the README's picture: one chart of the tiny world, its selected tokens, one answer, its paragraph weights.

    python docs/images/make_overview.py        # -> docs/images/overview.png

Everything shown is computed by the code of ``kawhi explain``, with its defaults, which are those of ``conf/``.  The
answer is what the shipped checkpoint says when it decodes greedily, so two runs on one machine give the same picture.
"""

from __future__ import annotations

from pathlib import Path

from kawhi.wheels import torchvision_shim

torchvision_shim.install()

import torch  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import FancyBboxPatch, Patch  # noqa: E402
from matplotlib.transforms import IdentityTransform  # noqa: E402
from PIL import Image  # noqa: E402

from kawhi.credit.alignment import AlignmentOptions  # noqa: E402
from kawhi.explain.checkpoint import open_inspector  # noqa: E402
from kawhi.explain.content import Explanation, Scene  # noqa: E402
from kawhi.explain.drawings import draw_regions, legend, shade  # noqa: E402
from kawhi.explain.one_image import explain_image  # noqa: E402
from kawhi.explain.settings import CRITICAL_HEADS, SHIPPED, Settings  # noqa: E402
from kawhi.style.overlays import GREY, INK, from_uri  # noqa: E402

CHART = Path(__file__).with_name("chart.png")
QUESTION = "Find the sum of A and B."
OUT = Path(__file__).with_name("overview.png")


def draw_scene(axes: Axes, scene: Scene) -> None:
    axes.imshow(from_uri(scene.image), extent=(0, scene.columns, scene.rows, 0), interpolation="antialiased")
    axes.axis("off")
    draw_regions(axes, scene, IdentityTransform())
    left_out = Patch(facecolor="white", edgecolor="#B8B8B8", linewidth=0.8, label="left out")
    *marks, border = legend(scene)
    axes.legend(
        handles=[*marks, left_out, border],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.01),
        ncols=4,
        frameon=False,
        fontsize=6.8,
        handlelength=1.2,
        handletextpad=0.4,
        columnspacing=0.7,
    )


def draw_answer(axes: Axes, found: Explanation) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.axis("off")
    axes.text(0, 0.985, f"Question:  {found.question}", fontsize=9.5, color=INK, va="top")
    alpha_at, weight_at = 0.825, 0.975
    for x, name in ((alpha_at, r"alignment $\bar{\alpha}$"), (weight_at, "weight $w$")):
        axes.text(x, 0.855, name, fontsize=8, color=GREY, ha="right", va="center")
    height, gap, top = 0.18, 0.0267, 0.80
    look = {"boxstyle": "round,pad=0,rounding_size=0.012", "edgecolor": "#9A9A9A", "linewidth": 0.8, "clip_on": False}
    for j, paragraph in enumerate(found.answers[0].paragraphs):
        y = top - (j + 1) * height - j * gap
        colour = shade(paragraph.weight, found.w_min, found.heaviest)
        axes.add_patch(FancyBboxPatch((0, y), 1, height, facecolor=colour, **look))
        middle = {"y": y + height / 2, "color": INK, "va": "center"}
        axes.text(0.025, s=paragraph.text, fontsize=9.5, **middle)
        signed = f"{paragraph.alpha:+.3f}".replace("-", "−")
        axes.text(alpha_at, s=signed, fontsize=9, ha="right", **middle)
        axes.text(weight_at, s=f"{paragraph.weight:.2f}", fontsize=9.5, weight="bold", ha="right", **middle)


def main() -> None:
    torch.set_num_threads(1)
    settings = Settings(AlignmentOptions(heads=CRITICAL_HEADS[SHIPPED]))
    inspector = open_inspector(SHIPPED, settings.alignment)
    found = explain_image(inspector, settings, Image.open(CHART), QUESTION, title=CHART.name)
    for each in found.answers[0].paragraphs:
        print(f"alpha {each.alpha:+.4f}  weight {each.weight:.4f}  {each.text}")

    figure = Figure(figsize=(9, 4.55), dpi=200, facecolor="white")
    head = dict(fontsize=11, weight="bold", color=INK, va="top")
    kept, tokens = len(found.scene.kept), len(found.scene.key)
    figure.text(0.025, 0.968, f"Visual tokens kept by SGUF: {kept} of {tokens}", **head)
    figure.text(0.455, 0.968, "What each paragraph is worth: advantage × w", **head)
    draw_scene(figure.add_axes((0.025, 0.155, 0.3725, 0.737)), found.scene)
    draw_answer(figure.add_axes((0.455, 0.155, 0.525, 0.737)), found)
    options = settings.weights
    small_print = (
        "Made with the tiny model (Qwen2.5-VL architecture, 1.8 M parameters, warm start, no reinforcement learning): "
        "its greedy answer to a held-out chart.\n"
        f"Settings of conf/credit/kawhi.yaml: τ = {options['temperature']:g}, λ = {options['smoothing']:g}, w between "
        f"{options['w_min']:g} and {options['w_max']:g}. Darker = more weight. This shows the mechanism; it is not a "
        "result."
    )
    figure.text(0.025, 0.022, small_print, fontsize=7, color=GREY, va="bottom", linespacing=1.35)
    figure.savefig(OUT, metadata={"Software": None})
    print(f"wrote {OUT.name}")


if __name__ == "__main__":
    main()
