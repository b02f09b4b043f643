"""What a newcomer types as the documents say it works."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.cells import ROOT

ACTIVATE = "source .venv/bin/activate"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
ELSEWHERE = "performance.md"  # its commands are for a machine with a GPU, in any environment with torch


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if d.name != ELSEWHERE], ids=lambda path: path.name)
def test_the_environment_is_activated_before_its_first_command(document):
    blocks = re.findall(r"^```\w*\n(.*?)^```", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    typed = [line for block in blocks for line in block.splitlines() if re.match(r"(python|kawhi|source) ", line)]
    assert not typed or typed[0].startswith(ACTIVATE)


def test_nobody_is_told_to_install_a_stranger_s_package():
    """On the public index the name of our import package is somebody else's."""
    told = "pip install .*['\" ]kawhi"
    done = subprocess.run(["git", "grep", "-nE", told, "--", ".", ":!tests"], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "CHANGELOG.md"], ids=lambda path: path.name)
def test_what_it_links_is_committed(document):
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    linked = [link.split("#")[0] for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text)]
    files = {(document.parent / name).resolve() for name in linked if name}
    assert {file for file in files if not file.is_file()} == set()
    ignored = subprocess.run(["git", "check-ignore", "--", *files], cwd=ROOT, capture_output=True, text=True)
    assert ignored.stdout == ""


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "CHANGELOG.md"], ids=lambda path: path.name)
def test_the_site_shows_it_as_github_does(document):
    """A line below a table is a row of it on the site, one that begins with "1." a list on GitHub; TeX is nothing."""
    text = re.sub(r"^ *```.*?^ *```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"^ *\|.*\n(?! *\||\n|\Z).*", text, re.MULTILINE) == []
    assert re.findall(r"^[^\n#|\d-][^\n]*\n1\. .*", text, re.MULTILINE) == []
    assert "$$" not in re.sub(r"`[^`]*`", "", text)


def test_the_site_s_pages_are_files():
    """`make docs` follows every link; this is found without it."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = re.findall(r"^ +- ([\w/]+\.md)$", text, re.MULTILINE)
    own = {page for page in pages if page != "index.md" and not page.startswith("repository/")}
    assert len(own) > 20
    assert {page for page in own if not (ROOT / "docs" / page).is_file()} == set()


def test_the_picture_of_the_loop_is_what_its_script_draws():
    from docs.images import make_loop

    images = ROOT / "docs" / "images"
    assert (images / "loop.svg").read_text(encoding="utf-8") == make_loop.loop()
    for name, words in make_loop.BADGES.items():
        assert (images / "badges" / f"{name}.svg").read_text(encoding="utf-8") == make_loop.badge(*words)
