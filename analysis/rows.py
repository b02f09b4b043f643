"""A row of a table of ``conf/experiment`` or ``conf/ablation``: what a record must say to stand in it."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from kawhi.base.checkout import CONF
from kawhi.base.included import configuration_file
from kawhi.records.contradictions import dotted

LABEL = "credit.label"
OF_THE_METHOD = ("kawhi.", "credit.name")


@dataclass(frozen=True)
class Row:
    """One line of a table: what a record's configuration must say to stand in it.

    Attributes:
        model, data: the part they have in the table; a scale says which files those are.
        study: ``baseline`` or ``training``.
        options: dotted keys of the configuration.
        varies: whether it changes the credit method, other than by an option over which the table sweeps.
    """

    label: str
    model: str
    data: str
    study: str
    algorithm: str
    credit: str
    options: dict[str, Any]
    varies: bool

    @property
    def base(self) -> bool:
        """Whether it is the untrained model's."""
        return self.study == "baseline"

    @property
    def method(self) -> str:
        """The credit method; empty where the row changes it."""
        return "" if self.varies else self.credit

    @property
    def setting(self) -> dict[str, Any]:
        """Its options beside the credit method's."""
        return {key: value for key, value in self.options.items() if not key.startswith(OF_THE_METHOD)}

    @property
    def known_by(self) -> str:
        """The credit method, or the label of a row that changes it."""
        return self.method or self.label

    def trained_so(self, config: dict[str, Any]) -> bool:
        """Whether a configuration has the row's algorithm and its credit method."""
        return _says(config, {"study.name": self.study, "algorithm.name": self.algorithm}) and self.credits_so(config)

    def credits_so(self, config: dict[str, Any]) -> bool:
        """Whether a configuration has the row's credit method with all of its options.

        Of the method's own file a record may lack a key, which was added after it was made.
        """
        if not _says(config, {"credit.name": self.credit} | self.options):
            return False
        others = {key: value for key, value in _method_options(self.credit).items() if key not in self.options}
        return all(config.get(key, value) == value for key, value in _resolved(others, config).items())

    def fits(self, config: dict[str, Any], recipe: str | None) -> bool:
        """Whether a record with this configuration stands in the row."""
        names = scale_parts(config["scale.name"])
        if not _says(config, {"study.name": self.study, "model.name": names["model"][self.model]}):
            return False
        trained = {"data.name": names["data"][self.data], "algorithm.recipe": recipe}
        return self.base or (_says(config, trained) and self.trained_so(config))


def rows_of(blocks: list[dict[str, Any]]) -> list[Row]:
    """The rows of a table, whose blocks have no ``rows`` of their own, in order."""
    several = [key for key in ("model", "data") if len({block[key] for block in blocks}) > 1]
    one_base = len({json.dumps(block.get("algorithm", "grpo")) for block in blocks}) == 1
    rows = []
    for block in blocks:
        varies = any(key.startswith(OF_THE_METHOD) and not isinstance(value, list) for key, value in block.items())
        rows += [_row(own, several, one_base=one_base, varies=varies) for own in _cells(block)]
    return rows


def _cells(block: dict[str, Any]) -> list[dict[str, Any]]:
    """The product of a block."""
    axes = [its if isinstance(its, list) else [its] for its in block.values()]
    return [dict(zip(block, values, strict=True)) for values in itertools.product(*axes)]


def _row(own: dict[str, Any], several: list[str], *, one_base: bool, varies: bool) -> Row:
    options = {key.lstrip("+"): value for key, value in own.items() if "." in key and key != LABEL}
    study, algorithm, credit = own.get("study", "training"), own.get("algorithm", ""), own.get("credit", "")
    words = [own[key] for key in several]
    if LABEL in own and one_base:
        words.append(own[LABEL])
    else:
        words.append(_method(algorithm, credit, own.get(LABEL)) if study == "training" else "Base")
    if LABEL not in own:
        words += [f"{key.rsplit('.', 1)[1].replace('_', ' ')} {value}" for key, value in options.items()]
    return Row(", ".join(words), own["model"], own["data"], study, algorithm, credit, options, varies)


def _method(algorithm: str, credit: str, label: str | None) -> str:
    base = file_of("algorithm", algorithm)["algorithm"]["label"]
    label = label or file_of("credit", credit)["credit"]["label"].replace("${algorithm.label}", base)
    return label if base in label else f"{base} + {label}"


def _says(config: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(key in config and plain_name(config[key]) == plain_name(value) for key, value in wanted.items())


@cache
def _method_options(credit: str) -> dict[str, Any]:
    """The block ``kawhi`` of a credit method's file and of those that it builds on, as dotted keys."""
    content = file_of("credit", credit)
    bases = [_method_options(base) for base in content.get("defaults", []) if base != "_self_"]
    found = {key: value for base in bases for key, value in base.items()}
    return found | dotted({"kawhi": content["kawhi"]})


def _resolved(options: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """With what a reference to the model says in a configuration; without references to seeds."""
    said = {
        key: config.get(value[2:-1]) if str(value).startswith("${model.") else value for key, value in options.items()
    }
    return {key: value for key, value in said.items() if not str(value).startswith("${")}


@cache
def file_of(group: str, name: str) -> dict[str, Any]:
    file = configuration_file(group, name) or CONF / group / f"{name}.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def scale_parts(scale: str) -> dict[str, dict[str, str]]:
    return file_of("scale", scale)["scale"]["parts"]


def plain_name(value: Any) -> Any:
    """Files are called as what they configure, but for dots and dashes."""
    return value.replace("-", "_").replace(".", "_") if isinstance(value, str) else value
