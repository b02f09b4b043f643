"""The picture and the training run of the tests of ``kawhi.explain``."""

from tests.explain.conftest import drawing, image_file, problem, training_run

__all__ = ["drawing", "image_file", "problem", "training_run"]
