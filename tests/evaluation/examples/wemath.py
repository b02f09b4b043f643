"""We-Math, testmini of We-Math/We-Math: a problem of two steps, and one of three."""

from datasets import Features, Image, Value
from PIL import Image as PILImage

from tests.evaluation.examples import Example

FEATURES = Features(
    {
        "ID": Value("string"),
        "split": Value("string"),
        "knowledge concept": Value("string"),
        "question": Value("string"),
        "option": Value("string"),
        "answer": Value("string"),
        "image_path": Image(),
        "key": Value("string"),
        "question number": Value("int64"),
        "knowledge concept description": Value("string"),
    }
)


def row(problem, step, answer="B", option="A. 200.96;B. 3215.36;C. 6280;D. 32; E. No correct answer"):
    """One row of problem ``2steps_7``: step is ``1``, ``2``, ... or ``multi``."""
    return {
        "ID": problem,
        "split": "testmini",
        "knowledge concept": "Area of Circles",
        "question": "What is the area of the flower bed (  ) m²?(π = 3.14)",
        "option": option,
        "answer": answer,
        "image_path": PILImage.new("RGB", (48, 40), "white"),
        "key": f"{problem.split('_')[0]}_{step}",
        "question number": 1575,
        "knowledge concept description": "Area of Circles: S = πr².",
    }


def composite(problem):
    """All rows of a composite problem, the whole last."""
    return [row(problem, str(step)) for step in range(1, int(problem[0]) + 1)] + [row(problem, "multi")]


_TWO, _THREE = composite("2steps_7"), composite("3steps_165")
EXAMPLES = [
    Example(_TWO[0], "<think>3.14 · 32²</think><answer>B</answer>", 1.0, 1.0),
    Example(_TWO[1], "B", 1.0, 1.0),
    Example(_TWO[2], "<answer>C. 6280</answer>", 0.0, 0.0),
    Example(_THREE[0], "The area is 3215.36.\nThe answer is B.", 1.0, 1.0),
    Example(_THREE[1], "\\boxed{B}", 1.0, 1.0),
    Example(_THREE[2], "", 0.0, 0.0),
    Example(_THREE[3], "<answer>3215.36</answer>", 1.0, 1.0),
]
