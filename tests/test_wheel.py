"""A wheel holds everything that the commands need: they work in an empty folder, far from any checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile

import pytest

from tests.adding import copy, tracked

FOLDERS = ("kawhi", "analysis", "hydra_plugins", "conf")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    copy(source, *FOLDERS, "pyproject.toml", "setup.py", "README.md", "LICENSE")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", out, source], check=True, stderr=subprocess.DEVNULL)
    (file,) = out.iterdir()
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Where the commands of an environment are that has the wheel, and everything but this checkout from this one."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    commands = folder / "bin"
    pip = [sys.executable, "-m", "pip", "--python", commands / "python", "install"]
    subprocess.run([*pip, "--quiet", "--no-index", "--no-deps", wheel], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "shared.pth").write_text(sysconfig.get_paths()["purelib"])
    return commands


def test_every_file_of_its_folders_is_in_it(wheel):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == {f"kawhi/{name}" if name.startswith("conf/") else name for name in tracked(*FOLDERS)}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("kawhi --help", "records"),
        ("kawhi plan --short ablation=selector scale=cpu", "3  VisionZip, 50 %"),
        ("kawhi-run --cfg job kawhi.regions.strategy=all", "strategy: all"),
        ("python -m analysis.make_tables main", "Qwen2.5-VL-7B-Instruct"),
    ],
)
def test_its_commands_need_no_checkout(installed, tmp_path, command, said):
    program, *arguments = command.split()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [installed / program, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert {path.name for path in tmp_path.iterdir()} <= {"results"}
