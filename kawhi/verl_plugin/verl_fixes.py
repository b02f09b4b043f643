"""Corrections of verl 0.9.1 from outside.  Each says what is wrong, and a test fails when it is no longer needed."""

from __future__ import annotations

import verl.utils.tensordict_utils as tu


def split_position_ids(data) -> None:
    """Replacement of ``maybe_fix_3d_position_ids``.

    A jagged ``(B, 4, S)`` mRoPE field whose sequences all have one length comes out of torch with the 4 rows as its
    ragged dimension; verl only relabels that dimension and the next ``unbind`` fails with "Expected cond to be True".
    It happens when all responses of a rank hit the length limit.  (verl 0.9.1, ``tests/verl_plugin/test_fixes.py``)
    """
    positions = data["position_ids"] if "position_ids" in data.keys() else None
    if positions is None or positions.dim() != 3 or not positions.is_nested:
        return
    values, offsets = positions.values(), positions.offsets()
    total = int(offsets[-1])
    if values.shape[0] == total and values.shape[1] != total:
        rows = list(values.split(offsets.diff().tolist(), 0))
        data["position_ids"] = tu.nested_tensor_from_tensor_list(rows, ragged_idx=2)
    else:
        positions._ragged_idx = 2


def apply() -> None:
    """Installs the corrections; needs the worker modules to be importable, so call it in the actor's process only."""
    import verl.workers.engine.base as engine_base
    import verl.workers.engine_workers as engine_workers

    for module in (tu, engine_base, engine_workers):
        module.maybe_fix_3d_position_ids = split_position_ids
