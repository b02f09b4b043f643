"""Entry point with the command line of ``verl.trainer.main_ppo``: python -m kawhi.verl_plugin.main kawhi=NAME ...

``docs/your_verl_script.md`` has an example.  With ``+kawhi.method=off`` it starts verl's own task runner and trainer
and adds nothing.
"""

from __future__ import annotations

import sys
from typing import Any

import hydra
import ray
from verl.trainer import main_ppo
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import validate_config
from verl.utils.device import auto_set_device

from kawhi.base.errors import CellError
from kawhi.base.included import taken_from
from kawhi.verl_plugin import credit_choices
from kawhi.verl_plugin.event_files import purge_repeated_steps
from kawhi.verl_plugin.settling import settle

_StockTaskRunner: Any = main_ppo.TaskRunnerV1.__ray_metadata__.modified_class


@ray.remote
class KawhiTaskRunner(_StockTaskRunner):
    """verl's task runner with our trainer under the name ``sync``.

    A new trainer mode would change behaviour: verl compares the mode with the literal "sync" in several places.
    """

    def run(self, config):
        from verl.trainer.ppo.v1 import trainer_base

        from kawhi.verl_plugin.trainer import KawhiTrainer

        trainer_base.TRAINER_REGISTRY["sync"] = KawhiTrainer
        return super().run(config)


def task_runner(config):
    """The Ray class that runs this configuration: verl's own when KAWHI is off."""
    return main_ppo.TaskRunnerV1 if config.kawhi.method == "off" else KawhiTaskRunner


@hydra.main(config_path="pkg://verl.trainer.config", config_name=credit_choices.PRIMARY, version_base=None)
def main(config) -> None:
    try:
        settle(config)
    except CellError as error:
        sys.exit(f"error: {error}")
    auto_set_device(config)
    validate_config(config=config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))
    purge_repeated_steps(config.trainer)
    main_ppo.run_ppo(config, task_runner_class=task_runner(config))


if __name__ == "__main__":
    try:
        sys.argv[1:] = taken_from(sys.argv[1:])
        credit_choices.store(sys.argv[1:])
    except CellError as error:
        sys.exit(f"error: {error}")
    main()
