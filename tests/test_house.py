"""Arrows go one way: every import between rooms is one that CONTRIBUTING.md allows, and leads to a lower floor."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kawhi
from tests.cells import ROOT

PAGE = (ROOT / "docs" / "house.md").read_text(encoding="utf-8")
TABLE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FOLDERS = ("kawhi", "analysis", "experiments", "hydra_plugins")
FRONT_DOOR = "kawhi"
FOREIGN = ("verl", "ray", "hydra", "omegaconf", "transformers", "vllm", "lmms_eval")
OFFERED = set(kawhi._HOME.values())
OF_MODELS = {name for name in OFFERED if name.startswith("kawhi.models.")}


def modules() -> dict[str, Path]:
    files = (file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
    return {name(file): file for file in files}


def name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room(module: str) -> str:
    first, *rest = module.split(".")
    return rest[0] if first == "kawhi" and rest else first


def imported(file: Path, known: dict[str, Path]) -> Iterator[str]:
    """Modules of the repository that a file imports anywhere, also within a function or for types alone."""
    package = name(file) if file.name == "__init__.py" else name(file).rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            origin = ".".join([*(parents if node.level else []), *filter(None, [node.module])])
            inside = [f"{origin}.{alias.name}" for alias in node.names]
            found = [each if each in known else origin for each in inside]
        else:
            continue
        yield from (each for each in found if each.split(".")[0] in FOLDERS)


def arrows() -> dict[tuple[str, str], list[str]]:
    """Who imports whom, by rooms, with the modules."""
    known, found = modules(), {}
    for module, file in known.items():
        for other in imported(file, known):
            if room(other) != room(module):
                found.setdefault((room(module), room(other)), []).append(f"{module} imports {other}")
    return found


def floors() -> dict[str, int]:
    """The drawing of the page: a room's floor by its name."""
    drawing = re.search(r"```\n(.*?)```", PAGE, re.DOTALL)[1]
    lines = re.findall(r"^(\d)   ((?:\w+(?:   |\n| {4,}.*$))+)", drawing, re.MULTILINE)
    return {each: int(number) for number, text in lines for each in re.split(r" {4,}", text)[0].split()}


def allowed() -> dict[str, set[str]]:
    """The table of CONTRIBUTING.md: what a room may import."""
    table = TABLE.partition("| room | may import |")[2].partition("\n\n")[0]
    rows = (row.strip("|").split("|") for row in table.splitlines()[2:])
    return {each.strip(): set(re.findall(r"\w+", right)) for left, right in rows for each in left.split(",")}


def test_the_page_knows_every_room():
    rooms = {room(module) for module in modules()} - {FRONT_DOOR, "__main__"}
    assert len(rooms) > 15
    assert rooms == floors().keys() == allowed().keys()
    described = PAGE.partition("| room | holds |")[2]
    assert rooms == set(re.findall(r"^\| (\w+) \|", described, re.MULTILINE))


def test_what_is_allowed_leads_down():
    level = floors()
    wrong = [(a, b) for a, others in allowed().items() for b in others if level[b] >= level[a]]
    assert wrong == []


def test_every_import_is_allowed_and_every_arrow_is_used():
    doors = {(each, FRONT_DOOR) for each in floors()} | {(FRONT_DOOR, each) for each in ("regions", "credit", "models")}
    doors |= {("__main__", "commands")}
    found = {arrow: said for arrow, said in arrows().items() if arrow not in doors}
    table = {(a, b) for a, others in allowed().items() for b in others}
    assert {arrow: said for arrow, said in found.items() if arrow not in table} == {}
    assert table - found.keys() == set()


def test_an_import_upwards_would_be_found(tmp_path, monkeypatch):
    """Each way to write one."""
    (tmp_path / "kawhi" / "base").mkdir(parents=True)
    (tmp_path / "kawhi" / "runs").mkdir()
    for folder in ("", "base", "runs"):
        (tmp_path / "kawhi" / folder / "__init__.py").touch()
    (tmp_path / "kawhi" / "runs" / "cell.py").touch()
    for text in (
        "import kawhi.runs.cell",
        "from kawhi.runs import cell",
        "from kawhi.runs.cell import run_cell as run",
        "from ..runs import cell",
        "def later():\n    from ..runs.cell import run_cell",
    ):
        (tmp_path / "kawhi" / "base" / "files.py").write_text(text)
        monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
        assert list(arrows()) == [("base", "runs")], text


def test_no_two_files_have_one_name():
    """But siblings that are the same thing twice, commands (named as they are typed), and what lmms-eval asks for."""
    siblings = {
        *("kawhi.credit.methods.base", "kawhi.data.sources.base"),  # what one file per method, or per source, fills in
        *("kawhi.runs.launcher", "kawhi.cluster.launcher"),  # Hydra's launchers
        *("kawhi.explain.gather", "kawhi.evaluation.browser.gather"),
        *("kawhi.explain.page", "kawhi.evaluation.browser.page"),
        *("kawhi.rewards.sandbox", "kawhi.evaluation.chartmimic.sandbox"),
        *("kawhi.rewards.limits", "kawhi.evaluation.chartmimic.limits"),
        *("kawhi.data.schema", "kawhi.records.schema"),  # of a parquet file's rows, of a record
    }
    seen: dict[str, list[str]] = {}
    for module, file in modules().items():
        command = room(module) == "commands"
        if file.name != "__init__.py" and module not in siblings and not command and ".tasks." not in module:
            seen.setdefault(file.stem, []).append(module)
    assert {stem: found for stem, found in seen.items() if len(found) > 1} == {}


def test_no_file_hides_a_module_of_the_standard_library():
    """``python analysis/make_tables.py`` puts its own folder before all others."""
    for folder in ("analysis", "experiments"):
        assert {file.stem for file in (ROOT / folder).glob("*.py")} & sys.stdlib_module_names == set()


@pytest.mark.parametrize(
    ("wanted", "forbidden"),
    [
        (("kawhi.regions.sguf", "kawhi.regions.selectors", "kawhi.regions.patches"), (*FOREIGN, "torch")),
        (("kawhi.credit.methods", *sorted(OFFERED - OF_MODELS)), FOREIGN),
        (sorted(OF_MODELS), [name for name in FOREIGN if name != "transformers"]),
        (("kawhi.records.folder", "analysis.make_tables"), (*FOREIGN, "torch")),
        (("kawhi.cluster.job", "kawhi.runs.launcher"), ("torch", "transformers", "openai", "aiohttp", "pydantic")),
    ],
)
def test_what_is_light_stays_light(wanted, forbidden):
    """Tables are made where neither a model nor a trainer is installed, and a launcher starts in no time."""
    code = f"import sys, {', '.join(wanted)}; print(*sorted(set(sys.modules) & {set(forbidden)!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
