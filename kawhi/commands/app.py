"""What the commands hang on, and what several of them share."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import click

from kawhi import __version__


def _include(context: click.Context, parameter: click.Parameter, paths: tuple[Path, ...]) -> None:
    from kawhi.base.included import include

    include(paths)


INCLUDE = click.option(
    "--include",
    type=Path,
    multiple=True,
    expose_value=False,
    callback=_include,
    help="a Python file or a folder of your own credit methods, benchmarks and configuration (docs/your_own.md)",
)
RUN = click.argument(
    "run", type=Path, help="a run directory (`kawhi status` lists them), or one evaluation in its folder eval"
)


@click.group(help="The kawhi command.", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="kawhi %(version)s")
def app() -> None: ...


class ListOptions(click.Command):
    """A command whose repeatable options take all words up to the next option, as a shell fills in ``*.parquet``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        lists = {name for each in self.params if isinstance(each, click.Option) and each.multiple for name in each.opts}
        words: list[str] = []
        option = None
        for word in args:
            if word.startswith("-"):
                option = word
            elif option in lists and words[-1] != option:
                words.append(option)
            words.append(word)
        return super().parse_args(ctx, words)


def before_and_after(scores: Mapping[str, tuple[float | None, float | None]]) -> None:
    """Prints a line for each benchmark whose score was made again."""
    for task, (before, after) in scores.items():
        shown = ("–" if score is None else f"{score:.2f}" for score in (before, after))
        print(f"{task}: {' -> '.join(shown)}")


def typed(without: str | None = None) -> str:
    """The command line as somebody typed it; ``without`` names an option that is left out with its value."""
    words = list(click.get_current_context().obj)
    if without in words:
        at = words.index(without)
        del words[at : at + 2]
    return shlex.join(["kawhi", *(word for word in words if not (without and word.startswith(f"{without}=")))])
