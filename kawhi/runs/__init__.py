"""Identity, run directory, stages, records, launching."""

from typing import Any

from omegaconf import OmegaConf

from kawhi.data.reward_places import reward_place


def _own_model(path: str, key: str) -> Any:
    from kawhi.runs.own_model import own_model

    return own_model(path, key)


def _measured_heads(path: str, revision: str | None, records: str) -> Any:
    from kawhi.runs.own_model import heads_of_cell

    return heads_of_cell(path, revision, records)


# ``${sum:...}`` and the like in conf: a cell is composed in many ways, all of which import from here.
OmegaConf.register_new_resolver("sum", lambda *numbers: sum(numbers), replace=True)
OmegaConf.register_new_resolver("reward_file", lambda reward: reward_place(reward)[0], replace=True)
OmegaConf.register_new_resolver("reward_function", lambda reward: reward_place(reward)[1], replace=True)
OmegaConf.register_new_resolver("own_model", _own_model, replace=True)
OmegaConf.register_new_resolver("measured_heads", _measured_heads, replace=True)
