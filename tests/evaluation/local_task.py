"""A task of the package on local rows, as lmms-eval builds it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kawhi.evaluation import TASKS


def local_task(folder: Path, name: str, split: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    """lmms-eval's task object; the rows, with PIL images, go through a parquet file."""
    from datasets import Dataset
    from lmms_eval.tasks import TaskManager, get_task_dict

    file = folder / "rows.parquet"
    Dataset.from_list([dict(row) for row in rows]).to_parquet(file)
    body = {
        "task": name,
        "include": str(TASKS / name / f"{name}.yaml"),
        "dataset_path": "parquet",
        "dataset_kwargs": {"data_files": {split: str(file)}},
    }
    (folder / "task").mkdir()
    (folder / "task" / f"{name}.yaml").write_text(
        "\n".join(f"{key}: {json.dumps(value)}" for key, value in body.items())
    )
    manager = TaskManager("WARNING", include_path=str(folder / "task"), model_name="qwen2_5_vl")
    return get_task_dict([name], manager)[name]
