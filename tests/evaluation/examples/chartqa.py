"""ChartQA: the columns of lmms-lab-encoder/ChartQA, and ``row``, which the task adds."""

from PIL import Image

from tests.evaluation.examples import Example


def _row(number, kind, question, answer):
    image = Image.new("RGB", (40, 30), (200, 10 * number, 60))
    return {"type": kind, "question": question, "answer": answer, "image": image, "row": number}


ROWS = [
    _row(0, "human_test", "How many food items are shown in the bar graph?", "14"),
    _row(1, "human_test", "Is the value of the green bar above 50?", "Yes"),
    _row(2, "augmented_test", "What was the share in Canada in 2015?", "57.3"),
    _row(3, "augmented_test", "Which country leads the list?", "United States"),
    _row(4, "human_test", "How many years are below the mean?", "0"),
]
EXAMPLES = [
    Example(ROWS[0], "14", 1.0, 1.0),
    Example(ROWS[0], "I count the bars one by one.\n\nThere are 14 food items.", 1.0, 1.0),
    Example(ROWS[0], "<think>Thirteen? Fourteen.</think>\n\\boxed{14}", 1.0, 1.0),
    Example(ROWS[0], "<think>I count 14", 0.0, 0.0),
    Example(ROWS[0], "15", 0.0, 0.0),
    Example(ROWS[1], "Yes, since the bar ends at 62.", 1.0, 1.0),
    Example(ROWS[1], "No", 0.0, 0.0),
    Example(ROWS[2], "The answer is 59.", 1.0, 1.0),
    Example(ROWS[2], "The answer is 61.", 0.0, 0.0),
    Example(ROWS[3], "united states", 1.0, 1.0),
    Example(ROWS[3], "", 0.0, 0.0),
    Example(ROWS[4], "0.0", 1.0, 1.0),
]
