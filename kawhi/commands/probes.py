"""``kawhi heads`` and ``kawhi errors``: arguments in, files out, every mistake one sentence."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HEADS = """\
Vision-critical heads (figure 3): MME's 14 subtasks with each attention head switched off in all decoder layers.

  kawhi heads Qwen/Qwen2.5-VL-7B-Instruct --data MME/test-*.parquet
  kawhi heads kawhi/tiny/checkpoints/qwen2_5_vl_yes_no --data tiny

An interrupted command goes on where it stopped.  On several GPUs start one command per GPU with --only and the same
--out, then the command without --only.
"""

ERRORS = """\
Error attribution (figure 1a): a judge sorts every wrong answer of a run into VP, AO, CE, RAE or Others.

  kawhi errors results/runs/main_table/NAME --benchmark kawhi_mathverse --judge qwen3_vl_30b_a3b
"""

TINY_PAIRS = 8


def add_parsers(commands) -> None:
    """Adds both commands to ``kawhi``; imports nothing heavy."""
    heads = commands.add_parser(
        "heads",
        help="vision-critical attention heads by ablation on MME, as a list and a figure",
        description=HEADS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    heads.add_argument("model", help="a Qwen2.5-VL or Qwen3-VL checkpoint: folder or hub name")
    heads.add_argument(
        "--data", nargs="+", required=True, metavar="FILE", help="MME's parquet files, or tiny for the tiny world's"
    )
    heads.add_argument("--out", type=Path, metavar="FOLDER", help="where to write (default: results/heads/MODEL)")
    heads.add_argument(
        "--threshold", type=float, default=100.0, metavar="POINTS", help="paper: 100 (default); the authors' page: 50"
    )
    heads.add_argument("--only", metavar="0,1,3", help="only these heads, or whole for the whole model")
    heads.add_argument("--device", help="of torch (default: cuda where there is one, else cpu)")
    heads.add_argument("--batch-size", type=int, default=16, metavar="N", help="questions at once (default: 16)")
    heads.add_argument("--max-new-tokens", type=int, default=16, metavar="N", help="of an answer (default: 16)")
    heads.add_argument(
        "--tiny-pairs", type=int, default=TINY_PAIRS, metavar="N", help=f"images per tiny subtask ({TINY_PAIRS})"
    )
    errors = commands.add_parser(
        "errors",
        help="why a run's wrong answers are wrong, by a judge, as counts and a figure",
        description=ERRORS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    errors.add_argument("run", type=Path, help="the folder of an evaluated run")
    errors.add_argument("--benchmark", metavar="TASK", help="e.g. kawhi_mathverse (default: the run's only one)")
    errors.add_argument("--judge", required=True, metavar="NAME", help="a file of conf/judge, without .yaml")
    errors.add_argument("--base-url", metavar="URL", help="of a running server of the judge")
    errors.add_argument("--model", metavar="NAME", help="the judge, as that server calls it")


def heads(given: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Runs the command; returns the exit code."""
    return _guarded(lambda: _heads(given, _command(arguments)))


