"""What :mod:`kawhi.probes.alpha_probe` found: the numbers of its JSON, and its page in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from kawhi.probes.alpha_probe import IMAGES, STATISTICS, Seen
from kawhi.probes.reads import reading

TIMES = 5.0
"""A head reads when it attends to the right visual token so many times as much as attention without aim would; where
that token is not known, when its largest attention on one visual token is so many times that beside a blank image."""

_FEW = 64
"""Rows of a table that are shown whole."""

NOBODY = "No response has a paragraph that reads and one that does not, so that nothing can be on top of the others."


def summary(seen: Sequence[Seen], critical: Sequence[int] | None) -> dict[str, Any]:
    """The numbers of both measurements.

    Args:
        critical: the heads that alpha is averaged over in training; ``None`` for all.
    """
    heads = _heads(seen)
    reads = _reading_heads(heads)
    apart = [(one, its) for one in seen if (its := reading(one.kinds)) is not None]
    every = [*range(seen[0].alpha.shape[-1])]
    return {
        "responses": len(seen),
        "readings_known": all(one.known for one in seen),
        "digits": sum(one.largest.shape[1] for one in seen),
        "digits_located": sum(len(one.chance) for one in seen),
        "heads": heads,
        "reading_heads": [{"layer": layer, "heads": its} for layer, its in sorted(reads.items())],
        "best_layer": _best(heads, reads),
        "compared": len(apart),
        "chance": _mean(np.array([np.mean(its) for _, its in apart])),
        "top": [*_top(apart, {"critical": [*(critical or every)], "all": every}, reads)],
    }


def _heads(seen: Sequence[Seen]) -> list[dict[str, Any]]:
    right, hits = (np.concatenate([getattr(one, name) for one in seen]) for name in ("on_right", "hits"))
    chance = np.concatenate([one.chance for one in seen])
    largest = np.concatenate([one.largest for one in seen], axis=1)
    found = []
    for layer, head in np.ndindex(*largest.shape[2:]):
        true, blank = (_mean(each[:, layer, head]) for each in largest)
        row: dict[str, Any] = {"layer": layer, "head": head, "largest": true, "largest_blank": blank}
        if len(chance):
            row["right"], row["uniform"] = _mean(right[:, layer, head]), _mean(chance)
            row["hits"] = _mean(hits[:, layer, head])
            row["reads"] = row["right"] >= TIMES * row["uniform"]
        else:
            row["reads"] = bool(true is not None and true >= TIMES * blank)
        found.append(row)
    return found


def _reading_heads(heads: Sequence[Mapping[str, Any]]) -> dict[int, list[int]]:
    """Layer -> its heads that read."""
    found: dict[int, list[int]] = {}
    for head in heads:
        if head["reads"]:
            found.setdefault(head["layer"], []).append(head["head"])
    return found


def _best(heads: Sequence[Mapping[str, Any]], reads: Mapping[int, Sequence[int]]) -> int | None:
    """The layer whose reading heads read most."""

    def strength(layer: int) -> float:
        return float(np.mean([h.get("right", h["largest"]) for h in heads if h["layer"] == layer and h["reads"]]))

    return max(reads, key=strength, default=None)


def _top(
    apart: Sequence[tuple[Seen, list[bool]]], averaged: dict[str, list[int]], reads: Mapping[int, list[int]]
) -> Iterator[dict[str, Any]]:
    """How often a paragraph that reads is on top, by layer, statistic, heads and image."""
    for layer in range(apart[0][0].alpha.shape[1] if apart else 0):
        groups = averaged | {"reading": reads[layer]} if layer in reads else averaged
        for number, statistic in enumerate(STATISTICS):
            for name, heads in groups.items():
                on_top = np.array([_reads_on_top(one.alpha[:, layer, number][..., heads], its) for one, its in apart])
                interval = binomtest(int(on_top[:, 0].sum()), len(on_top)).proportion_ci(method="wilson")
                yield {
                    "layer": layer,
                    "statistic": statistic,
                    "averaged": name,
                    "heads": heads,
                    **dict(zip(IMAGES, map(_mean, on_top.T), strict=True)),
                    "true_image_interval": [round(interval.low, 6), round(interval.high, 6)],
                }


def _reads_on_top(alpha: NDArray[np.float64], reads: Sequence[bool]) -> list[bool]:
    """For each image, from ``(images, M, heads)`` alpha."""
    return [reads[top] for top in alpha.mean(axis=2).argmax(axis=1)]


def _mean(values: NDArray[Any]) -> Any:
    return round(float(values.mean()), 6) if len(values) else None


NO_VERDICTS = (
    "It takes responses with verdicts: those of the reading world's own models (`--data reading_long`), or your own "
    "(`--rollouts judged.jsonl`, which docs/bench.md describes)."
)


def page(found: Mapping[str, Any], signal: str | None = None) -> str:
    """Markdown.

    Args:
        found: :func:`summary` with ``model``, ``data``, ``command`` and ``critical_heads``.
        signal: what the gradient probe says; ``None`` where no responses with verdicts are at hand.
    """
    parts = [
        f"# What alpha sees: {found['model']} on {found['data']}",
        f"`{found['command']}`",
        _told(found),
        "## Which heads read",
        _heads_words(found),
        _heads_table(found),
        "## Which paragraph is on top",
        _top_words(found) if found["top"] else NOBODY,
        _top_table(found),
        "## Where the gradient's signal lies",
        signal or NO_VERDICTS,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _told(found: Mapping[str, Any]) -> str:
    known = "is known" if found["readings_known"] else "is told by its form alone: it states a number and no equation"
    return (
        f"{found['responses']} responses, {found['digits']} digits in them, of which {found['digits_located']} stand "
        f"at a known place of the image. Which paragraph reads {known}."
    )


def _heads_words(found: Mapping[str, Any]) -> str:
    if found["digits_located"]:
        said = (
            "Attention of the state that predicts a digit read off the image: the share of its attention to the image "
            "that falls on the visual token where the digit stands, beside what attention without aim would put there, "
            "and how often that token has the most. "
            f"A head reads (●) when its share is at least {TIMES:g} times that."
        )
    else:
        said = (
            "Nobody knows where the digits of these responses stand. What can be seen is whether the state that "
            "predicts a digit attends to one visual token, and whether it still does beside a blank image: a head "
            f"counts as reading (●) when its largest attention is at least {TIMES:g} times that beside the blank image."
        )
    if found["best_layer"] is None:
        return f"{said} No head does."
    heads = next(each["heads"] for each in found["reading_heads"] if each["layer"] == found["best_layer"])
    return (
        f"{said} Layers count from 0, and the last one is the paper's. Its best layer as options of a training: "
        f"`kawhi.alignment.layer={found['best_layer']} kawhi.alignment.heads={str(heads).replace(' ', '')}`."
    )


def _heads_table(found: Mapping[str, Any]) -> str:
    known = found["digits_located"] > 0
    names = ["right token", "without aim", "times", "most"] * known + ["largest", "largest, blank"]
    rows = []
    heads, left = _shown(found["heads"], lambda head: head["reads"])
    for head in heads:
        cells = [f"{head['layer']}", f"{head['head']}{' ●' * head['reads']}"]
        if known:
            cells += [_percent(head["right"]), _percent(head["uniform"]), f"{head['right'] / head['uniform']:.1f}"]
            cells += [_percent(head["hits"])]
        rows.append([*cells, _percent(head["largest"]), _percent(head["largest_blank"])])
    return _table(["layer", "head", *names], rows) + left


def _top_words(found: Mapping[str, Any]) -> str:
    return (
        f"In how many of {found['compared']} responses a paragraph that reads has the highest alpha (equation 14): "
        f"{_percent(found['chance'])} by chance. Beside the blank image there is nothing to read: that is the null. A "
        "wrong image is read, too, so that a high share there is no objection. A statistic sees reading when its share "
        "is far above both chance and the blank image's. The interval is Wilson's, 95 %, of the true image."
    )


def _top_table(found: Mapping[str, Any]) -> str:
    last = max((row["layer"] for row in found["top"]), default=0)
    shown, left = _shown(found["top"], lambda row: row["layer"] in (last, found["best_layer"]))
    rows = [
        [
            str(row["layer"]),
            row["statistic"],
            f"{row['averaged']} ({', '.join(map(str, row['heads']))})",
            *(_percent(row[image]) for image in IMAGES),
            f"[{', '.join(f'{100 * end:.0f}' for end in row['true_image_interval'])}]",
        ]
        for row in shown
    ]
    head = ["layer", "statistic", "heads", "true image", "blank", "wrong image", "interval"]
    return _table(head, rows) + left if rows else ""


def _shown(
    rows: Sequence[Mapping[str, Any]], matters: Callable[[Mapping[str, Any]], bool]
) -> tuple[Sequence[Mapping[str, Any]], str]:
    """All rows, or of many those that matter, and a sentence that says so."""
    if len(rows) <= _FEW:
        return rows, ""
    shown = [row for row in rows if matters(row)]
    return shown, f"\n\nThese are {len(shown)} of {len(rows)} rows; alpha.json has all of them."


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))
