"""Complete records of a table at full scale with planted differences: drawn answers, the real record builder.

python -m tests.analysis.full_scale FOLDER main_table --seeds 3 --effect 0.05    # a look at a table
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from omegaconf import DictConfig
from tqdm import tqdm

from analysis.coverage import RATES, SIZES, verdicts
from kawhi.base.files import write_json
from kawhi.base.made_by import launch_note
from kawhi.base.rundir import RunDirectory
from kawhi.base.stage import trains
from kawhi.evaluation.benchmark import Benchmark, cluster_of, load
from kawhi.evaluation.prompts import prompts_of
from kawhi.evaluation.samples import Sample, counts, write_samples
from kawhi.evaluation.scoring import numbers
from kawhi.runs.cell import save_evaluations
from kawhi.runs.cell_folders import Place, place_of
from kawhi.runs.composing import compose_cells
from kawhi.runs.record import record, record_evaluation
from tests.cells import CONF, metrics_row

TITLES = {"kawhi_charxiv_descriptive": "CharXiv Desc", "kawhi_charxiv_reasoning": "CharXiv Rea"}
PARTS = ("executed", "overall", "text", "layout", "type", "color", "low")
LAUNCH = launch_note("train")


@dataclass(frozen=True)
class Planted:
    """What is true of the drawn answers, as fractions.

    Attributes:
        effect: by credit method, what it adds to its base algorithm; 0 where none is named.
        trained: what training adds to the untrained model.
        deviation: between training seeds, on all benchmarks alike.
        items: of a benchmark at most; in whole clusters.
    """

    effect: Mapping[str, float]
    trained: float = 0.1
    deviation: float = 0.005
    items: int = 100_000
    correlation: float = 0.3

    def gain(self, cell: DictConfig) -> float:
        """Over the untrained model."""
        return self.trained + self.effect.get(cell.credit.name, 0.0) if trains(cell) else 0.0


def write_records(folder: Path, table: str, seeds: int, planted: Planted, *rows_of: str) -> Path:
    """Writes all records of a table with this many training seeds; returns their folder.

    Args:
        rows_of: words that select rows, as ``experiments/run.py`` takes them.
    """
    rng = np.random.default_rng(seeds)
    places = [f"paths.{name}={folder / name}" for name in ("runs", "records", "data")]
    rollouts = f"seeds.rollout={','.join(map(str, range(seeds)))}"
    cells, rows = compose_cells(CONF, [f"experiment={table}", "scale=h200x8", rollouts, *rows_of, *places])
    # An untrained model is the same whatever the seed.
    asked = [(cell, row) for cell, row in zip(cells, rows, strict=True) if trains(cell) or cell.seeds.rollout == 0]
    gains = np.array([planted.gain(cell) for cell, _ in asked])
    luck = np.array([rng.normal(0, planted.deviation) if trains(cell) else 0.0 for cell, _ in asked])
    rights = {each.task: _drawn(rng, each.task, gains + luck, planted) for each in asked[0][0].benchmarks}
    for number, (cell, row) in enumerate(tqdm(asked, desc=f"{table}, {seeds} seeds", mininterval=10)):
        place = _placed(cell, row)
        if trains(cell):
            record(place.run)
        for evaluation, benchmark in zip(place.evaluations, cell.benchmarks, strict=True):
            sizes, right = rights[benchmark.task]
            _evaluated(cell, evaluation, load(benchmark.task), sizes, right[number])
            record_evaluation(evaluation)
    return folder / "records"


def _drawn(rng: np.random.Generator, task: str, gains: NDArray[np.float64], planted: Planted) -> tuple[Any, Any]:
    """Sizes of the clusters of a benchmark, and the verdicts of each cell, (cells, items)."""
    title = TITLES.get(task) or next(name for name in SIZES if name.lower() == task.removeprefix("kawhi_"))
    sizes = SIZES[title]
    sizes = sizes[np.cumsum(sizes) <= planted.items]
    rates = RATES.get(title, 0.5) + gains
    return sizes, verdicts(rng, sizes, rates[:, None], planted.correlation)[:, 0]


def _placed(cell: DictConfig, row: list[str]) -> Place:
    """A cell's folders with all that its stages leave but evaluations."""
    for name in ("train_file", "validation_file"):
        if (file := cell.data.get(name)) and not Path(file).exists():
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table({"id": ["0"]}), file)
    place = place_of(cell)
    run = place.run
    run.save_config(cell, row)
    save_evaluations(cell, place, row)
    for each in (run, *place.evaluations):
        each.add_launch(LAUNCH)
    if trains(cell):
        timers = {"timing_s/step": 500.0, "timing_s/kawhi_weights": 1.0, "timing_s/kawhi_regions": 2.0}
        steps = [metrics_row(step, **timers) for step in range(1, cell.steps + 1)]
        lines = [{"step": own.pop("step"), "data": own} for own in map(dict, steps)]
        run.new_metrics_file().write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        run.merge_metrics()
        write_json(run.merge_report, {"weights_changed": True})
        write_json(run.path / "data.json", {"train": cell.data.train_file})
    return place


