"""Records of older versions in today's form.  What an older version did not write stays unknown; nothing is guessed."""

from __future__ import annotations

from typing import Any

from kawhi.records.schema import VERSION


def upgraded(content: dict[str, Any]) -> dict[str, Any]:
    """A record of any version as one of version 2.

    Raises:
        ValueError: a version that this program does not know.
    """
    version = content.get("schema")
    if version == VERSION:
        return content
    if version == 1:
        return _from_1(content)
    raise ValueError(f"the schema version is {version!r}; this program knows 1 to {VERSION}")


def _from_1(content: dict[str, Any]) -> dict[str, Any]:
    """Version 1 had no ``study`` on trained cells at first, no verdicts, no examples and no duration."""
    new = {**content, "schema": VERSION, "study": content.get("study", "training")}
    if isinstance(seeds := new.get("seeds"), dict):
        evaluation = content.get("config", {}).get("evaluation", {})
        sampling = evaluation.get("seed") if new["study"] == "training" else None
        new["seeds"] = {**seeds, "sampling": sampling}
    if isinstance(run := new.get("run"), dict) and run.get("seconds"):
        new["run"] = {**run, "duration_s": round(sum(run["seconds"].values()), 3)}
    return new
