"""``kawhi probe alpha``: arguments in, a page and its numbers out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kawhi.base.errors import CellError
from kawhi.commands.app import typed
from kawhi.commands.named import data_file, named_model, told
from kawhi.commands.probe import probe

if TYPE_CHECKING:  # `kawhi status` is typed often and needs none of these
    from kawhi.probes.alpha_probe import Subject

HELP = """\
Which heads of a checkpoint read the image, which paragraph alpha is highest in, with the true image, a blank and a
wrong one, and where the gradient's signal lies: a page (Markdown) and its numbers (JSON).

\b
  kawhi probe alpha --model tiny_qwen2_5_vl --data tiny
  kawhi probe alpha --model Qwen/Qwen2.5-VL-7B-Instruct --data geo3k --problems 100
  kawhi probe alpha --model path/to/checkpoint --data problems.parquet --heads 0,1,3

Drawn worlds come with worked answers whose readings are known, digit by digit; other data with the model's own answers.
The gradient is asked where responses have verdicts: the reading world's, or those of --rollouts (docs/bench.md).
"""
_SIDE = 16
"""Visual tokens along the side of a drawing for a model whose images have no size of their own."""


@probe.command("alpha", help=HELP, short_help="which heads read the image, and which paragraph alpha is highest in")
@click.option(
    "--model", required=True, help="a name of conf/model, a checkpoint's folder, or a name in the hub's cache"
)
@click.option(
    "--data",
    required=True,
    help="tiny, reading_plain or reading_long, a data set of `kawhi prepare`, or a parquet file of its form",
)
@click.option("--problems", type=click.IntRange(2), default=100, show_default=True, help="how many, from the first")
@click.option("--own-answers", is_flag=True, help="of drawn worlds: the model's answers in place of worked ones")
@click.option("--heads", metavar="0,1,3", help="critical heads (default: those of conf/model, or all)")
@click.option("--max-new-tokens", type=click.IntRange(1), default=512, show_default=True, help="of an answer")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="of problems and answers")
@click.option("--rollouts", type=Path, help="judged responses, one prompt a line: docs/bench.md")
@click.option("--prompts", type=click.IntRange(3), help="of the reading world, for gradients (default: 300)")
@click.option("--out", type=Path, metavar="FOLDER", help="where to write (default: results/probes/MODEL-DATA)")
def alpha(
    model: str,
    data: str,
    problems: int,
    own_answers: bool,
    heads: str | None,
    max_new_tokens: int,
    seed: int,
    rollouts: Path | None,
    prompts: int | None,
    out: Path | None,
) -> None:
    from kawhi.wheels import torchvision_shim

    torchvision_shim.install()
    from kawhi.base.files import write_atomically, write_json
    from kawhi.credit.alignment import AlignmentOptions
    from kawhi.explain.checkpoint import open_inspector
    from kawhi.probes.alpha_probe import watch
    from kawhi.probes.alpha_report import page, summary

    path, of_conf = named_model(model)
    critical = _heads(heads) if heads else of_conf
    answers: dict[str, Any] = {"own_answers": own_answers, "max_new_tokens": max_new_tokens, "seed": seed}
    try:
        # Of attention, so that a layer in which it is not known is refused.
        inspector = open_inspector(path, AlignmentOptions(heads=critical, statistic="max_attention"))
        subjects = [*told(_subjects(inspector, data, problems, **answers), problems, "responses ready")]
        if len(subjects) < 2:
            raise CellError(f"{data} has {len(subjects)} problem(s); a wrong image needs two")
        seen = [*told(watch(inspector, subjects), len(subjects), "responses seen")]
    except ValueError as error:  # as the packages that know nothing of commands raise it
        raise CellError(str(error)) from error
    asked = {"model": model, "data": data, "problems": len(subjects), "critical_heads": critical, **answers}
    found = {**asked, "command": typed(without="--out"), **summary(seen, critical)}
    out = out or Path("results/probes") / f"{Path(model).name}-{Path(data).stem}"
    write_json(out / "alpha.json", found)
    signal = _signal(model, path, data, rollouts, prompts, out)
    write_atomically(out / "alpha.md", page(found, signal))
    print(f"wrote {out / 'alpha.md'}\nwrote {out / 'alpha.json'}")


def _signal(model: str, path: str, data: str, rollouts: Path | None, prompts: int | None, out: Path) -> str | None:
    """What the gradient probe says of this model, with its files; ``None`` where no responses have verdicts."""
    from rich.progress import Progress

    from kawhi.lab.judged import probe_judged
    from kawhi.lab.probing import PROMPTS, SHARE, probe_study, write_probe
    from kawhi.lab.study import chosen

    world, _, difficulty = data.partition("_")
    if rollouts is None and world != "reading":
        return None
    study = chosen(None, [], difficulty=None if rollouts else difficulty)
    family = next((family for family, words in study.models.items() if f"model={model}" in words), None)
    with Progress() as progress:
        count = prompts or PROMPTS
        bar = progress.add_task("gradients of prompts", total=None if rollouts else count)

        def told(done: int) -> None:
            progress.update(bar, advance=done)

        if rollouts is not None:
            found = probe_judged(study, family or next(iter(study.models)), path, rollouts, SHARE, None, told)
        elif family is None:
            return None
        else:
            found = probe_study(study, family, count, SHARE, told, jobs=1)
    return write_probe(found, f"{Path(model).name}, {study.algorithm}", out)


def _heads(listed: str) -> list[int]:
    try:
        return sorted({int(head) for head in listed.split(",")})
    except ValueError:
        raise CellError(f"--heads takes numbers with commas between them, such as 0,1,3, not {listed!r}") from None


def _subjects(
    inspector: Any, data: str, count: int, *, own_answers: bool, max_new_tokens: int, seed: int
) -> Iterator[Subject]:
    """Problems with their answers.

    Raises:
        CellError: data that nobody has, or that are not prepared.
    """
    import torch

    from kawhi.credit.segments import segment_response
    from kawhi.probes.alpha_probe import Subject
    from kawhi.probes.grounding_study import read_examples
    from kawhi.probes.reads import kinds_of
    from kawhi.tiny.where import right_tokens
    from kawhi.tiny.worlds import WORLDS, problems_of

    tokenizer = inspector.tokenizer
    if data not in WORLDS:
        for example in islice(read_examples(data_file(data)), count):
            prompt = inspector.prompt(example.image, example.question)
            response = inspector.respond(prompt, max_new_tokens=max_new_tokens, seed=seed + example.index)
            yield Subject(example.index, example.image, example.question, example.source, response)
        return
    limit = inspector.processor.image_processor.size["longest_edge"]  # pixels of an image
    side = min(_SIDE, math.isqrt(limit) // inspector.token_pixels)
    for index, problem in enumerate(islice(problems_of(data, "heldout", seed), count)):
        image = problem.drawing.render(side * inspector.token_pixels)
        response = torch.tensor([*tokenizer(problem.worked)["input_ids"], tokenizer.eos_token_id])
        if own_answers:
            prompt = inspector.prompt(image, problem.question)
            response = inspector.respond(prompt, max_new_tokens=max_new_tokens, seed=seed + index)
        kinds, _ = kinds_of(data, tokenizer.decode(response, skip_special_tokens=True))
        reads = [kinds[j] == "reading" for j in segment_response(response, tokenizer, "paragraph").tolist()]
        tokens = [tokenizer.decode([token]) for token in response.tolist()]
        right = right_tokens(problem.drawing, tokens, reads, side)
        yield Subject(index, image, problem.question, data, response, right)
