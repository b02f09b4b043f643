"""ChartMimic: rows as in the data set's only split, ``test`` of the configuration ``chartmimic``."""

from PIL import Image

from tests.evaluation.examples import Example

LINES = """\
import matplotlib.pyplot as plt
fig, (left, right) = plt.subplots(1, 2, figsize=(6, 3))
left.plot([1, 2, 3], [1, 4, 2], color="#ff0000", label="gain")
left.set_title("Left")
left.legend()
right.bar([1, 2], [3, 4], color="#0000ff")
right.set_xlabel("month")
plt.tight_layout()
plt.savefig("line_1.pdf", bbox_inches="tight")
"""
INSTRUCTION = (
    "You are an expert Python developer who specializes in writing matplotlib code based on a given picture. I found "
    "a very nice picture in a STEM paper, but there is no corresponding source code available. I need your help to "
    "generate the Python code that can reproduce the picture based on the picture I provide.\nNote that it is "
    "necessary to use figsize=(6.0, 3.0) to set the image size to match the original size.\nNow, please give me the "
    "matplotlib code that reproduces the picture below."
)


def doc(code: str = LINES, name: str = "line_1", task: str = "direct_600") -> dict:
    return {
        "ExampleID": name,
        "Task": task,
        "Instruction": INSTRUCTION,
        "InputFigurePreview": Image.new("RGB", (60, 30), "white"),
        "GroundTruthFigurePreview": Image.new("RGB", (60, 30), "white"),
        "GroundTruthFigureCode": code,
    }


def block(code: str) -> str:
    return f"The program:\n```python\n{code}```\nIt draws two charts."


OTHER_TITLE = LINES.replace('"Left"', '"Links"')  # one text of three differs

EXAMPLES = [
    Example(doc(), block(LINES), 1.0, 0.95, ('{"comments": "the same", "score": 90}',)),
    Example(
        doc(), block(OTHER_TITLE), (2 / 3 + 3) / 4, ((2 / 3 + 3) / 4 + 0.5) / 2, ('{"comments": "", "score": 50}',)
    ),
    Example(doc(), block("import matplotlib.pyplot as plt\nplt.plot([1], [1, 2])\n"), 0.0, 0.0),
    Example(doc(), "The picture shows two charts.", 0.0, 0.0),
]
