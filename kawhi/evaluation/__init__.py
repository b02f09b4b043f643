"""Own lmms-eval tasks, and validation of what lmms-eval wrote."""

from pathlib import Path

TASKS = Path(__file__).parent / "tasks"
"""Folder of each task, named after it."""
