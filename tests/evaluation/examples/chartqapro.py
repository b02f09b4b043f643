"""ChartQAPro: the columns of ahmed-masry/ChartQAPro, and ``row``, which the task adds."""

import io

from PIL import Image

from tests.evaluation.examples import Example


def _row(number, kind, questions, answers, years, paragraph=""):
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (30, 20 * number, 60)).save(buffer, "PNG")
    return {
        "Question": questions,
        "Answer": answers,
        "Question Type": kind,
        "image": buffer.getvalue(),
        "Year": years,
        "Paragraph": paragraph,
        "row": number,
    }


ROWS = [
    _row(0, "Factoid", ["Which two countries grew?"], ["[United States, Canada]"], ["NO"]),
    _row(1, "Factoid", ["In which year did sales peak?"], ["2016"], ["YES"]),
    _row(2, "Multi Choice", ["Which is largest? a) Oil b) Gas c) Coal"], ["b"], ["NO"]),
    _row(3, "Fact Checking", ["Exports doubled. True or false?"], ["False"], ["NO"], "Exports rose by 40 %."),
    _row(4, "Conversational", ["Which year is first?", "And its value?"], ["2001", "0.5"], ["YES", "NO"]),
    _row(5, "Hypothetical", ["What if prices doubled?"], ["84%."], ["NO"]),
]
EXAMPLES = [
    Example(ROWS[0], "[United States, Canada]", 1.0, 1.0),
    Example(ROWS[0], "The countries are United States and Canada.", 1.0, 1.0),
    Example(ROWS[0], r"\boxed{[\text{United States}, \text{Mexico}]}", 0.5, 0.5),
    Example(ROWS[1], "The peak is in 2016.", 1.0, 1.0),
    Example(ROWS[1], "2017", 0.0, 0.0),
    Example(ROWS[2], "b) Gas", 1.0, 1.0),
    Example(ROWS[2], "Oil is small.\n\nAnswer: (b)", 1.0, 1.0),
    Example(ROWS[2], "a", 0.0, 0.0),
    Example(ROWS[3], "False, they rose by 40 %.", 1.0, 1.0),
    Example(ROWS[3], "True", 0.0, 0.0),
    Example(ROWS[4], ".5", 1.0, 1.0),
    Example(ROWS[4], "", 0.0, 0.0),
    Example(ROWS[5], "About 82%", 1.0, 1.0),
]
