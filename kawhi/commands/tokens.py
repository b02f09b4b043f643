"""``kawhi tokens``: arguments in, rows, figures and a page out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import click

from kawhi.base.errors import CellError
from kawhi.commands.app import INCLUDE, ListOptions, app, typed

if TYPE_CHECKING:  # `kawhi status` is typed often and needs none of these
    from kawhi.commands.token_questions import Source
    from kawhi.credit.methods import CreditMethod

HELP = """\
Which tokens does a credit method reward?  Every response token with its signals (entropy, log-probs with the image, a
black and a perturbed one, attention to the image, alpha) and the weight that each method gives it: a parquet file, and
a page with the figures of ToR's paper for every method.

\b
  kawhi tokens --model tiny_qwen2_5_vl tiny_qwen3_vl --data tiny
  kawhi tokens --model Qwen/Qwen2.5-VL-7B-Instruct --data geo3k --problems 200
  kawhi tokens --model results/runs/none/RUN --data kawhi_wemath
  kawhi tokens --samples results/runs/none/RUN/eval/kawhi_wemath-0123456789ab

The same command goes on where it was stopped.
"""
_TOLD_EVERY = 10
"""Seconds."""


@app.command(cls=ListOptions, help=HELP, short_help="which tokens a credit method rewards: signals, weights, figures")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME [...]",
    help="names of conf/model, folders of checkpoints or of trainings, names in the hub's cache; checkpoints of one "
    "training in their order",
)
@click.option(
    "--data",
    help="tiny, reading_plain or reading_long, a data set of `kawhi prepare`, a parquet file of its form, or a task of "
    "conf/benchmarks",
)
@click.option("--samples", type=Path, metavar="FOLDER", help="an evaluation whose responses are read, not sampled")
@click.option("--problems", type=click.IntRange(1), default=64, show_default=True, help="how many, from the first")
@click.option("--group", type=click.IntRange(1), default=8, show_default=True, help="responses to each question")
@click.option("--max-new-tokens", type=click.IntRange(1), default=512, show_default=True, help="of a response")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="of problems and responses")
@click.option(
    "--methods", metavar="A,B:OPTION=VALUE", multiple=True, help="these instead of every file of conf/credit that fits"
)
@click.option("--batch", type=click.IntRange(1), help="prompts whose tokens are ranked together (default: all)")
@INCLUDE
@click.option("--device", help="of torch (default: cuda where there is one, else cpu)")
@click.option("--out", type=Path, metavar="FOLDER", help="where to write (default: results/tokens/DATA)")
def tokens(models: tuple[str, ...], data: str | None, samples: Path | None, **options: Any) -> None:
    from kawhi.wheels import torchvision_shim

    torchvision_shim.install()
    from kawhi.base.files import write_atomically
    from kawhi.commands.token_questions import questions_of
    from kawhi.probes.study_record import write_tokens_record
    from kawhi.probes.token_figures import draw_all
    from kawhi.probes.token_page import page

    source = questions_of(data, samples)
    models = models or source.models
    if not models:
        raise CellError("say --model: whose tokens")
    out = options["out"] or Path("results/tokens") / source.name
    given = SimpleNamespace(**options)
    command = typed(without="--out")
    try:
        found = {name: _probed(path, name, source, given, out / name) for name, path in _names(models).items()}
    except ValueError as error:  # as the packages that know nothing of commands raise it
        raise CellError(str(error)) from error
    drawn = draw_all(found, out)
    write_atomically(out / "tokens.md", page(found, drawn, source.name, command))
    print(f"wrote {out / 'tokens.md'}, its figures, and tokens.parquet in {', '.join(found)}")
    for own in found.values():
        model = {"name": own["model"], "family": own["family"], "weights": own["settings"]["weights"]}
        print(f"wrote {write_tokens_record(own, model, 'tiny' if own['tiny'] else 'measured', command)}")


def _names(models: Sequence[str]) -> dict[str, str]:
    """Models by what folders and legends call them: the last parts of a path, as many as tell them apart."""
    for parts in range(1, 8):
        names = ["-".join(Path(model).parts[-parts:]).strip("/-") for model in models]
        if len({*names}) == len(names):
            return dict(zip(names, models, strict=True))
    raise CellError("a model is named twice")


def _probed(model: str, name: str, source: Source, given: Any, folder: Path) -> dict[str, Any]:
    """Writes ``tokens.parquet`` and ``tokens.json`` of one model; returns what the second one has."""
    import torch
    from omegaconf import OmegaConf

    from kawhi.base.checkpoint_weights import weights_fingerprint
    from kawhi.base.files import write_json
    from kawhi.base.made_by import launch_note
    from kawhi.commands.token_questions import chosen_model
    from kawhi.lab.policy import Policy
    from kawhi.lab.token_rows import TokenProbe, weighed
    from kawhi.lab.token_run import Sampling, measured, write_frame
    from kawhi.probes.token_summary import summary
    from kawhi.records.hashing import config_hash
    from kawhi.tiny.tokenizer import VOCABULARY_SIZE

    chosen = chosen_model(model)
    where = given.device or ("cuda" if torch.cuda.is_available() else "cpu")
    policy = Policy(chosen.folder, device=where, dtype=torch.float32 if where == "cpu" else torch.bfloat16)
    asked = [*islice(source.questions(policy, given.seed), given.problems)]
    if not asked:
        raise CellError(f"{source.name} has no question with one image")
    cells, base = _cells(given.methods, chosen.overrides, all(each.item.readings is not None for each in asked))
    probe = TokenProbe(policy, cells, base)
    sampling = Sampling(given.group, given.max_new_tokens, given.seed)
    settings = {
        "weights": weights_fingerprint(chosen.folder),
        "data": source.fingerprint,
        "signals": probe.settings,
        "sampling": vars(sampling),
        "precision": str(policy.model.dtype),
    }
    parts = folder / "parts" / config_hash(settings)
    rows = measured(policy, probe, asked, sampling, parts, _told(len(asked), name))
    rows = weighed(rows, probe.methods, policy.tokenizer, given.batch)
    write_frame(folder / "tokens.parquet", rows)
    methods = {label: OmegaConf.to_container(cell.kawhi, resolve=True) for label, cell in cells.items()}
    found = {
        "model": name,
        "family": policy.model.config.model_type,
        "tiny": policy.model.config.text_config.vocab_size == VOCABULARY_SIZE,
        "data": source.name,
        "group": int(rows["response"].max()) + 1,
        "settings": {**settings, "methods": methods, "batch": given.batch},
        "made": launch_note("tokens"),
        **summary(rows),
    }
    write_json(folder / "tokens.json", found)
    return found


def _cells(named: Sequence[str], overrides: Sequence[str], readings: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """The cells of the methods that were asked for, or of all that fit the questions."""
    from kawhi.base.checkout import configuration_folder
    from kawhi.credit.methods import AddsLoss
    from kawhi.credit.readings import TRUTH
    from kawhi.lab.study import read_study, row_of, words
    from kawhi.lab.token_run import cells

    study = read_study(configuration_folder() / "lab" / "bench.yaml")
    listed = [text for each in named for text in words(each)]
    every = sorted(file.stem for file in (configuration_folder() / "credit").glob("*.yaml"))
    made, base = cells([row_of(text) for text in listed or every], study, overrides)
    for label, cell in [*made.items()]:
        method = _method(cell)
        if not listed and isinstance(method, AddsLoss):
            del made[label]
            print(f"left out {label}: it adds to the loss and weighs all tokens alike")
        elif not readings and method.needs & TRUTH:
            if listed:
                raise CellError(f"{label} needs to know what has to be read, and these questions do not say it")
            del made[label]
            print(f"left out {label}: nobody knows what has to be read here")
    return made, base


def _method(cell: Any) -> CreditMethod:
    from omegaconf import OmegaConf

    from kawhi.credit.methods import configured

    kawhi: Any = OmegaConf.to_container(cell.kawhi, resolve=True)
    return configured(kawhi)


def _told(count: int, name: str) -> Callable[[int], None]:
    """Says every ten seconds, and at the end, how many questions are done."""
    start = last = time.monotonic()
    done = 0

    def told(more: int) -> None:
        nonlocal last, done
        done += more
        if done == count or time.monotonic() - last >= _TOLD_EVERY:
            last = time.monotonic()
            print(f"{name}: {done} of {count} questions, {last - start:.0f} s", flush=True)

    return told
