"""Which folders a cell has, and what two cells share."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from kawhi.base.devices import Devices
from kawhi.base.files import write_json
from kawhi.runs import launcher
from kawhi.runs.cell_folders import Place, cell_of_one, place_of
from kawhi.runs.views import CellView
from tests.adding import copy, run
from tests.cells import cell, finish

JUDGE = ("judge=endpoint", "judge.model=one", "judge.base_url=http://here/v1")
JUDGED = ("benchmarks.0.task=kawhi_mathvision", *JUDGE)
OTHERWISE = {
    "decoding": [["evaluation.temperature=0.5"], ["evaluation.temperature=0.7"]],
    "benchmark": [["benchmarks=math"], ["benchmarks=charts"]],
    "judge": [[*JUDGED], [*JUDGED, "judge.model=two"]],
}


@pytest.mark.parametrize("study", ["training", "baseline"])
@pytest.mark.parametrize("ways", OTHERWISE.values(), ids=OTHERWISE)
def test_what_is_evaluated_otherwise_is_the_same_run(tmp_path, study, ways):
    one, other = (place_of(cell(tmp_path, f"study={study}", *words)) for words in ways)
    assert one.run == other.run
    assert not {*one.evaluations} & {*other.evaluations}
    for place in (one, other):
        assert all(each.evaluated == place.run for each in place.evaluations)
    finish(cell(tmp_path, f"study={study}", *ways[0]))
    assert (one.done, other.done) == (True, False)
    assert other.trained
    assert other.missing == other.evaluations


def test_the_folder_of_a_run_is_found_whichever_table_made_it(tmp_path):
    first = finish(cell(tmp_path, "table=one"))
    assert place_of(cell(tmp_path, "table=two")) == first
    assert place_of(cell(tmp_path, "table=two", "evaluation.temperature=0.5")).run == first.run
    later = place_of(cell(tmp_path, "table=two", "steps=77"))
    assert later.run.path.parent.name == "two"
    assert later.existing() == later
    moved = finish(cell(tmp_path, "table=one", "steps=77"))
    assert later.existing() == moved == place_of(cell(tmp_path, "table=two", "steps=77"))


@pytest.mark.parametrize(("study", "files"), [("timing", 1), ("grounding", 1), ("training", 2), ("baseline", 1)])
def test_what_proves_that_a_cell_is_done(tmp_path, study, files):
    asked = cell(tmp_path, *(["ablation=grounding"] if study == "grounding" else [f"study={study}"]))
    place = place_of(asked)
    assert len(place.records) == files
    for record in place.records:
        assert not place.done
        write_json(record, {})
    assert place.done
    assert place.folders == tuple(record.parent for record in place.records)


def test_a_cell_of_one_benchmark_is_its_evaluation(tmp_path):
    asked = cell(tmp_path, "benchmarks=tor", *JUDGE)
    whole = place_of(asked)
    assert len(whole.evaluations) == len(asked.benchmarks) > 1
    for number, evaluation in enumerate(whole.evaluations):
        assert place_of(cell_of_one(asked, number)).evaluations == (evaluation,)


CELL = """
import json, sys, time
from pathlib import Path
run = Path(sys.argv[1])
run.mkdir(exist_ok=True)
begin = time.monotonic()
time.sleep(0.3)
with (run / "turns").open("a") as file:
    file.write(json.dumps([begin, time.monotonic()]) + "\\n")
"""


def test_two_cells_of_one_training_take_turns_and_others_do_not_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(launcher, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(launcher, "_command", lambda words: [sys.executable, "-c", CELL, *words])
    uniform, kawhi = ([*cells_of_one_training(tmp_path, credit)] for credit in ("uniform", "kawhi"))
    places = [*uniform, *kawhi]
    works = [launcher.Work(place, [str(tmp_path / place.run.path.name)], 0) for place in places]
    views = [CellView(str(i), place) for i, place in enumerate(places)]
    assert launcher._run(works, views, "sweep", 4, Devices([])) == 0
    turns = [turns_of(tmp_path / one.run.path.name) for one in (uniform[0], kawhi[0])]
    for first, second in turns:
        assert first[1] <= second[0], "one after the other"
    assert turns[1][0][0] < turns[0][1][0], "a cell of another training does not wait for the second"


def cells_of_one_training(folder: Path, credit: str) -> list[Place]:
    return [place_of(cell(folder, f"credit={credit}", f"evaluation.temperature={its}")) for its in (0.5, 0.7)]


def turns_of(folder: Path) -> list[list[float]]:
    return [json.loads(line) for line in (folder / "turns").read_text().splitlines()]


NAMES = """
from pathlib import Path
from hydra import compose, initialize_config_dir
from kawhi.runs.cell_folders import place_of
own = ["data=geo3k", "data.train_file=rows", "data.validation_file=rows"]
for words in ([], own, ["algorithm=dapo"], ["study=timing"], ["study=baseline"], ["study=baseline", *own]):
    with initialize_config_dir(str(Path("conf").resolve()), version_base="1.3"):
        asked = compose("run", overrides=["paths.runs=x", "paths.records=x", "paths.data=x", *words])
    place = place_of(asked)
    print(place.run.path.name.rpartition("-")[2], *(each.path.name for each in place.evaluations))
"""


def renamed(folder: Path, file: str, name: str) -> int:
    """Gives a file of the package another name; returns how often the configuration named it, which it does anew."""
    old, new = Path(file), Path(file).with_name(name)
    (folder / old).rename(folder / new)
    forms = [lambda path: f"pkg://{str(path.parent).replace('/', '.')}/{path.name}"]
    forms += [lambda path: str(path.with_suffix("")).replace("/", ".")]
    found = 0
    for page in (folder / "conf").rglob("*.yaml"):
        text = page.read_text(encoding="utf-8")
        for form in forms:
            found += text.count(form(old))
            text = text.replace(form(old), form(new))
        page.write_text(text, encoding="utf-8")
    return found


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("kawhi/verl_plugin/replay_buffer.py", "kept_prompts.py"),
        ("kawhi/verl_plugin/cpu/vllm_worker.py", "worker_of_vllm.py"),
        ("kawhi/rewards/math.py", "numbers_again.py"),
    ],
)
def test_names_of_files_and_modules_of_our_own_are_no_part_of_an_identity(tmp_path, file, name):
    """What a configuration names may move, and nothing is trained or evaluated anew."""
    copy(tmp_path, "kawhi", "conf")
    (tmp_path / "names.py").write_text(NAMES)
    (tmp_path / "rows").write_bytes(b"rows")
    before = run(tmp_path, "names.py")
    found = [line.split() for line in before.splitlines()]
    assert len({run for run, *_ in found}) == 5, "an untrained model is one whatever it would be trained on"
    assert renamed(tmp_path, file, name) >= 1
    assert run(tmp_path, "names.py") == before
