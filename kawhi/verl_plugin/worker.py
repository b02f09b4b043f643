"""``actor_rollout_ref.model.external_lib`` of every run: the corrections of verl, and the engine of a KAWHI run.

verl imports it in every process that reads the model's configuration; only the actor's process, which has already
loaded the engine workers, needs them.  A stock run, which names no ``VERL_ENGINE_VENDOR``, has the same corrections and
not the engine, so that both differ in KAWHI alone.
"""

import os
import sys

if "verl.trainer.ppo.core_algos" in sys.modules:
    import kawhi.verl_plugin.estimators

if "verl.workers.engine_workers" in sys.modules:
    if os.environ.get("VERL_ENGINE_VENDOR") == "kawhi":
        import kawhi.verl_plugin.engine  # noqa: F401  (registers the engine)
    from kawhi.verl_plugin import verl_fixes, weight_sync

    verl_fixes.apply()
    weight_sync.patch_sender()
    if os.environ.get("VERL_PLATFORM", "").lower() == "cpu":
        from kawhi.verl_plugin.cpu.platform import adapt_actor

        adapt_actor()