def errors(given: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Runs the command; returns the exit code."""
    return _guarded(lambda: _errors(given, _command(arguments)))


def _command(arguments: Sequence[str]) -> str:
    """As a record says it: without the folder, which changes no number and belongs to one machine."""
    kept = [each for each in arguments if not each.startswith("--out=")]
    if "--out" in kept:
        at = kept.index("--out")
        del kept[at : at + 2]
    return shlex.join(["kawhi", *kept])


def _heads(given: argparse.Namespace, command: str) -> None:
    from kawhi.wheels import torchvision_shim

    torchvision_shim.install()
    from kawhi.base.checkout import resolve_package_paths
    from kawhi.base.errors import CellError
    from kawhi.base.files import write_json
    from kawhi.probes.critical_heads import configuration_line, summary
    from kawhi.probes.head_ablation import Settings, ablate, backend_of, check_data, identity, open_folder, read
    from kawhi.probes.study_record import write_heads_record

    if given.batch_size < 1 or given.max_new_tokens < 1 or given.tiny_pairs < 1 or given.threshold < 0:
        raise CellError("--batch-size, --max-new-tokens and --tiny-pairs start at 1, --threshold at 0")
    model = resolve_package_paths(given.model)
    backend, total = backend_of(model)
    name = Path(model).name
    out = given.out or Path("results/heads") / name
    wanted = _only(given.only, total)
    settings = _settings(given, model, backend, out, Settings)
    check_data(settings.data)
    open_folder(out, identity(settings, backend))
    todo = [head for head in read(out, total)[2] if head in wanted]
    if todo:
        ablate(settings, out, todo)
    whole, results, missing = read(out, total)
    if whole is None or missing:
        print(f"{len(missing)} of {total + 1} runs are missing; the command without --only finishes them")
        return
    found = summary(whole, results, given.threshold)
    write_json(out / "heads.json", {"model": given.model, **found})
    provenance = "tiny" if given.data == ["tiny"] else "measured"
    asked = identity(settings, backend)
    record = write_heads_record(found, asked, name=name, provenance=provenance, command=command)
    from kawhi.probes.head_figure import draw

    pictures = out / "heads.png", out / "heads.pdf"
    draw(found, name, pictures)
    if whole.total <= found["guessing"]:
        print(
            f"warning: the whole model's {whole.total:.1f} points are not above the {found['guessing']:.0f} of "
            "guessing, so the drops say nothing"
        )
    print(f"b = {whole.total:.1f} points, threshold {given.threshold:g}")
    print(configuration_line(found, command))
    for file in (out / "heads.json", *pictures, record):
        print(f"wrote {file}")


def _settings(given: argparse.Namespace, model: str, backend: str, out: Path, settings_class: Callable):
    import torch

    device = given.device or ("cuda" if torch.cuda.is_available() else "cpu")
    more = {}
    files = tuple(Path(name) for name in given.data)
    if given.data == ["tiny"]:
        from kawhi.tiny.architectures import FAMILIES
        from kawhi.tiny.mme_split import write_mme

        size = {str(family): spec.image_size for family, spec in FAMILIES.items()}[backend]
        files = (out / f"mme-{size}-{given.tiny_pairs}.parquet",)
        write_mme(files[0], size, given.tiny_pairs)
        more = {"min_pixels": size**2, "max_pixels": size**2}
    return settings_class(
        model=model,
        data=files,
        device=device,
        batch_size=given.batch_size,
        max_new_tokens=given.max_new_tokens,
        **more,
    )


def _only(text: str | None, total: int) -> list[int | None]:
    from kawhi.base.errors import CellError

    everything: list[int | None] = [None, *range(total)]
    if text is None:
        return everything
    names = {"whole" if head is None else str(head): head for head in everything}
    parts = [part.strip() for part in text.split(",")]
    if any(part not in names for part in parts):
        raise CellError(f"--only takes whole or heads from 0 to {total - 1}, separated by commas, not {text!r}")
    return [names[part] for part in parts]


def _errors(given: argparse.Namespace, command: str) -> None:
    from kawhi.evaluation.judge_server import judging
    from kawhi.probes.error_attribution import RESULTS, attribute, folder_of, wrong_answers
    from kawhi.probes.error_figure import draw
    from kawhi.probes.study_record import write_errors_record

    task = given.benchmark or _only_benchmark(given.run)
    block = _judge_block(given)
    folder = given.run / "eval" / task
    out = folder_of(folder, block["name"])
    wrong_answers(folder, task)  # before a judge is started for nothing
    with judging(block, log=out / "judge-server.log") as judge:
        assert judge is not None  # the block names one
        found = attribute(folder, task, judge)
    files = [out / name for name in RESULTS]
    draw(found, tuple(file for file in files if file.suffix in (".png", ".pdf")))
    for name, count in found["counts"].items():
        share = found["shares"][name]
        print(
            f"{name:7} {count:5}  {100 * share['share']:5.1f} %  [{100 * share['low']:.1f}, {100 * share['high']:.1f}]"
        )
    record = write_errors_record(found, given.run, command)
    for file in [*files, *([record] if record else [])]:
        print(f"wrote {file}")


def _only_benchmark(run: Path) -> str:
    from kawhi.base.errors import CellError

    tasks = sorted(file.parent.name for file in run.glob("eval/*/samples.parquet"))
    if len(tasks) != 1:
        raise CellError(
            f"{run} has samples of {', '.join(tasks)}; choose one with --benchmark"
            if tasks
            else f"{run} has no eval/*/samples.parquet; name the folder of an evaluated run"
        )
    return tasks[0]


def _judge_block(given: argparse.Namespace) -> dict[str, Any]:
    from omegaconf import OmegaConf

    from kawhi.base.checkout import configuration_folder
    from kawhi.base.errors import CellError

    folder = configuration_folder() / "judge"
    known = sorted(path.stem for path in folder.glob("*.yaml") if path.stem != "none")
    if given.judge not in known:
        raise CellError(f"there is no judge {given.judge}; conf/judge has {', '.join(known) or 'none'}")
    file = OmegaConf.load(folder / f"{given.judge}.yaml")
    for name in ("base_url", "model"):
        if getattr(given, name):
            OmegaConf.update(file, f"judge.{name}", getattr(given, name))
    block: Any = OmegaConf.to_container(file, resolve=True)
    return block["judge"]


def _guarded(work: Callable[[], None]) -> int:
    from kawhi.base.errors import CellError

    try:
        work()
    except (CellError, OSError) as error:
        return _refuse(" ".join(str(error).split()))
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _refuse(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return 1
