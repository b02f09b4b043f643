"""MME: the columns of lmms-lab-encoder/MME; two questions about each image."""

from PIL import Image

from tests.evaluation.examples import Example


def _pair(number, category, right, wrong):
    image = Image.new("RGB", (32, 32), (12 * number, 200, 90))
    return [
        {
            "question_id": f"{category}/{number:04d}.png",
            "image": image,
            "question": f"{question} Please answer yes or no.",
            "answer": answer,
            "category": category,
        }
        for question, answer in ((right, "Yes"), (wrong, "No"))
    ]


ROWS = [
    *_pair(1, "existence", "Is there a dog in this image?", "Is there a cat in this image?"),
    *_pair(2, "existence", "Is there a car in this image?", "Is there a bus in this image?"),
    *_pair(3, "code_reasoning", "Is a loop shown?", "Is a class shown?"),
]
EXAMPLES = [
    Example(ROWS[0], "Yes", 1.0, 1.0),
    Example(ROWS[1], "No.", 1.0, 1.0),
    Example(ROWS[2], "There is a car, so the answer is yes.", 1.0, 1.0),
    Example(ROWS[3], "Not sure", 0.0, 0.0),
    Example(ROWS[4], "", 0.0, 0.0),
    Example(ROWS[5], "I see two functions.\n\n\\boxed{No}", 1.0, 1.0),
]
