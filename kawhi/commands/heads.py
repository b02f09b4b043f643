"""``kawhi heads``: arguments in, files out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kawhi.base.errors import CellError
from kawhi.commands.app import ListOptions, app, typed

HELP = """\
Vision-critical heads (figure 3): MME's 14 subtasks with each attention head switched off in all decoder layers.

\b
  kawhi heads Qwen/Qwen2.5-VL-7B-Instruct --data MME/test-*.parquet
  kawhi heads kawhi/tiny/checkpoints/qwen2_5_vl_yes_no --data tiny

A critical head is one whose absence breaks answers.  It need not be one that reads: a head may carry on what another
one has read, or hold the sentence together, and of several heads that read the same thing none is missed.  Which heads
attend to what is read, layer by layer, says kawhi probe alpha.

An interrupted command goes on where it stopped.  On several GPUs start one command per GPU with --only and the same
--out, then the command without --only.
"""


@app.command(
    cls=ListOptions, help=HELP, short_help="vision-critical attention heads by ablation on MME, as a list and a figure"
)
@click.argument("model", help="a Qwen2.5-VL or Qwen3-VL checkpoint: folder or hub name")
@click.option(
    "--data",
    required=True,
    multiple=True,
    metavar="FILE [FILE ...]",
    help="MME's parquet files, or tiny for the tiny world's",
)
@click.option("--out", type=Path, metavar="FOLDER", help="where to write (default: results/heads/MODEL)")
@click.option(
    "--threshold", type=float, default=100.0, metavar="POINTS", help="paper: 100 (default); the authors' page: 50"
)
@click.option("--only", metavar="0,1,3", help="only these heads, or whole for the whole model")
@click.option("--device", help="of torch (default: cuda where there is one, else cpu)")
@click.option("--batch-size", type=int, default=16, metavar="N", help="questions at once (default: 16)")
@click.option("--max-new-tokens", type=int, default=16, metavar="N", help="of an answer (default: 16)")
@click.option("--tiny-pairs", type=int, default=8, metavar="N", help="images per tiny subtask (8)")
def heads(
    model: str,
    data: tuple[str, ...],
    out: Path | None,
    threshold: float,
    only: str | None,
    device: str | None,
    batch_size: int,
    max_new_tokens: int,
    tiny_pairs: int,
) -> None:
    from kawhi.wheels import torchvision_shim

    torchvision_shim.install()
    from kawhi.base.checkout import resolve_package_paths
    from kawhi.probes.critical_heads import summary
    from kawhi.probes.head_ablation import Settings, ablate, backend_of, check_data, identity, open_folder, read

    if min(batch_size, max_new_tokens, tiny_pairs) < 1 or threshold < 0:
        raise CellError("--batch-size, --max-new-tokens and --tiny-pairs start at 1, --threshold at 0")
    path = resolve_package_paths(model)
    backend, total = backend_of(path)
    out = out or Path("results/heads") / Path(path).name
    wanted = _only(only, total)
    files, pixels = (tuple(map(Path, data)), {}) if data != ("tiny",) else _tiny_data(backend, out, tiny_pairs)
    settings = Settings(
        model=path,
        data=files,
        device=device or _device(),
        batch_size=batch_size,
        max_new_tokens=max_new_tokens,
        **pixels,
    )
    check_data(settings.data)
    asked = identity(settings, backend)
    open_folder(out, asked)
    if todo := [head for head in read(out, total)[2] if head in wanted]:
        ablate(settings, out, todo)
    whole, results, missing = read(out, total)
    if whole is None or missing:
        print(f"{len(missing)} of {total + 1} runs are missing; the command without --only finishes them")
        return
    # The record's command: without the folder, which changes no number and belongs to one machine.
    command, provenance = typed(without="--out"), "tiny" if data == ("tiny",) else "measured"
    _write(summary(whole, results, threshold), whole.total, asked, model, out, command, provenance)


def _write(
    found: dict[str, Any],
    total: float,
    asked: dict[str, Any],
    model: str,
    out: Path,
    command: str,
    provenance: str,
) -> None:
    """Writes the list, the figure and the record, and prints what they say."""
    from kawhi.base.checkout import resolve_package_paths
    from kawhi.base.files import write_json
    from kawhi.probes.critical_heads import configuration_line
    from kawhi.probes.head_figure import draw
    from kawhi.probes.study_record import write_heads_record

    name = Path(resolve_package_paths(model)).name
    write_json(out / "heads.json", {"model": model, **found})
    record = write_heads_record(found, asked, name=name, provenance=provenance, command=command)
    pictures = out / "heads.png", out / "heads.pdf"
    draw(found, name, pictures)
    if total <= found["guessing"]:
        print(
            f"warning: the whole model's {total:.1f} points are not above the {found['guessing']:.0f} of "
            "guessing, so the drops say nothing"
        )
    print(f"b = {total:.1f} points, threshold {found['threshold']:g}")
    print(configuration_line(found, command))
    print(f"a run with model=own model.path={model} takes these heads from the record, by the model's weights")
    print(
        "these are heads whose absence breaks answers; which heads attend to what is read says "
        f"`kawhi probe alpha --model {model} --data NAME`"
    )
    for file in (out / "heads.json", *pictures, record):
        print(f"wrote {file}")


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _tiny_data(backend: str, out: Path, pairs: int) -> tuple[tuple[Path, ...], dict[str, int]]:
    """The file of the tiny world's subtasks, and the numbers of pixels that its images have."""
    from kawhi.tiny.architectures import FAMILIES
    from kawhi.tiny.mme_split import write_mme

    size = {str(family): spec.image_size for family, spec in FAMILIES.items()}[backend]
    file = out / f"mme-{size}-{pairs}.parquet"
    write_mme(file, size, pairs)
    return (file,), {"min_pixels": size**2, "max_pixels": size**2}


def _only(text: str | None, total: int) -> list[int | None]:
    everything: list[int | None] = [None, *range(total)]
    if text is None:
        return everything
    names = {"whole" if head is None else str(head): head for head in everything}
    parts = [part.strip() for part in text.split(",")]
    if any(part not in names for part in parts):
        raise CellError(f"--only takes whole or heads from 0 to {total - 1}, separated by commas, not {text!r}")
    return [names[part] for part in parts]
