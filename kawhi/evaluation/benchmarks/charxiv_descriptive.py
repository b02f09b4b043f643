"""CharXiv's descriptive questions (Wang et al. 2024, arXiv 2406.18521): 4,000, four about each of 1,000 figures.

Data, questions and the judge's rubrics are those of the authors and of lmms-eval's ``charxiv_val_descriptive``.
Different on purpose:

- lmms-eval repeats the data set four times and picks question ``row % 4``: where the number of figures is a multiple of
  4, as it is, a figure is asked one question four times.  Here each is asked its own four.
- The judge is shown one response, not a batch of five; a reply that is not the JSON asked for is never a score
  (lmms-eval: -1).

The rule compares the answer that it finds with the truth, by the kind of question; it cannot see paraphrases.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kawhi.evaluation.benchmark import Benchmark, Outcome, mean_score, one_question, one_run
from kawhi.evaluation.benchmarks.charxiv import DATA, figure, graded, images, same_number, same_text, templates, terms
from kawhi.rewards.chart_text import plain
from kawhi.rewards.response import candidates, final_answer, first_word

PROBLEMS = 4000
_COUNTS = (8, 9, 10, 12, 14, 15, 17, 19)
_INTERSECT, _LEGEND, _LAYOUT = 11, 13, 18
_ABOUT_ALL = (18, 19)  # these ask about the whole figure, not about one of its plots
_GRID = re.compile(r"([0-9]{1,3})\s*(?:by|x|×)\s*([0-9]{1,3})", re.IGNORECASE)
_parse, _verdict = graded("extract_answer_T1", "score_T1")


def process_docs(dataset: Any) -> Any:
    """Four rows for each figure, which differ in ``descriptive_number`` (1 to 4); no image is copied.

    A ``datasets.Dataset`` that has this column is returned as it is.
    """
    from datasets import concatenate_datasets

    if "descriptive_number" in dataset.column_names:
        return dataset
    figures = len(dataset)
    numbers = range(1, 5)
    each = concatenate_datasets([dataset.add_column("descriptive_number", [k] * figures) for k in numbers])
    return each.select([(k - 1) * figures + row for row in range(figures) for k in numbers])


def facts(doc: Mapping[str, Any]) -> dict[str, Any]:
    """Of a row of ``process_docs``."""
    number = doc["descriptive_number"]
    return {
        "id": f"{figure(doc)}/{number}",
        "question": _question(doc),
        "answer": doc[f"descriptive_a{number}"],
        "template": doc[f"descriptive_q{number}"],
    }


def prompt(doc: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    return _question(doc)


def rule(facts: Mapping[str, Any], response: str) -> Outcome:
    found = final_answer(response)
    template, answer = facts["template"], facts["answer"]
    if plain(answer) == "not applicable":
        return Outcome(float("not applicable" in plain(found) or plain(found) == "n/a"), found)
    if template == _INTERSECT:
        word = first_word(response, ("yes", "no"))
        return Outcome(float(word == plain(answer)), word)
    match = next((each for each in candidates(response) if _same(template, each, answer)), None)
    return Outcome(float(match is not None), found if match is None else match)


def _same(template: int, given: str, answer: str) -> bool:
    if template in _COUNTS:
        return same_number(given, answer)
    if template == _LEGEND:
        return terms(given) == terms(answer)
    if template == _LAYOUT:
        found = _GRID.findall(given)
        return bool(found) and found[-1:] == _GRID.findall(answer)[-1:]
    return same_text(given, answer)


def _question(doc: Mapping[str, Any]) -> str:
    template = doc[f"descriptive_q{doc['descriptive_number']}"]
    text = templates("descriptive")[template]
    return text if template in _ABOUT_ALL else text.format(_place(doc))


def _place(doc: Mapping[str, Any]) -> str:
    """Which plot of the figure is meant: a name, or its row and column, both 0 where there is only one."""
    if doc["subplot_loc"] is not None:
        return f"For {doc['subplot_loc']}, "
    if doc["subplot_row"] == 0:
        return "For the current plot, "
    return f"For the subplot at row {doc['subplot_row']} and column {doc['subplot_col']}, "


_questions = one_question(
    "grade",
    _parse,
    lambda facts, said: {"template": facts["template"], "answer": facts["answer"], "response": said},
)
BENCHMARK = Benchmark(
    "kawhi_charxiv_descriptive",
    DATA,
    facts,
    images,
    prompt,
    rule,
    one_run(PROBLEMS),
    mean_score,
    process_docs=process_docs,
    questions=_questions,
    verdict=_verdict,
)
