"""What the rows of ``kawhi tokens`` say: the numbers behind ToR's figures 6 to 20, for its signals and every method.

Reasoning tokens are the top share of all tokens by nucleus entropy, perception tokens by the size of the difference in
log-probability that the image makes (equations 5 to 9 of ToR).  Where tokens at the border are equal, as those whose
nucleus is one token are, each is of the kind in part: a training takes the earlier of them, and then a prompt's share
would tell where it stands in the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from kawhi.credit.kinds import KINDS, SHARE, kinds

Values = NDArray[np.float64]

CUTS = (0.2, 0.3, 0.5)
"""Top shares whose lower ends the paper's figures 6 to 8 mark."""
PROXIES = ("logp_diff", "prob_diff", "entropy_diff")
SIZES = ("nucleus_entropy", *PROXIES)
"""Of which distributions are shown; a difference counts by its size."""
ATTENTION = ("attention_last", "attention_mean")
WEIGHT = "weight "
"""How the columns begin that have a method's weights; its label follows."""
CLASSES = ("all wrong", "below half right", "half or more right", "all right")

_BINS, _DRAWS, _WORDS, _RARE = 50, 1000, 8, 0.002


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """The numbers of one model on one set of questions.

    Args:
        rows: of :mod:`kawhi.lab.token_rows`, with weights.
    """
    frame = _prepared(rows)
    labels = [column.removeprefix(WEIGHT) for column in frame.columns if column.startswith(WEIGHT)]
    weights = {label: frame[f"{WEIGHT}{label}"].to_numpy(np.float64) for label in labels}
    return {
        "tokens": len(frame),
        "responses": int(frame["cluster"].nunique()),
        "prompts": int(frame["prompt"].nunique()),
        "right": _mean(frame.loc[frame["position"] == 0, "reward"] > 0) if _judged(frame) else None,
        "distributions": {name: _distribution(frame[name].to_numpy(np.float64)) for name in SIZES},
        "weights": {label: _distribution(values) for label, values in weights.items()},
        "correlations": {target: _correlations(frame, weights, target) for target in ATTENTION},
        "kinds": _kinds(frame, weights),
        "difficulty": _difficulty(frame, weights) if _judged(frame) else [],
        "push_pull": _push_pull(frame, weights),
        "agreement": _agreement(weights),
        "words": {label: _words(frame, values) for label, values in weights.items()},
    }


def _prepared(rows: pd.DataFrame) -> pd.DataFrame:
    """With the response of each token, the sizes of differences, and how far it is of each kind."""
    frame = rows.assign(cluster=(rows["position"] == 0).cumsum() - 1)
    for name in PROXIES:
        frame[name] = frame[name].abs()
    return frame.assign(**kinds(frame["nucleus_entropy"].to_numpy(), frame["logp_diff"].to_numpy()))


def _judged(frame: pd.DataFrame) -> bool:
    return bool(frame["reward"].notna().all())


def _distribution(values: Values) -> dict[str, Any]:
    """A histogram, the lower ends of the top shares, and how many values are exactly 0."""
    high = float(np.quantile(values, 0.995))
    low = min(0.0, float(values.min()))
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return {
        "edges": _list(edges),
        "counts": counts.tolist(),
        "cuts": {f"{share:g}": _round(np.quantile(values, 1 - share)) for share in CUTS},
        "zero": _mean(values == 0),
        "constant": bool(np.ptp(values) == 0),
    }


def _correlations(frame: pd.DataFrame, weights: Mapping[str, Values], target: str) -> dict[str, Any]:
    """Of signals and weights with attention to the image."""
    signals = {name: frame[name].to_numpy(np.float64) for name in (*SIZES, "entropy", "alignment")}
    own, cluster = frame[target].to_numpy(np.float64), frame["cluster"].to_numpy()
    columns = {**signals, **{f"{WEIGHT}{label}": values for label, values in weights.items()}}
    return {name: rank_correlation(values, own, cluster) for name, values in columns.items()}


def rank_correlation(first: Values, second: Values, cluster: NDArray[Any]) -> dict[str, float | None] | None:
    """Spearman's correlation over all tokens, with a 95 % interval over resampled responses.

    Ranks are those among all tokens, in every sample.  ``None`` where one of the two is the same for all tokens.

    Args:
        cluster: ``(S,)`` which response each token belongs to, from 0.
    """
    if not np.ptp(first) or not np.ptp(second):
        return None
    x, y = ((ranks - ranks.mean()) / ranks.std() for ranks in (rankdata(first), rankdata(second)))
    sums = np.stack([np.bincount(cluster, part) for part in (np.ones_like(x), x, y, x * x, y * y, x * y)], axis=1)
    count = len(sums)
    found: dict[str, float | None] = {"value": _round(_pearson(sums.sum(axis=0))), "low": None, "high": None}
    if count > 1:
        drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=_DRAWS)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = _pearson((drawn @ sums).T.astype(np.float64))
        found["low"], found["high"] = (_round(np.nanquantile(values, q)) for q in (0.025, 0.975))
    return found


