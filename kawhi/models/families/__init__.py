"""The model families that can be read, one file each.  Importing this package registers every file in it.

``docs/adding_a_family.md`` says what a file needs.
"""

from importlib import import_module
from pkgutil import iter_modules

from kawhi.models.families.family import FAMILIES, Family, family_of, family_of_processor, register
from kawhi.models.families.view import View

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["FAMILIES", "Family", "View", "family_of", "family_of_processor", "register"]
