"""What several tests of credit need."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture
def with_threads():
    """A function's results with so many threads of torch each; their number is as before afterwards."""
    before = torch.get_num_threads()

    def results(counts, compute):
        for count in counts:
            torch.set_num_threads(count)
            yield compute()

    yield results
    torch.set_num_threads(before)
