"""``kawhi explain``: arguments in, two files out."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import click

from kawhi import __version__
from kawhi.base.errors import CellError
from kawhi.commands.app import app, typed

if TYPE_CHECKING:  # `kawhi status` is typed often and needs none of these
    from PIL import Image

    from kawhi.explain.content import Explanation

HELP = """\
Which paragraph of an answer looked at the image: a page (HTML, one file, no network) and a picture (PNG).

\b
  kawhi explain chart.png "What is the sum of A and B?"
  kawhi explain chart.png "What is the sum of A and B?" --response answer.txt --model path/to/checkpoint
  kawhi explain results/runs/none/NAME --step 10 --prompt 2

The first options below are for an image; --step, --prompt and --response-number for the folder of a training run.
"""

_OF_IMAGES = (
    "question",
    "response",
    "respond",
    "model",
    "heads",
    "statistic",
    "layer",
    "strategy",
    "skip_ratio",
    "wrong_image",
)
_OF_RUNS = ("step", "prompt", "response_number")


@app.command(help=HELP, short_help="which paragraph of an answer looked at the image, as a page and a picture")
@click.argument("target", type=Path, help="an image, or the folder of a training run")
@click.argument("question", required=False, help="what is asked about the image")
@click.option("--out", type=Path, default=Path("."), metavar="FOLDER", help="where to write (default: here)")
@click.option("--response", type=Path, metavar="FILE", help="text of the response (default: the model answers)")
@click.option(
    "--respond",
    type=int,
    multiple=True,
    default=None,
    metavar="SEED",
    help="an answer sampled under this seed instead of the greedy one; repeat it to stack several",
)
@click.option("--model", metavar="FOLDER", help="a Qwen2.5-VL or Qwen3-VL checkpoint (default: the shipped tiny one)")
@click.option("--heads", metavar="0,1,3", help="heads of alpha, or all (default: all; of a tiny model two)")
@click.option("--statistic", help="of alpha: mean_cosine (default), max_cosine, attention_mass, max_attention")
@click.option("--layer", metavar="N", help="of the decoder: last (default), from 0, or from -2 downwards from the end")
@click.option("--strategy", help="which visual tokens: sguf (default), all, random, inverse or visionzip")
@click.option("--skip-ratio", type=float, metavar="R", help="share of the background left out (default: 0.7)")
@click.option("--wrong-image", type=Path, metavar="FILE", help="image for the control with a wrong image")
@click.option("--max-new-tokens", type=int, default=512, metavar="N", help="longest answer (default: 512)")
@click.option("--step", type=int, metavar="N", help="of a training run: a recorded step (default: the last)")
@click.option(
    "--prompt", type=int, metavar="K", help="which prompt recorded in that step, from 1 (default: the most telling)"
)
@click.option("--response-number", type=int, metavar="R", help="one response, from 1 (default: all, stacked)")
def explain(**options: Any) -> None:
    given = SimpleNamespace(**options)
    try:
        _check(given)
        from kawhi.wheels import torchvision_shim

        torchvision_shim.install()
        with telling() as told:
            found, name = _of_run(given, told) if given.target.is_dir() else _of_image(given, told)
            told("drawing")
            page, picture = _write(given.out, found, name)
    except ValueError as error:  # as the packages that know nothing of commands raise it
        raise CellError(str(error)) from error
    print(f"wrote {page}\nwrote {picture}")


@contextmanager
def telling() -> Iterator[Callable[[str], None]]:
    """A line on stderr that says what is being done and since when; of a pipe, one line for each."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda said: print(f"explain: {said}", file=sys.stderr, flush=True)
        return
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting")
        yield lambda said: progress.update(task, description=said)


def _write(out: Path, found: Explanation, name: str) -> tuple[Path, Path]:
    """Writes the page and the picture; returns their paths."""
    from kawhi.explain.page import render
    from kawhi.explain.picture import draw

    made = {
        "command": typed(),
        "versions": f"kawhi {__version__}, torch {version('torch')}, transformers {version('transformers')}, "
        f"Python {platform.python_version()}",
    }
    found = replace(found, details={**found.details, **made})
    page, picture = out / f"{name}_explain.html", out / f"{name}_explain.png"
    try:
        out.mkdir(parents=True, exist_ok=True)
        page.write_text(render(found), encoding="utf-8")
        draw(found, picture)
    except OSError as error:
        raise CellError(f"{out} cannot be written: {error.strerror or error}") from error
    return page, picture


