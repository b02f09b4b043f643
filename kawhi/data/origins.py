"""``--from``: the hub, a mirror of it, or a folder -> files on this disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

from kawhi.data.sources.base import PrepareError, Source

_ENDS = 2**20
"""Bytes at either end of a file that its fingerprint reads; parquet and zip have their tables of contents there."""


def locate(kind: type[Source], given: str, revision: str) -> Path:
    """The folder or parquet file to read; downloads what the hub's cache does not have yet.

    Raises:
        PrepareError: nothing there that this source can read, or no network; the message lists what is expected.
    """
    if given == "hub" or given.startswith(("http://", "https://")):
        return fetch(kind.repository, "dataset", kind.patterns, None if given == "hub" else given, revision)
    place = Path(given).expanduser().resolve()
    if not place.exists():
        raise PrepareError(f"there is no file or folder {given}; --from takes hub, a folder, a parquet file or a URL")
    for candidate in _candidates(place, kind.repository, revision):
        if kind.accepts(candidate):
            return candidate
    raise PrepareError(f"{given} has not the expected files: {kind.layout}")


def fetch(repository: str, kind: str, patterns: tuple[str, ...], endpoint: str | None, revision: str) -> Path:
    """Folder in the hub's cache with a repository's files.

    Args:
        kind: ``dataset`` or ``model``.
        endpoint: URL of a mirror that speaks the hub's protocol; ``None`` is the hub, or what ``HF_ENDPOINT`` says.

    Raises:
        PrepareError: it cannot be had; the message says what the library said.
    """
    import httpx
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            repository, repo_type=kind, revision=revision, allow_patterns=list(patterns), endpoint=endpoint
        )
    except (OSError, ValueError, httpx.HTTPError) as error:
        option = "--from" if kind == "dataset" else "--model"
        raise PrepareError(
            f"{repository} cannot be had from {endpoint or 'the hub'} ({str(error).splitlines()[0]}); "
            f"check the network, or give a folder that holds it with {option}"
        ) from error
    return Path(folder)


def _candidates(place: Path, repository: str, revision: str) -> list[Path]:
    """The place itself, and where a folder that mirrors the hub, or its cache, keeps the repository."""
    cache = place / f"datasets--{repository.replace('/', '--')}"
    reference = cache / "refs" / revision
    commit = reference.read_text().strip() if reference.is_file() else revision
    return [place, place / repository, place / "datasets" / repository, cache / "snapshots" / commit]


def fingerprint(files: list[Path]) -> str:
    """8 hexadecimal digits that change when the files do: their sizes and both ends, of folders the names and sizes.

    Neither where they are nor when they were written counts, so that a copied folder is the same data.
    """
    digest = hashlib.sha256()
    for file in files:
        if file.is_dir():
            listing = sorted(f"{path.name} {path.stat().st_size}" for path in file.rglob("*") if path.is_file())
            digest.update("\n".join([file.name, *listing]).encode())
            continue
        size = file.stat().st_size
        digest.update(f"{file.name} {size}".encode())
        with open(file, "rb") as opened:
            digest.update(opened.read(_ENDS))
            opened.seek(max(0, size - _ENDS))
            digest.update(opened.read(_ENDS))
    return digest.hexdigest()[:8]
