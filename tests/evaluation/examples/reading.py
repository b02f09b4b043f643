"""The reading world."""

from itertools import islice

from kawhi.data.schema import row
from kawhi.tiny.reading_world import problems
from tests.evaluation.examples import Example


def _doc(index, problem):
    return row(
        source="reading_long",
        split="heldout",
        index=index,
        image=problem.drawing.render(168),
        question=problem.question,
        answer=problem.answer,
        task=problem.task,
        readings=problem.readings,
    )


_PROBLEMS = list(islice(problems("heldout", 0, "long"), 3))
EXAMPLES = [
    *(Example(_doc(i, p), p.worked, 1.0, 1.0) for i, p in enumerate(_PROBLEMS)),
    *(Example(_doc(i, p), f"So {p.answer}", 0.0, 0.0) for i, p in enumerate(_PROBLEMS)),
]
