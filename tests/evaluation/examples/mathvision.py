"""MathVision, splits of MathLLMs/MathVision: options with texts, options in the image, and a free answer."""

from datasets import Features, Image, Sequence, Value
from PIL import Image as PILImage

from tests.evaluation.examples import Example

FEATURES = Features(
    {
        "id": Value("string"),
        "question": Value("string"),
        "options": Sequence(Value("string")),
        "image": Value("string"),
        "decoded_image": Image(),
        "answer": Value("string"),
        "solution": Value("string"),
        "level": Value("int64"),
        "subject": Value("string"),
    }
)


def row(index, question, answer, options=()):
    return {
        "id": index,
        "question": f"{question}\n<image1>",
        "options": list(options),
        "image": f"images/{index}.jpg",
        "decoded_image": PILImage.new("RGB", (48, 40), "white"),
        "answer": answer,
        "solution": None,
        "level": 2,
        "subject": "counting",
    }


DIGITS = row("4", "How many different digits can you find in this picture?", "6")
KITE = row("3", "Which kite has the longest string?", "C", "ABCDE")
AREA = row("1400", "What is the area of the grey part?", "B", ["$\\frac{1}{2}$", "$\\frac{3}{4}$", "$1$", "$2$", "$3$"])

EXAMPLES = [
    Example(DIGITS, "There are \\boxed{6} digits.", 1.0, 1.0, ("1",)),
    Example(DIGITS, "I count 1, 2, 5 and so on: 5", 0.0, 0.0, ("0",)),
    Example(DIGITS, " \n", 0.0, 0.0),
    Example(KITE, "\\boxed{C}", 1.0, 1.0, ("1",)),
    Example(KITE, "The answer is C because its string is straight.", 1.0, 1.0, ("1",)),
    Example(KITE, "\\boxed{D}", 0.0, 0.0, ("0",)),
    Example(AREA, "It is \\boxed{\\frac{3}{4}}", 1.0, 1.0, ("1",)),
    Example(AREA, "It is \\boxed{0.75}", 1.0, 1.0, ("1",)),
    Example(AREA, "three quarters", 0.0, 1.0, ("1",)),
]
