"""ToR's figures of tokens, for its signals and for every credit method: drawn from the records of ``kawhi tokens``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from matplotlib.figure import Figure

from analysis.figures.parts import Drawn, finished
from analysis.figures.series import WORDS, Records, of_study
from kawhi.probes.token_figures import FIGURES, WIDE
from kawhi.probes.token_page import NOT_THE_PAPER_S, PAPER, SEEN, counted
from kawhi.records.schema import TokensRecord

TITLES = {
    "distributions": "Entropy and what the image changes (ToR's figures 6 to 8)",
    "weights": "Weights of every method",
    "correlations": "Rank correlation with attention to the image (ToR's figures 11 to 19)",
    "kinds": "Reasoning and perception tokens, and what is given to them",
    "difficulty": "Kinds of tokens by difficulty (ToR's figure 20)",
    "push_pull": "Uncertainty and perception (ToR's figure 10)",
    "agreement": "Which methods reward the same tokens",
}
_HEAD = 0.35
"""Inches above the panels of a record."""


def of_tokens(name: str) -> Callable[[Records], Drawn | None]:
    """The function that draws one of :data:`kawhi.probes.token_figures.FIGURES`."""
    return partial(_tokens, name)


def _tokens(name: str, records: Records) -> Drawn | None:
    """A part for each record, measured before tiny."""
    found = {}
    for file, record in of_study(records, TokensRecord).items():
        sketch = FIGURES[name](record.tokens)
        if sketch is not None:
            found[file] = record, sketch
    if not found:
        return None
    heights = [sketch.inches + _HEAD for _, sketch in found.values()]
    figure = Figure(figsize=(WIDE, sum(heights)))
    parts = figure.subfigures(len(found), 1, squeeze=False, height_ratios=heights).ravel()
    said = []
    for part, (record, sketch) in zip(parts, found.values(), strict=True):
        first = sketch.on(part)[0]
        head = f"{WORDS[record.provenance]}: {record.model.name}, {record.tokens['data']}"
        first.set_title("\n".join(filter(None, (head, first.get_title(loc="left")))))
        said.append(f"{head[0].upper()}{head[1:]}: {counted(record.tokens)} {SEEN[name](record.tokens)}")
    kinds = [record for record, _ in found.values()]
    caution = NOT_THE_PAPER_S.replace("**", "") if any(record.provenance == "tiny" for record in kinds) else ""
    return finished(figure, kinds, tuple(found), f"The paper: {PAPER[name]}", caution, *said)
