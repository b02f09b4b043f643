"""What ``kawhi explain`` is shown here is what its room is shown."""

from tests.explain.conftest import drawing, image_file, problem, training_run  # noqa: F401
