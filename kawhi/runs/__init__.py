"""Identity, run directory, stages, records, launching."""

from omegaconf import OmegaConf

# ``${sum:...}`` in conf: a cell is composed in many ways, all of which import from here.
OmegaConf.register_new_resolver("sum", lambda *numbers: sum(numbers), replace=True)
