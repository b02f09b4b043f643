"""What the site needs beside docs/: README.md as its first page, and every file of the repository that a page links.

mkdocs knows nothing outside its folder of pages.  So a link from one file of the repository to another becomes one
between their places on the site: ``docs/x.md`` is ``x.md``, README.md is ``index.md``, all else is below
``repository/``.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
FIRST = "README.md"
LINK = re.compile(r"\]\((?!https?:|#)([^)\s#]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
PICTURE = re.compile(r'<p>(<img [^>]*src="([^"]+)"[^>]*>)</p>')
CELL = re.compile(r"<td.*?</td>", re.DOTALL)
ROLE = re.compile(r":(?:func|class|meth|mod|data|attr):<code>~?([^<]*)</code>")


def on_files(files, config):
    """Adds the pages and the files that are linked, and those that they link."""
    waiting = [FIRST, *(f"docs/{file.src_uri}" for file in files.documentation_pages())]
    known = set(waiting)
    if not files.get_file_from_path(place(FIRST)):
        files.append(File.generated(config, place(FIRST), abs_src_path=str(ROOT / FIRST)))
    while waiting:
        source = waiting.pop()
        for target in linked(source):
            if target in known or target.startswith("docs/") or not (ROOT / target).is_file():
                continue
            known.add(target)
            files.append(File.generated(config, place(target), abs_src_path=str(ROOT / target)))
            if target.endswith(".md"):
                waiting.append(target)
    return files


def on_page_markdown(markdown, page, config, files):
    """Rewrites the links of a page."""
    source = of_place(page.file.src_uri)

    def moved(found: re.Match[str]) -> str:
        target = resolved(source, found[1])
        here = posixpath.dirname(place(source)) or "."
        return f"]({posixpath.relpath(place(target), here)}{found[2] or ''})"

    code = FENCE.findall(markdown)
    text = FENCE.sub("\0", markdown)
    text = LINK.sub(moved, text)
    return re.sub("\0", lambda _: code.pop(0), text)


def on_page_content(html, page, config, files):
    """What GitHub does to a page and mkdocs does not, and names in docstrings, which are written as for Sphinx.

    A picture leads to its full size, and a backslash before ``<``, or before a bar in a table, is not shown.
    """
    html = PICTURE.sub(r'<p><a href="\2">\1</a></p>', html)
    html = CELL.sub(lambda cell: cell[0].replace("\\|", "|"), html).replace("\\&lt;", "&lt;")
    return ROLE.sub(r"<code>\1</code>", html)


def linked(source: str) -> set[str]:
    """The files of the repository that a page links."""
    text = FENCE.sub("", (ROOT / source).read_text(encoding="utf-8"))
    return {resolved(source, found[1]) for found in LINK.finditer(text)}


def resolved(source: str, link: str) -> str:
    """A link as a path from the root of the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def place(path: str) -> str:
    """Where a file of the repository is among the pages."""
    if path == FIRST:
        return "index.md"
    return path.removeprefix("docs/") if path.startswith("docs/") else f"repository/{path}"


def of_place(page: str) -> str:
    """The inverse of :func:`place`."""
    if page == "index.md":
        return FIRST
    return page.removeprefix("repository/") if page.startswith("repository/") else f"docs/{page}"
