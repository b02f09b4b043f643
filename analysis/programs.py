"""What the programs of this folder share: their options, and files that are never seen half written."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kawhi.base.checkout import RESULTS, record_folders
from kawhi.base.errors import CellError
from kawhi.base.included import taken_from
from kawhi.records.folder import Folder, read_folder


def parser(description: str | None, out: str, about_out: str | None = None) -> ArgumentParser:
    """With the folders of the records and of what is made of them."""
    made = ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter)
    about = (
        "a folder of records, which is read alone; given several times, the first one's record of a cell counts "
        "(default: KAWHI_RECORDS or results/records, and with it results/published/records)"
    )
    made.add_argument("--records", type=Path, action="append", metavar="FOLDER", help=about)
    made.add_argument("--include", metavar="PATH", help="a folder of your own tables and methods (docs/your_own.md)")
    made.add_argument("--out", type=Path, default=results() / out, help=about_out)
    return made


def include_first(arguments: list[str] | None) -> list[str]:
    """The command line without ``--include PATH``, whose tables are then known; exits with a sentence if it cannot."""
    try:
        return taken_from(sys.argv[1:] if arguments is None else arguments)
    except CellError as error:
        sys.exit(f"error: {error}")


def parsed(options: ArgumentParser, arguments: list[str] | None, what: str, known: Sequence[str]) -> Namespace:
    """The options; a name that is not ``known`` is answered with those there are."""
    given = options.parse_args(arguments)
    if unknown := [name for name in given.names if name not in known]:
        options.error(f"no {what} {', '.join(unknown)}; there are {', '.join(known)}")
    return given


def results() -> Path:
    """Records and what is made of them: the folder's where a command is typed if it has any, else the checkout's."""
    here = Path("results")
    return here if (here / "records").is_dir() else RESULTS


def read(folders: Sequence[Path] | None, change: Callable[[Folder], Folder] = lambda folder: folder) -> Folder:
    """The records of the folders asked for, else of the user's own and the published one, of which it says so.

    A training and its evaluations are one record.

    Args:
        change: of the records before they are joined.
    """
    own = Path(os.environ.get("KAWHI_RECORDS", results() / "records"))
    found = change(read_folder(*(folders or record_folders(own)))).joined()
    if found.several:
        print(found.summary(), file=sys.stderr)
    return found


def replace(path: Path, write: Callable[[Path], Any]) -> None:
    """A reader, and another program that makes the same file, sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    write(temporary)
    os.replace(temporary, path)