def _pearson(sums: Values) -> Any:
    count, x, y, xx, yy, xy = sums
    return (count * xy - x * y) / np.sqrt((count * xx - x * x) * (count * yy - y * y))


def _kinds(frame: pd.DataFrame, weights: Mapping[str, Values]) -> dict[str, Any]:
    """The share of each kind among tokens, and of each method's weight; whether some are reasoning tokens in part."""
    return {
        "tokens": _shares(frame, np.ones(len(frame))),
        "weights": {label: _shares(frame, values) for label, values in weights.items()},
        "tied": _mean(frame["nucleus_entropy"] == 0) > 1 - SHARE,
    }


def _shares(frame: pd.DataFrame, values: Values) -> dict[str, float]:
    total = values.sum()
    return {kind: _round((values * frame[kind].to_numpy()).sum() / total) if total else 0.0 for kind in KINDS}


def _difficulty(frame: pd.DataFrame, weights: Mapping[str, Values]) -> list[dict[str, Any]]:
    """By how many responses of the group are right: kinds of tokens, and how much a method gives to each."""
    right = (frame["reward"] > 0).groupby(frame["prompt"]).transform("mean")
    classes = np.select([right == 0, right < 0.5, right < 1], CLASSES[:3], default=CLASSES[3])
    found = []
    for name in CLASSES:
        own = classes == name
        if not own.any():
            continue
        part = frame[own]
        found.append(
            {
                "class": name,
                "prompts": int(part["prompt"].nunique()),
                "responses": int(part["cluster"].nunique()),
                "tokens": _shares(part, np.ones(len(part))),
                "weights": {label: _shares(part, values[own]) for label, values in weights.items()},
                "mean": {label: _mean(values[own]) for label, values in weights.items()},
            }
        )
    return found


def _push_pull(frame: pd.DataFrame, weights: Mapping[str, Values]) -> dict[str, Any]:
    """Uncertainty (nucleus entropy) beside perception (difference in log-probability): means of prompts, of all, and of
    what each method weights."""
    columns = ["nucleus_entropy", "logp_diff"]
    prompts = frame.groupby("prompt")[columns].mean()
    values = prompts.to_numpy(np.float64)
    return {
        "prompts": [_list(row) for row in values[:2000]],
        "mean": _list(frame[columns].to_numpy(np.float64).mean(axis=0)),
        "correlation": rank_correlation(values[:, 0], values[:, 1], np.arange(len(values))),
        "weights": {
            label: _list(np.average(frame[columns].to_numpy(np.float64), axis=0, weights=own))
            for label, own in weights.items()
            if own.sum() > 0
        },
    }


def _agreement(weights: Mapping[str, Values]) -> dict[str, Any]:
    """Spearman's correlation of weights, pair by pair; methods that weigh all tokens alike are left out."""
    varied = {label: rankdata(values) for label, values in weights.items() if np.ptp(values)}
    if not varied:
        return {"methods": [], "alike": list(weights), "correlation": []}
    matrix = np.atleast_2d(np.corrcoef(np.stack(list(varied.values()))))
    return {
        "methods": list(varied),
        "alike": [label for label in weights if label not in varied],
        "correlation": [_list(row) for row in matrix],
    }


def _words(frame: pd.DataFrame, weights: Values) -> list[dict[str, Any]]:
    """The tokens that a method weighs most, beside its mean weight; rare ones are left out."""
    if not np.ptp(weights) or not weights.mean():
        return []
    by = pd.Series(weights / weights.mean()).groupby(frame["token"].to_numpy()).agg(["mean", "size"])
    often = by[by["size"] >= max(5, _RARE * len(frame))].sort_values(["mean", "size"], ascending=False)
    rows: Sequence[Any] = list(often.head(_WORDS).itertuples())
    return [{"token": str(row.Index), "times": _round(row.mean), "count": int(row.size)} for row in rows]


def _mean(values: Any) -> float:
    return _round(np.mean(values))


def _list(values: Any) -> list[float]:
    return [_round(value) for value in values]


def _round(value: Any) -> float:
    return round(float(value), 6)
