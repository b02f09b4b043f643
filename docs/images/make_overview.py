"""Draws the README's picture: one chart of the tiny world, its selected tokens, one answer, its paragraph weights.

    python docs/images/make_overview.py        # -> docs/images/overview.png

Everything shown is computed by the code that training uses, with the values of ``conf/``.  The answer is what the
shipped checkpoint says when it decodes greedily, so two runs on one machine give the same picture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kawhi.wheels import torchvision_shim

torchvision_shim.install()

import matplotlib  # noqa: E402

matplotlib.use("Agg")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.collections import LineCollection  # noqa: E402
from matplotlib.colors import LinearSegmentedColormap  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402
from matplotlib.patches import FancyBboxPatch, Patch, Rectangle  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from omegaconf import DictConfig, OmegaConf  # noqa: E402
from PIL import Image  # noqa: E402
from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration  # noqa: E402

from kawhi.base.checkout import resolve_package_paths  # noqa: E402
from kawhi.credit.alignment import packed_alignment  # noqa: E402
from kawhi.credit.segments import segment_response  # noqa: E402
from kawhi.credit.weights import paragraph_weights  # noqa: E402
from kawhi.models.attention_capture import AttentionCapture  # noqa: E402
from kawhi.regions.selectors import select_tokens  # noqa: E402
from kawhi.regions.sguf import RegionMap, sguf  # noqa: E402
from kawhi.rewards.boxed import is_correct  # noqa: E402
from kawhi.tiny.architectures import FAMILIES  # noqa: E402
from kawhi.tiny.batching import Batcher, patchify  # noqa: E402
from kawhi.tiny.world import Problem, problems  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
OUT = Path(__file__).with_name("overview.png")
FAMILY = "qwen2_5_vl"
SPEC = FAMILIES[FAMILY]
CANDIDATES = 400  # held-out problems looked at before giving up

# Okabe and Ito's colours, told apart with every common colour blindness; the dots and borders also differ in shape.
BLUE, VERMILION, GREY, INK = "#0072B2", "#D55E00", "#5F5F5F", "#1A1A1A"
SHADES = LinearSegmentedColormap.from_list("weight", ["#FFFFFF", "#E69F00"])


@dataclass(frozen=True)
class Answer:
    """One response and what its paragraphs are worth.

    Attributes:
        paragraphs: text of each paragraph.
        alpha: mean alignment of each paragraph, equation 14.
        weight: weight of each paragraph, equation 15.
    """

    paragraphs: list[str]
    alpha: list[float]
    weight: list[float]


class TinyModel:
    """The shipped checkpoint: greedy answers, and alpha of every response token."""

    def __init__(self, path: str):
        self.model = Qwen2_5_VLForConditionalGeneration.from_pretrained(path, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        self.batcher = Batcher(FAMILY, self.tokenizer)
        self.capture = AttentionCapture(self.model)

    def inputs(self, problem: Problem) -> dict[str, torch.Tensor]:
        pixels, grid = patchify([problem.drawing.render(SPEC.image_size)], FAMILY)
        ids = torch.tensor([self.batcher.prompt_ids(problem.question)])
        return {**self._text(ids), "pixel_values": pixels, "image_grid_thw": grid}

    def respond(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """``(T,)`` response tokens, the end token included, as in training."""
        ids = self.model.generate(**inputs, do_sample=False, max_new_tokens=96)
        return ids[0, inputs["input_ids"].shape[1] :]

    @torch.no_grad()
    def alpha(
        self, inputs: dict[str, torch.Tensor], response: torch.Tensor, selected: NDArray[np.int64], heads
    ) -> torch.Tensor:
        """``(T,)`` alpha of equation 13, from one forward pass over prompt and response."""
        prompt = inputs["input_ids"]
        ids = torch.cat([prompt, response[None]], dim=1)
        visual = torch.nonzero(ids[0] == self.batcher.image_token)[:, 0]
        rows = torch.arange(prompt.shape[1], ids.shape[1])
        self.capture.arm()
        self.model(**{**inputs, **self._text(ids)})
        captured = self.capture.take(rows, visual[torch.from_numpy(selected)])
        return packed_alignment(
            captured.queries,
            torch.zeros_like(rows),
            captured.keys,
            torch.zeros(len(selected), dtype=torch.long),
            1,
            heads,
        )

    def _text(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        types = (ids == self.batcher.image_token).int()
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_token_type_ids": types}


def configuration() -> DictConfig:
    """The cell's ``kawhi`` block as training sees it, and the checkpoint's path."""
    parts = [ROOT / "conf" / name for name in ("run.yaml", "model/tiny_qwen2_5_vl.yaml", "credit/kawhi.yaml")]
    cell = OmegaConf.merge(*(OmegaConf.load(part) for part in parts))
    assert isinstance(cell, DictConfig)
    OmegaConf.resolve(cell.kawhi)
    return cell


def find_problem(model: TinyModel) -> tuple[Problem, torch.Tensor]:
    """The first held-out bar chart with unequal bars that is read, worked out and answered correctly."""
    stream = problems("heldout", seed=0)
    for _ in range(CANDIDATES):
        problem = next(stream)
        values = [character for *_, character in problem.drawing.glyphs if character.isdigit()]
        if problem.task not in ("bar_sum_labelled", "bar_difference_labelled") or len(values) != len(set(values)):
            continue
        response = model.respond(model.inputs(problem))
        text = model.tokenizer.decode(response, skip_special_tokens=True)
        if is_correct(text, problem.answer) and text.count("\n\n") == 3 and readings(text) == readings(problem.worked):
            return problem, response
    raise RuntimeError(
        f"none of {CANDIDATES} held-out problems is answered in four correct paragraphs: look at the model"
    )


def readings(text: str) -> list[str]:
    return sorted(re.findall(r"[A-D] = \d+", text))


def weigh(model: TinyModel, problem: Problem, response: torch.Tensor, selected: NDArray[np.int64], kawhi) -> Answer:
    options = dict(kawhi.options)
    granularity = options.pop("granularity")
    alpha = model.alpha(model.inputs(problem), response, selected, kawhi.alignment.heads)
    segments = segment_response(response, model.tokenizer, granularity)
    weights = paragraph_weights(alpha, segments, **options)
    answer = Answer([], [], [])
    for j in range(int(segments.max()) + 1):
        tokens = segments == j
        answer.paragraphs.append(model.tokenizer.decode(response[tokens], skip_special_tokens=True).strip())
        answer.alpha.append(alpha[tokens].mean().item())
        answer.weight.append(weights[tokens][0].item())
    return answer


def draw_regions(axes, image: Image.Image, regions: RegionMap, selected: NDArray[np.int64]) -> None:
    rows, columns = regions.labels.shape
    enlarged = image.resize((4 * image.width, 4 * image.height), Image.Resampling.LANCZOS)
    axes.imshow(enlarged, extent=(0, columns, rows, 0), interpolation="antialiased", zorder=0)
    inside, borders = [], []
    for y in range(rows):
        for x in range(columns):
            if regions.key_tokens[y, x]:
                axes.add_patch(Rectangle((x, y), 1, 1, facecolor=BLUE, alpha=0.20, linewidth=0, zorder=1))
            elif y * columns + x in selected:
                axes.plot(x + 0.5, y + 0.5, "o", color=VERMILION, markersize=7, zorder=4)
            if x + 1 < columns:
                alike = regions.labels[y, x] == regions.labels[y, x + 1]
                (inside if alike else borders).append([(x + 1, y), (x + 1, y + 1)])
            if y + 1 < rows:
                alike = regions.labels[y, x] == regions.labels[y + 1, x]
                (inside if alike else borders).append([(x, y + 1), (x + 1, y + 1)])
    axes.add_collection(LineCollection(inside, colors="#B8B8B8", linewidths=0.6, linestyles=":", zorder=2))
    axes.add_collection(LineCollection(borders, colors=BLUE, linewidths=1.8, capstyle="projecting", zorder=3))
    axes.add_patch(Rectangle((0, 0), columns, rows, fill=False, edgecolor=BLUE, linewidth=1.8, clip_on=False, zorder=3))
    axes.set(xlim=(0, columns), ylim=(rows, 0), xticks=[], yticks=[])
    axes.set_frame_on(False)
    signs = [
        Patch(facecolor=BLUE, alpha=0.20, label="key region, kept"),
        Line2D([], [], marker="o", color=VERMILION, linestyle="none", markersize=6, label="background, kept"),
        Patch(facecolor="white", edgecolor="#B8B8B8", linewidth=0.8, label="left out"),
        Line2D([], [], color=BLUE, linewidth=1.8, label="border"),
    ]
    axes.legend(
        handles=signs,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.01),
        ncols=4,
        frameon=False,
        fontsize=7.4,
        handlelength=1.2,
        handletextpad=0.4,
        columnspacing=0.9,
    )


def draw_answer(axes, question: str, answer: Answer, w_min: float) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.axis("off")
    axes.text(0, 0.985, f"Question:  {question}", fontsize=9.5, color=INK, va="top")
    alpha_at, weight_at = 0.825, 0.975
    for x, name in ((alpha_at, r"alignment $\bar{\alpha}$"), (weight_at, "weight $w$")):
        axes.text(x, 0.855, name, fontsize=8, color=GREY, ha="right", va="center")
    height, gap, top = 0.18, 0.0267, 0.80
    darkest = max(answer.weight) - w_min
    for j, (text, alpha, weight) in enumerate(zip(answer.paragraphs, answer.alpha, answer.weight, strict=True)):
        y = top - (j + 1) * height - j * gap
        box = FancyBboxPatch(
            (0, y),
            1,
            height,
            boxstyle="round,pad=0,rounding_size=0.012",
            facecolor=SHADES((weight - w_min) / darkest),
            edgecolor="#9A9A9A",
            linewidth=0.8,
            clip_on=False,
        )
        axes.add_patch(box)
        middle = y + height / 2
        axes.text(0.025, middle, text, fontsize=9.5, color=INK, va="center")
        signed = f"{alpha:+.3f}".replace("-", "−")
        axes.text(alpha_at, middle, signed, fontsize=9, color=INK, va="center", ha="right")
        axes.text(weight_at, middle, f"{weight:.2f}", fontsize=9.5, weight="bold", color=INK, va="center", ha="right")


def main() -> None:
    torch.set_num_threads(1)
    cell = configuration()
    options = cell.kawhi.regions
    model = TinyModel(resolve_package_paths(cell.model.path))
    problem, response = find_problem(model)
    image = problem.drawing.render(SPEC.image_size)
    regions = sguf(
        image,
        2 * SPEC.patch_size,
        structure_threshold=options.structure_threshold,
        luminance_threshold=options.luminance_threshold,
        energy_scale=options.energy_scale,
        sigma=options.sigma,
    )
    selected = select_tokens(regions, options.strategy, options.skip_ratio, options.seed)
    answer = weigh(model, problem, response, selected, cell.kawhi)
    for text, alpha, weight in zip(answer.paragraphs, answer.alpha, answer.weight, strict=True):
        print(f"alpha {alpha:+.4f}  weight {weight:.4f}  {text}")

    figure = plt.figure(figsize=(9, 4.55), dpi=200, facecolor="white")
    head = dict(fontsize=11, weight="bold", color=INK, va="top")
    figure.text(0.025, 0.968, f"Visual tokens kept by SGUF: {len(selected)} of {regions.labels.size}", **head)
    figure.text(0.455, 0.968, "What each paragraph is worth: advantage × w", **head)
    draw_regions(figure.add_axes((0.025, 0.155, 0.3725, 0.737)), image, regions, selected)
    draw_answer(figure.add_axes((0.455, 0.155, 0.525, 0.737)), problem.question, answer, cell.kawhi.options.w_min)
    options = cell.kawhi.options
    small_print = (
        "Made with the tiny model (Qwen2.5-VL architecture, 1.8 M parameters, warm start, no reinforcement learning): "
        "its greedy answer to a held-out chart.\n"
        f"Settings of conf/credit/kawhi.yaml: τ = {options.temperature:g}, λ = {options.smoothing:g}, w between "
        f"{options.w_min:g} and {options.w_max:g}. Darker = more weight. This shows the mechanism; it is not a result."
    )
    figure.text(0.025, 0.022, small_print, fontsize=7, color=GREY, va="bottom", linespacing=1.35)
    figure.savefig(OUT, metadata={"Software": None})
    print(f"wrote {OUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
