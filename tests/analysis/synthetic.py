"""Synthetic records, sound unless asked otherwise, and the tables made of them."""

from __future__ import annotations

import csv
import itertools
import json
import random
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from analysis.experiment import swept
from analysis.make_tables import main
from analysis.rows import Row
from analysis.training_tables import ablations
from kawhi.records.hashing import config_hash
from tests.split import split

FAMILIES = {
    "qwen2_5_vl": {
        "name": "tiny-qwen2.5-vl",
        "family": "qwen2_5_vl",
        "weights": "f5a74305a16024d9e89b0228553ce56f854f",
    },
    "qwen3_vl": {"name": "tiny-qwen3-vl", "family": "qwen3_vl", "weights": "11bb"},
}


def record(
    credit: str,
    correct: int,
    *,
    n: int = 2000,
    rollout: int = 0,
    family: str = "qwen2_5_vl",
    learning_rate: float = 2e-4,
    options: dict[str, Any] | None = None,
    verdicts: str | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """A training record; ``options`` are the credit method's, ``changes`` replaces top-level keys.

    ``credit`` is what the tables know a method by: its name, or the label of a row that changes it.  ``verdicts`` is
    one digit per item; without it the record has none.
    """
    content = {
        "schema": 3,
        "study": "training",
        "cell": {"experiment": "region_selection", "name": f"{credit}-{rollout}", "hash": ""},
        "provenance": "tiny",
        "model": FAMILIES[family],
        "algorithm": "grpo",
        "credit": {"name": rows()[credit].credit if credit in rows() else credit, "label": credit},
        "data": "tiny",
        "seeds": {"data": 1, "rollout": rollout, "regions": 0},
        "steps": 20,
        "benchmarks": {"kawhi_tiny": accuracy("Tiny world", n, correct, verdicts)},
        **{key: {} for key in ("training", "health", "run")},
        **changes,
    }
    config = _config(content, learning_rate, options or {})
    for key, value in (rows()[credit].options if credit in rows() else {}).items():
        tree = config
        *blocks, last = key.split(".")
        for block in blocks:
            tree = tree.setdefault(block, {})
        tree[last] = value
    return hashed({"config": config, **content})


@cache
def rows() -> dict[str, Row]:
    """The ablations' rows that change a credit method, by what the tables know them by."""
    return {row.known_by: row for table in swept().values() for row in table.rows if row.varies}


def accuracy(title: str, n: int, correct: int, verdicts: str | None = None) -> dict[str, Any]:
    """A benchmark whose score is a share of its items."""
    items = verdicts and {"dataset": "0123456789abcdef", "values": verdicts, "problems": None}
    score = {"metric": "accuracy", "n": n, "correct": correct, "score": 100 * correct / n}
    return {"title": title, **score, "verdicts": items}


def digits(n: int, correct: int, seed: int = 0) -> str:
    """``n`` verdicts, ``correct`` of them 1, in an order of their own."""
    order = random.Random(seed).sample(range(n), correct)
    right = set(order)
    return "".join("1" if i in right else "0" for i in range(n))


def hashed(content: dict[str, Any]) -> dict[str, Any]:
    """With the hash of its configuration."""
    cell = {**content["cell"], "hash": config_hash(content["config"])}
    return {**content, "cell": cell}


def _config(content: dict[str, Any], learning_rate: float, options: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that a record keeps, cut to what the tables look at."""
    loop = "kawhi_seeded" if content["credit"]["name"] == "uniform" else "kawhi"
    return {
        "algorithm": {"name": content["algorithm"], "equations": "verl", "recipe": None},
        "benchmarks": [
            {"task": task, "problems": value["n"], "seed": 0} for task, value in content["benchmarks"].items()
        ],
        "credit": {"name": content["credit"]["name"]},
        "evaluation": {"seed": 0},
        "data": {"name": content["data"], "train_file": None},
        "kawhi": {
            "method": content["credit"]["name"].removesuffix("_ft_rl"),
            "options": options,
            "regions": {"seed": content["seeds"]["regions"]},
        },
        "model": {**content["model"], "critical_heads": [1, 2]},
        "scale": {"name": "cpu" if content["provenance"] == "tiny" else "h200x8", "provenance": content["provenance"]},
        "seeds": content["seeds"],
        "steps": content["steps"],
        "study": {"name": "training"},
        "verl": {
            "data": {"seed": content["seeds"]["data"]},
            "actor_rollout_ref": {
                "actor": {"optim": {"lr": learning_rate}},
                "rollout": {"seed": content["seeds"]["rollout"], "agent": {"default_agent_loop": loop}},
            },
            "trainer": {"total_training_steps": content["steps"]},
        },
    }


def _study(name: str, content: dict[str, Any], without: Iterable[str], **block: Any) -> dict[str, Any]:
    """A training record as one of another study; neither it nor its configuration has what is ``without``."""
    config = {key: value for key, value in content["config"].items() if key not in without} | {"study": {"name": name}}
    kept = {key: value for key, value in content.items() if key not in without}
    return hashed(kept | {"study": name, "config": config} | block)


def baseline_record(correct: int, *, n: int = 2000, family: str = "qwen2_5_vl", **changes: Any) -> dict[str, Any]:
    """A record of an untrained model."""
    trained = ("algorithm", "credit", "data", "seeds", "steps", "training", "health", "verl", "kawhi")
    return _study("baseline", record("uniform", correct, n=n, family=family, **changes), trained)


def timing_record(credit: str, algorithm: str = "grpo", *, steps: int = 3, **seconds: float) -> dict[str, Any]:
    """A record of the timing study; ``seconds`` adds or replaces timers."""
    weights = {"weight_mean": [0.25, 0.5, 0.75, 1.0], "weight_zero_share": [0.5, 0.25, 0.0, 0.0]}
    timers = {"timing_s/step": 3.0, "timing_s/kawhi_weights": 0.25} | seconds
    return _study(
        "timing",
        record(credit, 0, algorithm=algorithm, steps=steps),
        ["benchmarks", "evaluation"],
        training={name: curve[:steps] for name, curve in weights.items()},
        run={"timing_s": timers},
    )


def grounding_record(
    image: str, *, family: str = "qwen2_5_vl", temperature: float = 0.1, **changes: Any
) -> dict[str, Any]:
    """A record of the grounding study; ``changes`` replaces keys of its block ``grounding``."""
    true = image == "true_image"
    numbers = {"responses": 200, "paragraphs": 650, "alpha": -0.0123, "order": 1.0 if true else 0.87}
    numbers |= {"same_top": 1.0 if true else 0.905, "weight_shift": 0.0 if true else 0.0214}
    numbers |= {"log_prob": -0.512 if true else -1.25}
    untrained = ("algorithm", "steps", "benchmarks", "training", "health", "verl", "scale", "evaluation")
    content = _study(
        "grounding",
        record("kawhi", 0, family=family, options={"temperature": temperature}),
        untrained,
        grounding={"image": image, **numbers, **changes},
        credit={"name": "kawhi", "label": "GRPO + KAWHI"},
    )
    content["config"]["study"] |= {"image": image, "seed": 0}
    return hashed(content)


def changed(content: dict[str, Any], *path: str, value: Any) -> dict[str, Any]:
    """A copy of a record with one value replaced, or removed when ``value`` is ``KeyError``."""
    content = tree = json.loads(json.dumps(content))
    for key in path[:-1]:
        tree = tree[key]
    if value is KeyError:
        del tree[path[-1]]
    else:
        tree[path[-1]] = value
    return content


class Folder:
    """Records on disk and the tables made of them."""

    def __init__(self, path: Path) -> None:
        self.records, self.out = path / "records", path / "tables"
        self.records.mkdir()
        self._count = 0
        self._written: set[str] = set()
        self.places = ["--records", str(self.records), "--out", str(self.out)]

    def add(self, *contents: dict[str, Any] | str, name: str = "") -> None:
        """Writes records, a training and its evaluations apart; what two of them share is written once."""
        for content in contents:
            stem = name.removesuffix(".json") or f"{self._count:03}"
            self._count += 1
            parts = [content] if isinstance(content, str) else split(content)
            texts = [part if isinstance(part, str) else json.dumps(part) for part in parts]
            new = [text not in self._written for text in texts]
            for number, (part, text) in enumerate(zip(parts, texts, strict=True)):
                if new[number] or not any(new):
                    ending = f"_{part['task']}" if number and not isinstance(part, str) else ""
                    (self.records / f"{stem}{ending}.json").write_text(text, encoding="utf-8")
            self._written.update(texts)

    def make(self, *arguments: str) -> int:
        return main([*arguments, *self.places])

    def made(self) -> set[str]:
        return {file.name for file in self.out.glob("*")}

    def text(self, ending: str, table: str = "region_selection") -> str:
        return (self.out / f"{table}.{ending}").read_text(encoding="utf-8")

    def made_rows(self, table: str) -> list[dict[str, str]]:
        """Of a table that is made without a complaint."""
        assert self.make(table) == 0
        return self.rows(table)

    def made_text(self, table: str) -> str:
        """The Markdown of a table that is made without a complaint."""
        assert self.make(table) == 0
        return self.text("md", table)

    def rows(self, table: str = "region_selection") -> list[dict[str, str]]:
        return list(csv.DictReader(self.text("csv", table).splitlines()))


def thousand_records(folder: Folder) -> None:
    """Three algorithms, two models, every credit method, nine seeds, as far as a thousand go."""
    credits = [*dict.fromkeys(credit for ablation in ablations().values() for credit in ablation.rows)]
    every = itertools.product(("grpo", "dapo", "gspo"), FAMILIES, credits, range(9))
    for number, (algorithm, family, credit, seed) in enumerate(itertools.islice(every, 1000)):
        correct = 500 + number % 90
        own = {"algorithm": algorithm, "family": family, "rollout": seed}
        folder.add(
            record(credit, correct, n=1000, verdicts=digits(1000, correct, seed=number), **own),
            name=f"{number:04}.json",
        )


def heads(rows: list[dict[str, str]], ending: str) -> list[str]:
    """Names of all columns that end so."""
    return [name for name in rows[0] if name.endswith(ending)]


def column(rows: list[dict[str, str]], *parts: str) -> list[str]:
    """The one column whose head contains all ``parts``."""
    (name,) = (key for key in rows[0] if all(part in key for part in parts))
    return [row[name] for row in rows]
