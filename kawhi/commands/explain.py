"""``kawhi explain``: arguments in, two files out, every mistake one sentence."""

from __future__ import annotations

import argparse
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from kawhi import __version__

if TYPE_CHECKING:  # `kawhi status` is typed often and needs none of these
    from PIL import Image

    from kawhi.explain.content import Explanation

HELP = """\
Which paragraph of an answer looked at the image: a page (HTML, one file, no network) and a picture (PNG).

  kawhi explain chart.png "What is the sum of A and B?"
  kawhi explain chart.png "What is the sum of A and B?" --response answer.txt --model path/to/checkpoint
  kawhi explain results/runs/adhoc/NAME --step 10 --prompt 2
"""


def add_parser(commands) -> None:
    """Adds the command to ``kawhi``; imports nothing heavy."""
    parser = commands.add_parser(
        "explain",
        help="which paragraph of an answer looked at the image, as a page and a picture",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", type=Path, help="an image, or the folder of a training run")
    parser.add_argument("question", nargs="?", help="what is asked about the image")
    parser.add_argument("--out", type=Path, default=Path("."), metavar="FOLDER", help="where to write (default: here)")
    image = parser.add_argument_group("an image")
    image.add_argument(
        "--response", type=Path, metavar="FILE", help="text of the response (default: the model answers)"
    )
    image.add_argument(
        "--respond",
        type=int,
        action="append",
        metavar="SEED",
        help="an answer sampled under this seed instead of the greedy one; repeat it to stack several",
    )
    image.add_argument(
        "--model", metavar="FOLDER", help="a Qwen2.5-VL or Qwen3-VL checkpoint (default: the shipped tiny one)"
    )
    image.add_argument(
        "--heads", metavar="0,1,3", help="heads to average alpha over (default: all; of a tiny model two)"
    )
    image.add_argument("--strategy", help="which visual tokens: sguf (default), all, random, inverse or visionzip")
    image.add_argument("--skip-ratio", type=float, metavar="R", help="share of the background left out (default: 0.7)")
    image.add_argument("--wrong-image", type=Path, metavar="FILE", help="image for the control with a wrong image")
    image.add_argument("--max-new-tokens", type=int, default=512, metavar="N", help="longest answer (default: 512)")
    run = parser.add_argument_group("a training run")
    run.add_argument("--step", type=int, metavar="N", help="a recorded step (default: the last)")
    run.add_argument("--prompt", type=int, metavar="K", help="which prompt recorded in that step, from 1 (default: 1)")
    run.add_argument("--response-number", type=int, metavar="R", help="one response, from 1 (default: all, stacked)")


_OF_IMAGES = ("question", "response", "respond", "model", "heads", "strategy", "skip_ratio", "wrong_image")
_OF_RUNS = ("step", "prompt", "response_number")


def explain(given: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Runs the command; returns the exit code."""
    try:
        _check(given)
        from kawhi.wheels import torchvision_shim

        torchvision_shim.install()
        found, name = _of_run(given) if given.target.is_dir() else _of_image(given)
    except (OSError, ValueError) as error:
        return _refuse(" ".join(str(error).split()))
    from kawhi.explain.page import render
    from kawhi.explain.picture import draw

    made = {
        "command": shlex.join(["kawhi", *arguments]),
        "versions": f"kawhi {__version__}, torch {version('torch')}, transformers {version('transformers')}, "
        f"Python {platform.python_version()}",
    }
    found = replace(found, details={**found.details, **made})
    page, picture = given.out / f"{name}_explain.html", given.out / f"{name}_explain.png"
    try:
        given.out.mkdir(parents=True, exist_ok=True)
        page.write_text(render(found), encoding="utf-8")
        draw(found, picture)
    except OSError as error:
        return _refuse(f"{given.out} cannot be written: {error.strerror or error}")
    print(f"wrote {page}\nwrote {picture}")
    return 0


def _check(given: argparse.Namespace) -> None:
    is_run = given.target.is_dir()
    if not is_run and not given.target.exists():
        raise ValueError(f"there is no file or folder {given.target}")
    foreign = _OF_IMAGES if is_run else _OF_RUNS
    named = [name for name in foreign if getattr(given, name) is not None]
    if named:
        option = named[0] if named[0] == "question" else "--" + named[0].replace("_", "-")
        of = "an image and the target is a folder" if is_run else "a training run and the target is a file"
        raise ValueError(f"{option} is for {of}")
    if not is_run and not (given.question or "").strip():
        raise ValueError(f'an image needs a question: kawhi explain {given.target} "What is ...?"')
    if given.response and given.respond:
        raise ValueError("--response gives the answer and --respond samples one; choose one of them")


def _of_run(given: argparse.Namespace) -> tuple[Explanation, str]:
    from kawhi.explain.training_step import explain_run

    prompt = 1 if given.prompt is None else given.prompt
    return explain_run(given.target, given.step, prompt, given.response_number)


def _of_image(given: argparse.Namespace) -> tuple[Explanation, str]:
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
    chosen = {"strategy": given.strategy, "skip_ratio": given.skip_ratio}
    settings = Settings(
        alignment=AlignmentOptions(heads=heads),
        **{name: value for name, value in chosen.items() if value is not None},
    )
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
    )
    precision = str(inspector.model.dtype).removeprefix("torch.")
    details = {"model": f"{model}, {precision} on {inspector.device}", **found.details}
    return replace(found, details=details), given.target.stem


def _image(path: Path) -> Image.Image:
    from PIL import Image, ImageFile, UnidentifiedImageError

    ImageFile.LOAD_TRUNCATED_IMAGES = False  # lmms-eval sets it when it is imported, and half a picture would pass
    try:
        image = Image.open(path)
        image.load()
    except FileNotFoundError:
        raise ValueError(f"there is no image {path}") from None
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is not an image that can be read") from error
    return image


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


def _heads(listed: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(head) for head in listed.split(",")))
    except ValueError:
        raise ValueError(f"--heads takes numbers with commas between them, such as 0,1,3, not {listed!r}") from None


def _refuse(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return 1
