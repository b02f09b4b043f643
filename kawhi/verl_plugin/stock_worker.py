"""``external_lib`` of a stock run: the corrections without the engine, so that both runs differ in KAWHI alone."""

import os
import sys

if "verl.workers.engine_workers" in sys.modules:
    from kawhi.verl_plugin import verl_fixes, weight_sync

    verl_fixes.apply()
    weight_sync.patch_sender()
    if os.environ.get("VERL_PLATFORM", "").lower() == "cpu":
        from kawhi.verl_plugin.cpu.platform import adapt_actor

        adapt_actor()
