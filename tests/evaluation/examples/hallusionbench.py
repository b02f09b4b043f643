"""HallusionBench: the columns of lmms-lab-encoder/HallusionBench, all text but the image."""

from PIL import Image

from tests.evaluation.examples import Example


def _row(category, kind, visual_input, figure, number, question, details, answer):
    return {
        "category": category,
        "subcategory": kind,
        "visual_input": visual_input,
        "set_id": "0",
        "figure_id": figure,
        "sample_note": "circle",
        "question_id": number,
        "question": question,
        "gt_answer_details": details,
        "gt_answer": answer,
        "filename": f"./hallusion_bench/{category}/{kind}/0_{figure}.png",
        "image": Image.new("RGB", (40, 40), (90, 40 * int(figure), 20)),
    }


_SAME, _LARGER = "Is the right circle the same size as the left one?", "Is the right circle larger than the left one?"
ROWS = [
    _row("VD", "illusion", "1", "0", "0", _SAME, "The right circle is the same size as the left circle.", "1"),
    _row("VD", "illusion", "1", "0", "1", _LARGER, "The right circle is the same size as the left circle.", "0"),
    _row("VD", "illusion", "1", "1", "0", _SAME, "The right circle is larger than the left circle.", "0"),
    _row("VD", "illusion", "1", "1", "1", _LARGER, "The right circle is larger than the left circle.", "1"),
    _row("VS", "chart", "1", "1", "0", "Did sales rise?", "Sales rose from 2 to 3.", "1"),
    _row("VS", "chart", "2", "2", "0", "Did sales rise?", "Sales fell from 3 to 2.", "0"),
]
EXAMPLES = [
    Example(ROWS[0], "Yes, they are equal.", 1.0, 1.0, ("correct",)),
    Example(ROWS[1], "They have one size, as can be measured.", 0.0, 1.0, ("Correct\n",)),
    Example(ROWS[2], "Yes", 0.0, 0.0, ("incorrect",)),
    Example(ROWS[3], "It is hard to tell.", 0.0, 0.0, ("unclear",)),
    Example(ROWS[4], "", 0.0, 0.0),
    Example(ROWS[5], "Sales go from 3 to 2.\nSo no.", 1.0, 1.0, ("correct",)),
]
