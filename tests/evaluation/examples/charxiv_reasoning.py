"""Answers to CharXiv's reasoning questions about the same rows."""

import json

from tests.evaluation.examples import Example
from tests.evaluation.examples.charxiv_descriptive import ROWS


def _reply(answer, score):
    return (json.dumps({"extracted_answer": answer, "score": score}),)


EXAMPLES = [
    Example(ROWS[0], "Both fall, but one falls most.\n\nThe answer is Joint-CNN.", 1.0, 1.0, _reply("Joint-CNN", 1)),
    Example(ROWS[0], "Ft-CNN", 0.0, 0.0, _reply("Ft-CNN", 0)),
    Example(ROWS[1], "It is ninety-four percent.", 0.0, 1.0, _reply("94", 1)),
    Example(ROWS[1], "The second highest time is at 94%", 1.0, 1.0, _reply("94", 1)),
    Example(ROWS[1], "It is 9.4e1", 1.0, 1.0, _reply("9.4e1", 1)),
    Example(ROWS[1], "", 0.0, 0.0),
    Example(ROWS[2], "<think>97.2 - 88.03 = 9.17</think>\\boxed{9.17}", 1.0, 1.0, _reply("9.17", 1)),
    Example(ROWS[2], "9.2", 0.0, 0.0, _reply("9.2", 0)),
    Example(ROWS[3], "SRLSTM, MomentumLSTM", 1.0, 1.0, _reply("SRLSTM, MomentumLSTM", 1)),
]
