"""The ``kawhi`` command: one file per command, and one place where a mistake becomes a sentence."""

from __future__ import annotations

import sys

import click

from kawhi.base.errors import CellError, sentence
from kawhi.commands import (  # noqa: F401  # each adds its command
    accept,
    bench,
    clean,
    contamination,
    doctor,
    errors,
    explain,
    heads,
    judge_agreement,
    plan,
    prepare,
    probe_alpha,
    probe_credit,
    records,
    rehearse,
    rejudge,
    rescore,
    samples,
    sheet,
    status,
    tokens,
)
from kawhi.commands.app import app


def main(arguments: list[str] | None = None) -> int:
    """Parses and runs; returns the exit code.

    Raises:
        SystemExit: the words are no command of ours; the usage was printed.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        return app.main(words, prog_name="kawhi", standalone_mode=False, obj=words) or 0
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        remedy = "type `make setup`, or pip install -e '.[train,evaluation,analysis]' in the checkout"
        print(f"error: kawhi {words[0]} needs {error.name}: {remedy}", file=sys.stderr)
        return 1
    except (CellError, OSError) as error:
        print(f"error: {sentence(error)}", file=sys.stderr)
        return getattr(error, "code", 1)
    except click.Abort:  # Ctrl-C
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
