"""The tiny world."""

from itertools import islice

from kawhi.data.schema import row
from kawhi.tiny.world import problems
from tests.evaluation.examples import Example


def _doc(index, problem):
    return row(
        source="tiny",
        split="heldout",
        index=index,
        image=problem.drawing.render(168),
        question=problem.question,
        answer=problem.answer,
        task=problem.task,
    )


_PROBLEMS = list(islice(problems("heldout", seed=0), 2))
EXAMPLES = [
    *(Example(_doc(i, p), f"So \\boxed{{{p.answer}}}", 1.0, 1.0) for i, p in enumerate(_PROBLEMS)),
    *(Example(_doc(i, p), f"So {p.answer}", 0.0, 0.0) for i, p in enumerate(_PROBLEMS)),
]
