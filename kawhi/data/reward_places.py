"""``data.reward``: a rule that ships, or a function in a file of one's own."""

from __future__ import annotations

from pathlib import Path

SHIPPED = ("boxed", "chart", "math")
"""Files of :mod:`kawhi.rewards` with a ``compute_score``."""


def reward_place(reward: str) -> tuple[str, str]:
    """File, as a path or ``pkg://``, and function.

    Raises:
        ValueError: neither a rule's name nor ``FILE.py:FUNCTION``.
    """
    if reward in SHIPPED:
        return f"pkg://kawhi.rewards/{reward}.py", "compute_score"
    file, _, function = str(reward).rpartition(":")
    if not file.endswith(".py") or not function.isidentifier():
        raise ValueError(f"the reward {reward!r} is neither {', '.join(SHIPPED)} nor of the form FILE.py:FUNCTION")
    return str(Path(file).expanduser().absolute()), function
