"""What the drawn worlds look like today: part of a data file's name and of a cell's identity."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from itertools import islice

from kawhi.tiny.worlds import TINY, problems_of


@lru_cache
def generator_fingerprint(world: str = TINY) -> str:
    """8 hexadecimal digits of what the generator makes of one seed: pixels, questions and answers.

    It changes when the world, the drawing or Pillow's font does, and not when only their source text does.
    """
    digest = hashlib.sha256()
    for problem in islice(problems_of(world, "heldout", seed=0), 24):
        digest.update(problem.drawing.render(168).tobytes())
        digest.update(f"{problem.question}\n{problem.worked}".encode())
    return digest.hexdigest()[:8]
