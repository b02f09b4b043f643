"""CharXiv: rows with the columns and types of princeton-nlp/CharXiv, and answers to their descriptive questions."""

import json

from PIL import Image

from tests.evaluation.examples import Example


def row(number, places, descriptive, reasoning):
    """``places``: (row, column) or a name; ``descriptive``: four (template, answer); ``reasoning``: its columns."""
    named = isinstance(places, str)
    question, answer, kind, source = reasoning
    return {
        "category": "cs",
        "year": "20",
        "original_figure_path": f"2004.{number:05d}_figs_plot.jpg",
        "original_id": f"2004.{number:05d}",
        "figure_path": f"images/{number}.jpg",
        "num_subplots": 1 if places == (0, 0) else 4,
        "subplot_row": None if named else places[0],
        "subplot_col": None if named else places[1],
        "subplot_loc": places if named else None,
        "reasoning_q_source": source,
        "reasoning_q": question,
        "reasoning_a": answer,
        "reasoning_a_type": kind,
        **{f"descriptive_q{k}": template for k, (template, _) in enumerate(descriptive, 1)},
        **{f"descriptive_a{k}": text for k, (_, text) in enumerate(descriptive, 1)},
        "image": Image.new("RGB", (32, 24), (10 * number % 256, 90, 200)),
    }


ROWS = [  # their number is a multiple of four, as that of the data set
    row(
        0,
        (1, 2),
        [(7, "60"), (13, "Ft-CNN, iCaRL*, Joint-CNN"), (11, "Yes"), (15, "Not Applicable")],
        ("Which model declines most from session 1 to session 9?", "Joint-CNN", 1, 3),
    ),
    row(
        14,
        (0, 0),
        [(12, "4"), (3, "Accuracy (%)"), (8, "1"), (1, "Not Applicable")],
        ("Provide the accuracy (%) of the model with the second highest time.", "94", 3, 2),
    ),
    row(
        61,
        "the bottom subplot",
        [(18, "3 by 1"), (16, "increases then stabilizes"), (5, "10^-6"), (2, "Not Applicable")],
        ("How much does the accuracy decrease for class pair 3 and 8?", "9.17", 4, 1),
    ),
    row(
        106,
        (2, 1),
        [(19, "4"), (1, "(b) OPT"), (9, "0.05"), (10, "Not Applicable")],
        ("Which two LSTM variants reach a loss below 10^-1 first?", "MomentumLSTM, SRLSTM", 1, 2),
    ),
]


def asked(figure, number):
    """Row ``figure`` as the task makes it for its question ``number``."""
    return {**ROWS[figure], "descriptive_number": number}


def _reply(answer, score):
    return (json.dumps({"extract_answer_T1": answer, "score_T1": score}),)


EXAMPLES = [
    Example(asked(0, 1), "The highest labeled tick is 60.", 1.0, 1.0, _reply(60, 1)),
    Example(asked(0, 2), "Ft-CNN, iCaRL*, Joint-CNN", 1.0, 1.0, _reply(["Ft-CNN", "iCaRL*", "Joint-CNN"], 1)),
    Example(asked(0, 2), "iCaRL*, Ft-CNN, Joint-CNN", 0.0, 0.0, _reply("iCaRL*, Ft-CNN, Joint-CNN", 0)),
    Example(asked(0, 3), "Yes, the two lines cross near session 4.", 1.0, 1.0, _reply("Yes", 1)),
    Example(
        asked(0, 4), "There is no colour bar.\nFinal answer: Not Applicable", 1.0, 1.0, _reply("Not Applicable", 1)
    ),
    Example(asked(0, 4), "There is no colour bar.", 0.0, 1.0, _reply("Not Applicable", 1)),
    Example(asked(1, 1), "", 0.0, 0.0),
    Example(asked(1, 1), "<think>I count four, or five", 0.0, 0.0),
    Example(asked(1, 3), "The difference is 1.0", 1.0, 1.0, _reply(1.0, 1)),
    Example(asked(1, 3), "Ticks are 1, 3, 5, so the difference is 2.", 0.0, 0.0, _reply("2", 0)),
    Example(asked(2, 1), "3 rows\n\n**3 x 1**", 1.0, 1.0, _reply("3 by 1", 1)),
    Example(asked(2, 2), "It rises and then stays flat", 0.0, 1.0, _reply("rises then flat", 1)),
    Example(asked(2, 3), r"\boxed{10^{-6}}", 1.0, 1.0, _reply("10^-6", 1)),
    Example(asked(3, 2), "The title is (b) OPT.", 1.0, 1.0, _reply("(b) OPT", 1)),
]
