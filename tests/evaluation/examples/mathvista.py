"""MathVista, testmini of AI4Math/MathVista: four kinds of answers and one row per kind."""

from datasets import Features, Image, Sequence, Value
from PIL import Image as PILImage

from tests.evaluation.examples import Example

FEATURES = Features(
    {
        "pid": Value("string"),
        "question": Value("string"),
        "image": Value("string"),
        "decoded_image": Image(),
        "choices": Sequence(Value("string")),
        "unit": Value("string"),
        "precision": Value("float64"),
        "answer": Value("string"),
        "question_type": Value("string"),
        "answer_type": Value("string"),
        "metadata": {
            "category": Value("string"),
            "context": Value("string"),
            "grade": Value("string"),
            "img_height": Value("int64"),
            "img_width": Value("int64"),
            "language": Value("string"),
            "skills": Sequence(Value("string")),
            "source": Value("string"),
            "split": Value("string"),
            "task": Value("string"),
        },
        "query": Value("string"),
    }
)


def row(pid, question, answer, answer_type, choices=None, precision=None, unit=None):
    return {
        "pid": pid,
        "question": question,
        "image": f"images/{pid}.jpg",
        "decoded_image": PILImage.new("RGB", (48, 40), "white"),
        "choices": choices,
        "unit": unit,
        "precision": precision,
        "answer": answer,
        "question_type": "multi_choice" if choices else "free_form",
        "answer_type": answer_type,
        "metadata": {
            "category": "general-vqa",
            "context": "table",
            "grade": "elementary school",
            "img_height": 40,
            "img_width": 48,
            "language": "english",
            "skills": ["arithmetic reasoning"],
            "source": "TabMWP",
            "split": "testmini",
            "task": "math word problem",
        },
        "query": f"Hint: Please answer the question.\nQuestion: {question}",
    }


FLOAT = row("1", "How much is the spring stretched?", "1.2", "float", precision=1.0)
MONEY = row("615", "How much do both cost?", "1.45", "float", precision=2.0, unit="$")
CHOICE = row("2", "What fraction of the shape is blue?", "8/11", "text", ["3/11", "8/11", "6/11", "3/5"])
WORDS = row("3", "Is the cyan bar the largest?", "no", "text", ["yes", "no"])
INTEGER = row("4", "Which number is missing?", "14", "integer")
LIST = row("5", "Between which two years does the line graph see its maximum?", "[2007, 2008]", "list")


def _reply(extraction):
    return (f'{{"extraction": "{extraction}"}}',)


EXAMPLES = [
    Example(FLOAT, "The spring is stretched by 1.2 m.", 1.0, 1.0, _reply("1.2")),
    Example(FLOAT, "It is stretched by 1.23 metres", 1.0, 1.0, _reply("1.23")),  # 1.2 after rounding
    Example(FLOAT, "1.3", 0.0, 0.0),
    Example(FLOAT, "1.2", 1.0, 1.0),
    Example(MONEY, "1.20 + 0.25 gives $1.45 for both.", 1.0, 1.0, _reply("1.45")),
    Example(MONEY, "Nobody knows.", 0.0, 0.0, _reply("")),
    Example(CHOICE, "The correct answer is (B) 8/11.", 1.0, 1.0, _reply("B")),
    Example(CHOICE, "Eight of eleven parts are blue", 0.0, 1.0, _reply("8/11")),
    Example(CHOICE, "8/11", 1.0, 1.0),
    Example(CHOICE, "So \\boxed{A}", 0.0, 0.0, _reply("A")),
    Example(WORDS, "Answer: no", 1.0, 1.0, _reply("no")),
    Example(INTEGER, "The missing number is 14", 1.0, 1.0, _reply("14")),
    Example(INTEGER, "14", 1.0, 1.0),
    Example(INTEGER, "15", 0.0, 0.0),
    Example(INTEGER, "", 0.0, 0.0),
    Example(LIST, "The years are [2007, 2008].", 1.0, 1.0, _reply("[2007, 2008]")),
    Example(LIST, "Between 2007 and 2008", 0.0, 1.0, _reply("[2007,2008]")),
]
