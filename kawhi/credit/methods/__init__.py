"""Credit methods by name.  One file per method; importing this package registers every file in it."""

from importlib import import_module
from pkgutil import iter_modules

from kawhi.credit.methods.base import (
    METHODS,
    AddsLoss,
    ChangesAdvantages,
    CreditMethod,
    ResponseBatch,
    ShapesRewards,
    build,
    credit,
    register,
    weights_of,
)
from kawhi.credit.methods.product import Product, configured

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = [
    "METHODS",
    "AddsLoss",
    "ChangesAdvantages",
    "CreditMethod",
    "Product",
    "ResponseBatch",
    "ShapesRewards",
    "build",
    "configured",
    "credit",
    "register",
    "weights_of",
]
