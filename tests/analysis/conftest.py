"""Fixtures of the tables' tests."""

from pathlib import Path

import pytest

from tests.analysis.synthetic import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)
