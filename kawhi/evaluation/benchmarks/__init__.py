"""One file per benchmark, each with a ``BENCHMARK``."""
