"""Figures from records (results/records/*.json, and published ones -> results/figures/<name>.pdf, .png, captions.json).

python analysis/make_figures.py                      # every figure
python analysis/make_figures.py figure_4 radar       # these
"""

from __future__ import annotations

import json
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if __package__ is None:  # run as a script
    sys.path[0] = str(ROOT)

import analysis  # noqa: E402, F401  first: it tells what this Python lacks

# isort: split
import matplotlib  # noqa: E402
import matplotlib.style  # noqa: E402

from analysis.figures import FIGURES, draw  # noqa: E402
from analysis.figures.parts import Drawn  # noqa: E402
from analysis.programs import parsed, parser, read, replace  # noqa: E402
from analysis.render import Links  # noqa: E402
from kawhi.base.files import write_atomically as write  # noqa: E402
from kawhi.records.folder import Folder, origin  # noqa: E402
from kawhi.style.figures import STYLE  # noqa: E402

CAPTIONS = "captions.json"
# Without dates and names of programs: the same records give the same bytes.
METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


def main(arguments: list[str] | None = None) -> int:
    """Command line; sound records are drawn even when others are refused, and then the exit code is 1."""
    options = parser(__doc__, "figures")
    options.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(FIGURES)}")
    given = parsed(options, arguments, "figure", tuple(FIGURES))
    folder = read(given.records)
    links, by_name = Links(given.out), {file.name: file for file in folder.records}
    given.out.mkdir(parents=True, exist_ok=True)
    captions = _captions(given.out / CAPTIONS)
    for name in dict.fromkeys(given.names or FIGURES):
        drawn = draw(name, folder.records)
        if drawn is None:
            captions.pop(name, None)
            for ending in METADATA:  # an older drawing would be of records that are no longer there
                (given.out / f"{name}.{ending}").unlink(missing_ok=True)
            print(f"skipped {name}: it needs {FIGURES[name].needs}", file=sys.stderr)
            continue
        save(drawn, given.out / name)
        files = [by_name[name] for name in drawn.files]
        captions[name] = {
            "title": FIGURES[name].title,
            "caption": " ".join([drawn.caption, *_origin(files, folder)]),
            "records": [links.to(file) for file in files],
            "command": f"python analysis/make_figures.py {name}",
        }
        count = f"{len(files)} record{'s' * (len(files) != 1)}"
        print(f"{given.out / name}.pdf and .png, from {count}")
    write(given.out / CAPTIONS, json.dumps(captions, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    for refused in folder.refused:
        print(f"not used: {refused}", file=sys.stderr)
    return 1 if folder.refused else 0


def _origin(files: list[Path], folder: Folder) -> list[str]:
    """A sentence on whose records a figure is drawn from, where more than one folder was read."""
    return [f"Of them {origin(files)}."] if folder.several and files else []


def save(drawn: Drawn, path: Path) -> None:
    """Writes ``path.pdf`` and ``path.png``."""
    with matplotlib.style.context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        for ending, metadata in METADATA.items():
            saved = partial(drawn.figure.savefig, format=ending, metadata=metadata)
            replace(path.with_name(f"{path.name}.{ending}"), saved)


def _captions(file: Path) -> dict[str, Any]:
    """What earlier calls said of figures that still exist; nothing where the file is missing or broken."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: content[name] for name in FIGURES if name in content} if isinstance(content, dict) else {}


if __name__ == "__main__":
    sys.exit(main())
