"""``external_lib`` of a stock run: the corrections without the engine, so that both runs differ in KAWHI alone."""

import os
import sys

if "verl.trainer.ppo.core_algos" in sys.modules:
    import kawhi.verl_plugin.estimators  # noqa: F401  (registers equation 1 as an advantage estimator)

if "verl.workers.engine_workers" in sys.modules:
    from kawhi.verl_plugin import verl_fixes, weight_sync

    verl_fixes.apply()
    weight_sync.patch_sender()
    if os.environ.get("VERL_PLATFORM", "").lower() == "cpu":
        from kawhi.verl_plugin.cpu.platform import adapt_actor

        adapt_actor()
