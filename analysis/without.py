"""Results without the items that a training set has seen, scored anew from their samples (``kawhi contamination``)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kawhi.records.folder import Folder, Refused
from kawhi.records.schema import Benchmark, EvaluationRecord, Record, Verdicts

if TYPE_CHECKING:  # tables are made where nothing that evaluates is installed
    from kawhi.evaluation.samples import Sample


class PairsError(Exception):
    """A file that lists no pairs; its text is a sentence."""


@dataclass
class Without:
    """What is left out of the results of a folder of records.

    Attributes:
        file: the pairs of ``kawhi contamination``.
        runs: the folder of the run directories, where the samples are.
        seen: ids of items by task.
        told: what was left out of which benchmark, once each.
    """

    file: Path
    runs: Path
    seen: dict[str, set[str]]
    told: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Path, runs: Path) -> Without:
        """
        Raises:
            PairsError: the file is not there, or a line is no pair.
        """
        seen: dict[str, set[str]] = {}
        try:
            for line in file.read_text(encoding="utf-8").splitlines():
                pair = json.loads(line)
                seen.setdefault(pair["benchmark"], set()).add(pair["item"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PairsError(f"{file} is no file of pairs as kawhi contamination writes it: {error}") from error
        return cls(file, runs, seen)

    def __call__(self, folder: Folder) -> Folder:
        """The folder without them; an evaluation of which the samples are not here is among the refused."""
        records: dict[Path, Record] = {}
        refused = [*folder.refused]
        for file, record in folder.records.items():
            try:
                records[file] = self._cut(record)
            except PairsError as error:
                refused.append(Refused(file, str(error)))
        return replace(folder, records=records, refused=refused)

    def _cut(self, record: Record) -> Record:
        if not isinstance(record, EvaluationRecord) or record.task not in self.seen:
            return record
        samples = self._samples(record)
        kept = [each.facts["id"] not in self.seen[record.task] for each in samples]
        if not any(kept):
            raise PairsError(f"{self.file} lists every item of it")
        if all(kept):
            return record
        result = _scored(record, samples, kept)
        self.told[f"{result.title} {len(kept) - sum(kept)} of {len(kept)}"] = None
        return record.model_copy(update={"result": result})

    def _samples(self, record: EvaluationRecord) -> list[Sample]:
        from kawhi.evaluation.results import SAMPLES
        from kawhi.evaluation.samples import read_samples

        place = f"eval/{record.task}-{record.cell.hash}/{SAMPLES}"
        file = next(iter(sorted(self.runs.glob(f"*/*/{place}"))), None)
        if file is None:
            raise PairsError(
                f"its samples are not in {self.runs}, so it cannot be scored without what was seen (--runs)"
            )
        samples = read_samples(file)
        if len(samples) != record.result.n:
            raise PairsError(f"{file} has {len(samples)} samples and the record {record.result.n}")
        return samples

    @property
    def note(self) -> str:
        """Below a table."""
        told = ", ".join(self.told) or "none"
        return f"Items left out, because {self.file.name} says that the training data have them: {told}."


def _scored(record: EvaluationRecord, samples: Sequence[Sample], kept: Sequence[bool]) -> Benchmark:
    """The result of the items that are kept."""
    from kawhi.evaluation.benchmark import load
    from kawhi.evaluation.samples import counts
    from kawhi.evaluation.scoring import numbers

    rest = [each for each, keep in zip(samples, kept, strict=True) if keep]
    said = record.result.model_dump()
    new = {**numbers(load(record.task), rest), **counts(rest), "interval": None}
    new["verdicts"] = record.result.verdicts and _verdicts(record.result.verdicts, kept)
    return Benchmark.model_validate(said | {key: value for key, value in new.items() if key in said})


def _verdicts(verdicts: Verdicts, kept: Sequence[bool]) -> dict[str, Any]:
    """Those of the items that are kept, as a data set of its own."""
    said = verdicts.model_dump()
    for name, values in said.items():
        if name != "dataset" and values is not None:
            said[name] = _cut(values, kept) if name == "values" else tuple(_from_zero(_cut(values, kept)))
    which = "".join(str(int(keep)) for keep in kept)
    said["dataset"] = hashlib.sha256(f"{verdicts.dataset} {which}".encode()).hexdigest()[:16]
    return said


def _cut(values: Any, kept: Sequence[bool]) -> Any:
    some = [value for value, keep in zip(values, kept, strict=True) if keep]
    return "".join(some) if isinstance(values, str) else tuple(some)


def _from_zero(groups: Sequence[int]) -> list[int]:
    """Problems counted from 0 without a gap."""
    number = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    return [number[group] for group in groups]
