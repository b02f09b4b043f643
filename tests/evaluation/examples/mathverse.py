"""MathVerse, testmini of CaraJ/MathVerse-lmmseval: a choice in two versions of a problem, and a free answer."""

from datasets import Features, Image, Value
from PIL import Image as PILImage

from tests.evaluation.examples import Example

FEATURES = Features(
    {
        "sample_index": Value("string"),
        "problem_index": Value("string"),
        "problem_version": Value("string"),
        "question": Value("string"),
        "image": Image(),
        "answer": Value("string"),
        "question_type": Value("string"),
        "metadata": {
            "split": Value("string"),
            "source": Value("string"),
            "subject": Value("string"),
            "subfield": Value("string"),
        },
        "query_wo": Value("string"),
        "query_cot": Value("string"),
        "question_for_eval": Value("string"),
    }
)
_ASK = "directly answer the question and provide the correct option letter, e.g., A, B, C, D."


def row(index, version, question, answer, choices=True):
    seen = "" if version == "Vision Only" else question
    ask = f"Please {_ASK}" if seen else f"According to the question shown in the image, please {_ASK}"
    return {
        "sample_index": index,
        "problem_index": "1",
        "problem_version": version,
        "question": seen,
        "image": PILImage.new("RGB", (48, 40), "white"),
        "answer": answer,
        "question_type": "multi-choice" if choices else "free-form",
        "metadata": {"split": "testmini", "source": "GeoQA", "subject": "Plane Geometry", "subfield": "Angle"},
        "query_wo": f"{ask}\nQuestion: {seen}" if seen else ask,
        "query_cot": f"Please first conduct reasoning.\nQuestion: {seen}",
        "question_for_eval": question,
    }


_ANGLE = "DE is parallel to BC, then the size of angle CED is ()\nChoices:\nA:40°\nB:60°\nC:120°\nD:140°"
DOMINANT = row("1", "Text Dominant", _ANGLE, "D")
VISION = row("5", "Vision Only", _ANGLE, "D")
FREE = row("6", "Text Lite", "How long is AC?", "2 \\sqrt{3}", choices=False)

EXAMPLES = [
    Example(DOMINANT, "The angles of a triangle add up to 180°.\nThe answer is D.", 1.0, 1.0, ("1",)),
    Example(DOMINANT, "Angle CED = 180° - 40° = 140°, so \\boxed{140^\\circ}", 1.0, 1.0, ("1",)),
    Example(DOMINANT, "I choose one hundred and forty degrees", 0.0, 1.0, ("1",)),
    Example(DOMINANT, "", 0.0, 0.0),
    Example(VISION, "D", 1.0, 1.0, (" 1\n",)),
    Example(VISION, "(A) or (D)", 0.0, 0.0, ("0",)),
    Example(FREE, "AC = \\boxed{2\\sqrt{3}}", 1.0, 1.0, ("1",)),
    Example(FREE, "Thus the answer is $\\sqrt{12}$.", 1.0, 1.0, ("1",)),
    Example(FREE, "It is 3", 0.0, 0.0, ("0",)),
]
