"""docs/your_verl_script.md: the page's scripts, as they stand there, train in the CPU world from their own folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from kawhi import fork_server
from kawhi.base.checkout import resolve_package_paths
from kawhi.runs.verl_command import leaves, overrides, own_environment
from kawhi.tiny.dataset import write_split
from kawhi.verl_plugin.credit_choices import choice, files
from tests.cells import CONF, ROOT, options

from .conftest import SMALL, programs
from .test_plain import STARTED_PLAINLY

BLOCK = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)
BEFORE, AFTER, OPTIONS, PLAN = BLOCK.findall((ROOT / "docs" / "your_verl_script.md").read_text(encoding="utf-8"))
FILES = {"train": "train.parquet", "validation": "validation.parquet"}


def world(folder: Path) -> tuple[DictConfig, list[str], dict[str, str]]:
    """A stock cell of the CPU world in two steps: its words of verl, and the environment of a shell that has them."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cell = compose("run", overrides=["credit=uniform", "kawhi.method=off", *SMALL])
    for split in ("train", "validation"):
        write_split(folder / FILES[split], split, 32, cell.model.image_size, seed=0)
    words = overrides(
        cell,
        train_file=folder / FILES["train"],
        validation_file=folder / FILES["validation"],
        checkpoints=folder / "train" / "checkpoints",
    )
    (folder / "train").mkdir()  # stock verl's file logger makes no folder
    own = own_environment(cell, folder / "train" / "metrics.jsonl")
    mine = {"DATA": str(folder), "MODEL": resolve_package_paths(cell.model.path)}
    shell = {key: value for key, value in os.environ.items() if not key.startswith(("VERL_", "KAWHI_"))}
    return cell, [word for word in words if not word.startswith("+kawhi.")], {**shell, **own, **mine}


def bash(
    script: str, folder: Path, environment: dict[str, str], *words: str, trains: bool = False
) -> subprocess.CompletedProcess:
    """A script in its own folder; where it trains, its ``python`` is the session's fork server's."""
    with fork_server.running(environment, wanted=trains):
        (folder / "script.sh").write_text(programs() + script)
        served = {name: os.environ[name] for name in (fork_server.VARIABLE,) if name in os.environ}
        with (folder / "log").open("w") as log:
            done = subprocess.run(
                ["bash", "script.sh", *words],
                cwd=folder,
                env={**environment, **fork_server.environment(), **served},
                stdout=log,
                stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                text=True,
                timeout=900,
            )
    if trains:
        plain = [f"{STARTED_PLAINLY}-m {module}" for module in ("verl.", "kawhi.verl_plugin.")]
        assert not any(each in done.stderr for each in plain), done.stderr[:1000]
    return subprocess.CompletedProcess(done.args, done.returncode, (folder / "log").read_text(), done.stderr)


def steps(folder: Path) -> list[dict]:
    """What verl's file logger wrote."""
    (file,) = folder.glob("**/metrics*.jsonl")
    return [json.loads(line)["data"] for line in file.read_text().splitlines()]


def test_two_words_change():
    assert (
        BEFORE.replace("verl.trainer.main_ppo", "kawhi.verl_plugin.main").replace(
            "algorithm.adv", "kawhi=kawhi \\\n    algorithm.adv"
        )
        == AFTER
    )


OWN = """
from kawhi.credit.methods.base import register

@register("own_name")
class Own:
    needs = frozenset()
"""

LEFT_OUT = {
    "module": ("kawhi.verl_plugin.main", "verl.trainer.main_ppo", "verl.trainer.main_ppo knows no kawhi=kawhi: start"),
    "with a plus": (
        "kawhi.verl_plugin.main \\\n    kawhi",
        "verl.trainer.main_ppo \\\n    +kawhi",
        "verl.trainer.main_ppo knows no +kawhi=kawhi: start kawhi.verl_plugin.main",
    ),
    "a name of one's own": (
        "kawhi=kawhi",
        "--include own.py kawhi=own_nmae",
        f"there is no kawhi=own_nmae: it is one of {', '.join(sorted([*options('credit'), 'own_name']))}, or a method",
    ),
    "method": ("    kawhi=kawhi \\\n", "", "no credit method is chosen: add kawhi=NAME, one of anti_oracle, "),
}


@pytest.mark.slow
@pytest.mark.parametrize(("words", "others", "told"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_left_out_is_told_in_one_sentence_before_ray_starts(tmp_path, words, others, told):
    _, _, environment = world(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    assert words in AFTER
    done = bash(AFTER.replace(words, others), tmp_path, environment)
    assert done.returncode == 1
    assert "ray init kwargs" not in done.stdout
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"error: {told}")


@pytest.mark.slow
def test_the_script_trains_before_and_after(tmp_path):
    """The CPU world's words come last, as ``"$@"``; after, those of them that the method sets are left to it."""
    (tmp_path / "before").mkdir()
    cell, words, environment = world(tmp_path / "before")
    done = bash(BEFORE, tmp_path / "before", environment, *words, trains=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    stock = steps(tmp_path / "before")
    assert len(stock) == cell.steps == 2
    assert not any(name.startswith("kawhi/") for name in stock[0])

    (tmp_path / "after").mkdir()
    _, words, environment = world(tmp_path / "after")
    set_by_it = {key for key, _ in leaves(choice("kawhi", files()))}
    left = [word for word in words if word.lstrip("+").split("=")[0] not in set_by_it]
    assert len(words) - len(left) >= 7
    done = bash(AFTER, tmp_path / "after", environment, *left, trains=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "kawhi.alignment.heads=[1, 2], as " in done.stdout
    ours = steps(tmp_path / "after")
    assert len(ours) == 2
    assert {name for name in stock[0] if "timing" not in name} <= set(ours[0])
    for step in ours:
        assert 0 < step["kawhi/weight/std"] < 1
        assert step["kawhi/weight/max"] <= 1


@pytest.mark.slow
def test_the_line_that_a_plan_prints_runs_when_it_is_copied(tmp_path):
    _, _, environment = world(tmp_path)
    shell = {key: value for key, value in environment.items() if not key.startswith(("VERL_", "VLLM_"))}
    words = [*SMALL, "study=timing"]
    planned = bash(PLAN.rstrip() + ' "$@"', tmp_path, shell, *words)
    assert planned.returncode == 0, planned.stderr
    (line,) = [line for line in planned.stdout.splitlines() if "kawhi.verl_plugin.main" in line]
    assert not (tmp_path / "results").exists(), "a plan writes nothing"
    assert line.count(sys.executable) == 2
    done = bash(line.replace(sys.executable, "python"), tmp_path, shell, trains=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert len(steps(tmp_path / "results")) == 2


@pytest.mark.slow
def test_the_options_can_be_read(tmp_path):
    _, _, environment = world(tmp_path)
    first, second = OPTIONS.splitlines()
    done = bash(first, tmp_path, environment)
    assert done.returncode == 0, done.stderr
    assert "w_min: 0.1" in done.stdout
    assert shlex.split(second)[:2] == ["bash", "train_kawhi.sh"]
    changed = bash(AFTER, tmp_path, environment, *shlex.split(second)[2:], "--cfg", "job", "--package", "kawhi")
    assert changed.returncode == 0, changed.stderr
    assert "w_min: 0.3" in changed.stdout
    assert "skip_ratio: 0.5" in changed.stdout
