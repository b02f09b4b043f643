"""How Hydra finds somebody's own ``conf`` (:mod:`kawhi.base.included`); a plug-in lives in this namespace package."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class OwnConfiguration(SearchPathPlugin):
    """Searched after ours, whose names are refused there."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        from kawhi.base.included import conf_folders

        for folder in conf_folders():
            search_path.append(provider="kawhi", path=f"file://{folder}")
