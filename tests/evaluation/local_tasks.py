"""A task of ours as lmms-eval builds it, on rows of a local file in the data set's schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from datasets import Dataset, Features

from kawhi.evaluation import TASKS


def lmms_task(
    task: str,
    docs: Sequence[Mapping[str, Any]],
    features: Features | None,
    folder: Path,
    split: str = "testmini",
    options: Mapping[str, Any] | None = None,
) -> Any:
    """lmms-eval's task object; ``options`` reach the prompt; ``features`` default to what the rows show."""
    from lmms_eval.tasks import TaskManager, get_task_dict

    Dataset.from_list([dict(doc) for doc in docs], features=features).to_parquet(folder / "rows.parquet")
    body = {
        "task": task,
        "include": str(TASKS / task / f"{task}.yaml"),
        "dataset_path": "parquet",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": {split: str(folder / "rows.parquet")}, "cache_dir": str(folder / "cache")},
        "test_split": split,
        **({"lmms_eval_specific_kwargs": {"default": dict(options)}} if options else {}),
    }
    (folder / "task").mkdir()
    (folder / "task" / f"{task}.yaml").write_text(yaml.safe_dump(body))
    manager = TaskManager("WARNING", include_path=str(folder / "task"), include_defaults=False, model_name="hf")
    return get_task_dict([task], manager)[task]
