"""verl's own entry point takes ``+kawhi=...`` for a key of somebody's and trains without it; here that is refused."""

import re
import sys

from hydra.plugins.search_path_plugin import SearchPathPlugin

STOCK = "verl.trainer.main_ppo"


class RefuseStock(SearchPathPlugin):
    """Hydra asks every such plug-in before it composes anything."""

    def manipulate_search_path(self, search_path) -> None:
        started = getattr(sys.modules["__main__"], "__spec__", None)
        asked = [word for word in sys.argv[1:] if re.match(r"\+{0,2}kawhi[.=]", word)]
        if started and started.name == STOCK and asked:
            sys.exit(f"error: {STOCK} knows no {asked[0]}: start kawhi.verl_plugin.main in its place")
