"""Records of the studies that are commands of their own: head ablation, error attribution, rewarded tokens."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from kawhi.base.errors import CellError
from kawhi.base.files import write_json
from kawhi.base.made_by import launch_note
from kawhi.base.rundir import RunDirectory
from kawhi.records.hashing import config_hash
from kawhi.records.schema import VERSION


def write_heads_record(
    found: dict[str, Any], settings: dict[str, Any], *, name: str, provenance: str, command: str
) -> Path:
    """The record of a finished head ablation.

    Args:
        found: :func:`kawhi.probes.critical_heads.summary`.
        settings: :func:`kawhi.probes.head_ablation.identity`.
        name: of the model.
        provenance: ``tiny`` on the tiny world's questions, else ``measured``.
    """
    model = {"name": name, "family": settings["backend"], "weights": settings["weights"]}
    config = {"heads": settings | {"threshold": found["threshold"]}}
    return _write("heads", f"{name}_heads", found, config, model, provenance, command)


def write_tokens_record(found: dict[str, Any], model: dict[str, str], provenance: str, command: str) -> Path:
    """The record of what one model's tokens say.

    Args:
        found: :func:`kawhi.probes.token_summary.summary` with ``data``, ``group`` and ``settings``.
        model: ``name``, ``family`` and ``weights``.
    """
    config = {"tokens": found["settings"] | {key: found[key] for key in ("data", "group", "prompts")}}
    block = {key: value for key, value in found.items() if key not in ("settings", "made")}
    return _write("tokens", f"{model['name']}_{found['data']}_tokens", block, config, model, provenance, command)


def write_errors_record(found: dict[str, Any], evaluation: RunDirectory, command: str) -> Path | None:
    """The record of a finished error attribution; ``None`` for an evaluation that has no record itself.

    Args:
        found: :func:`kawhi.probes.error_attribution.attribute`.
        evaluation: whose wrong answers they are.
    """
    if not evaluation.record.exists():
        return None
    record = json.loads(evaluation.record.read_text())
    judge = found["judge"]["name"].replace("/", "-")
    of = {"of": record["config"]["of"]["hash"], "evaluation": record["cell"]["hash"]}
    config = {"errors": of | {key: found[key] for key in ("benchmark", "judge", "rubric")}}
    name = f"{record['cell']['name']}_errors_{judge}"
    return _write("errors", name, found, config, record["model"], record["provenance"], command)


def _write(
    study: str,
    name: str,
    found: dict[str, Any],
    config: dict[str, Any],
    model: dict[str, str],
    provenance: str,
    command: str,
) -> Path:
    config = {**config, "model": model, "scale": {"provenance": provenance}, "study": {"name": study}}
    note = launch_note(study)
    cell = {"experiment": study, "name": name, "hash": config_hash(config)}
    content = {
        "schema": VERSION,
        "study": study,
        "cell": cell,
        "provenance": provenance,
        "model": model,
        "command": command,
        "config": config,
        study: found,
        "run": {"hardware": note["hardware"], "versions": note["versions"], "git": note["git"]},
    }
    file = Path(os.environ.get("KAWHI_RECORDS", "results/records")) / f"{name}-{cell['hash']}.json"
    try:
        write_json(file, content)
    except OSError as error:
        raise CellError(f"the record {file} could not be written ({error}): set KAWHI_RECORDS") from error
    return file
