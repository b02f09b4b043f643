"""Corrections of verl, and proof that each is still needed."""

import pytest
import torch

tensordict = pytest.importorskip("tensordict", reason="the training extra is not installed")
pytest.importorskip("verl", reason="the training extra is not installed")

from tensordict import TensorDict  # noqa: E402
from verl.utils import tensordict_utils as tu  # noqa: E402

from kawhi.verl_plugin.verl_fixes import split_position_ids  # noqa: E402

STOCK = tu.maybe_fix_3d_position_ids


def positions(lengths: list[int]) -> TensorDict:
    """mRoPE positions ``(B, 4, S_i)`` as the agent loop stores them."""
    rows = [torch.arange(4 * n).view(4, n) for n in lengths]
    nested = torch.nested.as_nested_tensor(rows, layout=torch.jagged)
    return TensorDict({"position_ids": nested}, batch_size=len(lengths))


def unbound(fix, lengths: list[int]) -> list[torch.Tensor]:
    data = positions(lengths)
    fix(data)
    return list(data["position_ids"].unbind())


@pytest.mark.parametrize("lengths", [[10, 11, 12], [7, 7, 7, 7], [5]])
def test_rows_come_back(lengths):
    expected = [torch.arange(4 * n).view(4, n) for n in lengths]
    for got, wanted in zip(unbound(split_position_ids, lengths), expected, strict=True):
        assert torch.equal(got, wanted)


def test_stock_verl_still_needs_it():
    """When this fails, verl handles batches of one length itself and ``verl_fixes`` can go."""
    with pytest.raises(RuntimeError):
        unbound(STOCK, [7, 7, 7, 7])


def test_no_position_ids_is_fine():
    split_position_ids(TensorDict({}, batch_size=2))