def _evaluated(
    cell: DictConfig, evaluation: RunDirectory, benchmark: Benchmark, sizes: NDArray[np.int64], right: NDArray[np.uint8]
) -> None:
    """What the stage evaluate leaves in an evaluation's folder, with these verdicts."""
    samples = [*_samples(benchmark, sizes, right)]
    write_samples(evaluation.path / "samples.parquet", samples)
    judge = cell.judge if benchmark.judged else None
    told = judge and {
        **{key: judge[key] for key in ("name", "model", "temperature", "seed")},
        "prompts": prompts_of(benchmark.name).version,
        **{"identity": "0" * 12, "questions": len(samples), "asked_again": 0},
    }
    score = numbers(benchmark, samples) | counts(samples)
    score |= {"judge": told, "judge_rule_agreement": 1.0 if judge else None}
    write_json(evaluation.path / "score.json", score)
    write_json(evaluation.path / "generation.json", {"n": len(samples)})


def _samples(benchmark: Benchmark, sizes: NDArray[np.int64], right: NDArray[np.uint8]) -> Iterator[Sample]:
    places = [(cluster, i, int(size)) for cluster, size in enumerate(sizes) for i in range(size)]
    for (cluster, i, size), score in zip(places, map(float, right), strict=True):
        facts = _facts(cluster, i, size)
        images = [f"picture {cluster}"]
        yield Sample(
            id=facts["id"],
            run="",
            facts=facts,
            prompt=facts["question"],
            images=images,
            response="1",
            finish_reason="stop",
            tokens=1,
            rule_score=score,
            score=score,
            parts=dict.fromkeys(PARTS, score) | {"executed": 1.0},
            rule_parts=dict.fromkeys(PARTS, score) | {"executed": 1.0},
            cluster=cluster_of(benchmark, facts, images),
        )


def _facts(cluster: int, i: int, size: int) -> dict[str, Any]:
    """Of item ``i`` of a cluster, with what any of the benchmarks wants to know."""
    named = {"id": f"{cluster}/{i}", "question": f"Question {i} of {cluster}", "answer": "1", "problem": str(cluster)}
    kinds = {"version": f"version {i}", "split": "human", "type": "Factoid", "kind": "text_in_chart"}
    sets = {"figure": f"VD_chart_{cluster}_{i}", "asked": f"VD_chart_{cluster}_{i}"}
    return named | kinds | sets | {"steps": size - 1, "step": "multi" if i == size - 1 else str(i + 1)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("table")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--effect", type=float, default=0.05, help="of KAWHI and ToR")
    given = parser.parse_args(arguments)
    planted = Planted({"kawhi": given.effect, "tor": given.effect})
    print(write_records(given.folder.resolve(), given.table, given.seeds, planted))
    return 0


if __name__ == "__main__":
    sys.exit(main())