def _check(given: SimpleNamespace) -> None:
    is_run = given.target.is_dir()
    if not is_run and not given.target.exists():
        raise ValueError(f"there is no file or folder {given.target}")
    if is_run:
        _refuse(_OF_IMAGES, given, "an image and the target is a folder")
        return
    _refuse(_OF_RUNS, given, "a training run and the target is a file")
    if not (given.question or "").strip():
        raise ValueError(f'an image needs a question: kawhi explain {given.target} "What is ...?"')
    if given.response and given.respond:
        raise ValueError("--response gives the answer and --respond samples one; choose one of them")


def _refuse(names: Sequence[str], given: SimpleNamespace, what: str) -> None:
    for name in names:
        if getattr(given, name) not in (None, ()):
            option = name if name == "question" else "--" + name.replace("_", "-")
            raise ValueError(f"{option} is for {what}")


def _of_run(given: SimpleNamespace, told: Callable[[str], None]) -> tuple[Explanation, str]:
    from kawhi.explain.training_step import explain_run

    return explain_run(given.target, given.step, given.prompt, given.response_number, told)


def _of_image(given: SimpleNamespace, told: Callable[[str], None]) -> tuple[Explanation, str]:
    from kawhi.credit.alignment import AlignmentOptions
    from kawhi.explain.checkpoint import open_inspector
    from kawhi.explain.one_image import explain_image
    from kawhi.explain.settings import CRITICAL_HEADS, SHIPPED, Settings

    # What is quickly checked comes first: opening a large model takes minutes.
    image = _image(given.target)
    wrong = None
    if given.wrong_image:
        wrong = _image(given.wrong_image), f"{given.wrong_image.name}, resized to the true image's size"
    text = _text(given.response) if given.response else None
    model = given.model or SHIPPED
    heads = _heads(given.heads) if given.heads else CRITICAL_HEADS.get(model)
    looks: dict[str, Any] = {"statistic": given.statistic, "layer": _layer(given.layer)}
    chosen = {"strategy": given.strategy, "skip_ratio": given.skip_ratio}
    settings = Settings(
        alignment=AlignmentOptions(heads=heads, **{name: value for name, value in looks.items() if value is not None}),
        **{name: value for name, value in chosen.items() if value is not None},
    )
    told(f"opening {model}")
    inspector = open_inspector(model, settings.alignment)
    found = explain_image(
        inspector,
        settings,
        image,
        given.question.strip(),
        title=given.target.name,
        text=text,
        seeds=given.respond or (),
        wrong_image=wrong,
        max_new_tokens=given.max_new_tokens,
        told=told,
    )
    precision = str(inspector.model.dtype).removeprefix("torch.")
    details = {"model": f"{model}, {precision} on {inspector.device}", **found.details}
    return replace(found, details=details), given.target.stem


def _image(path: Path) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    from kawhi.pictures.rgb import picture

    try:
        return picture(path)
    except FileNotFoundError:
        raise ValueError(f"there is no image {path}") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is not an image that can be read") from error


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"there is no response file {path}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"the response file {path} is not UTF-8 text") from error
    if not text.strip():
        raise ValueError(f"the response file {path} is empty")
    return text


def _heads(listed: str) -> tuple[int, ...] | None:
    if listed == "all":
        return None
    try:
        return tuple(dict.fromkeys(int(head) for head in listed.split(",")))
    except ValueError:
        told = f"--heads takes all, or numbers with commas between them, such as 0,1,3, not {listed!r}"
        raise ValueError(told) from None


def _layer(said: str | None) -> Any:
    """A number where it is one; what else there is, :class:`AlignmentOptions` knows."""
    try:
        return int(said or "")
    except ValueError:
        return said
