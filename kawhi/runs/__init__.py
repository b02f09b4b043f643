"""Identity, run directory, stages, records, launching."""

from omegaconf import OmegaConf

from kawhi.data.reward_places import reward_place

# ``${sum:...}`` and the others in conf: a cell is composed in many ways, all of which import from here.
OmegaConf.register_new_resolver("sum", lambda *numbers: sum(numbers), replace=True)
OmegaConf.register_new_resolver("reward_file", lambda reward: reward_place(reward)[0], replace=True)
OmegaConf.register_new_resolver("reward_function", lambda reward: reward_place(reward)[1], replace=True)
